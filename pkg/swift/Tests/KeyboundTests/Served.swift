import Foundation
import XCTest

@testable import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// `keybound serve`: KEYBOUND_PROGRAM, or the program in the workspace's target folder.
final class Served: @unchecked Sendable {
    let issuer: String
    let resource: String
    let secret: String
    private let process = Process()

    init(_ options: String...) throws {
        process.executableURL = URL(fileURLWithPath: try Self.program())
        process.arguments = ["serve", "--listen", "127.0.0.1:0", "--format", "json"] + options
        let output = Pipe()
        process.standardOutput = output
        // Whoever reads the tests' errors is not to wait for the server.
        process.standardError = FileHandle.nullDevice
        try process.run()
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8), !byte.isEmpty { line += byte }
        let told = try JSON.parse(String(decoding: line, as: UTF8.self))
        issuer = try XCTUnwrap(told.text("issuer"))
        resource = try XCTUnwrap(told.text("resource"))
        secret = try XCTUnwrap(told.text("client_secret"))
    }

    deinit { stop() }

    func stop() {
        // By hand: `waitUntilExit` wants a run loop, which tasks do not have.
        kill(process.processIdentifier, SIGKILL)
    }

    var credentials: [Credentials] { [Credentials(issuer: issuer, clientId: "keybound-demo")] }

    var options: ClientOptions {
        ClientOptions(level: .enhanced, redirectUri: "http://127.0.0.1:7391/callback", credentials: credentials, allowLoopback: true)
    }

    static func program() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let places: [String?] = [
            environment["KEYBOUND_PROGRAM"], environment["CARGO_TARGET_DIR"].map { "\($0)/debug/keybound" },
            Vectors.root.appendingPathComponent("target/debug/keybound").path,
        ]
        let found = places.compactMap { $0 }.first { FileManager.default.isExecutableFile(atPath: $0) }
        return try XCTUnwrap(found, "there is no keybound program: cargo build -p keybound-cli, or name one in KEYBOUND_PROGRAM")
    }
}

/// Notes what goes over the wire.
final class Wire: @unchecked Sendable {
    private let lock = NSLock()
    private var noted: [URLRequest] = []

    var seen: [URLRequest] { lock.withLock { noted } }
    func note(_ request: URLRequest) { lock.withLock { noted.append(request) } }
    func count(_ what: String) -> Int { seen.filter { "\($0.httpMethod ?? "GET") \($0.url?.path ?? "")" == what }.count }
}

/// What a browser does with a login that is approved at once: where it is sent in the end.
func browse(_ url: String) async throws -> String {
    let transport = Transport()
    defer { transport.finish() }
    let (data, response) = try await transport.data(for: URLRequest(url: try XCTUnwrap(URL(string: url))))
    let told = "\(response.statusCode): \(String(decoding: data, as: UTF8.self))"
    return try XCTUnwrap(response.value(forHTTPHeaderField: "Location"), told)
}

extension KeyboundClient {
    /// A client that shows what it sends.
    init(
        _ served: Served, wire: Wire = Wire(), keys: any ProofKeyStore = SoftwareKeys(), sessions: any SessionStore = MemorySessions()
    ) throws {
        try self.init(
            options: served.options, keys: keys, sessions: sessions, transport: Transport { wire.note($0) },
            now: { Int64(Date().timeIntervalSince1970) })
    }

    /// Discovers and logs in.
    func login(_ served: Served, _ name: String = "work", scope: String? = nil) async throws -> Session {
        let begin = SessionStart.new(name: name, discovered: try await discover(served.resource))
        let authorization = try await authorize(SessionRequest(begin: begin, scope: scope))
        return try await exchange(callback: try await browse(authorization.url))
    }
}

func get(_ url: String) throws -> URLRequest { URLRequest(url: try XCTUnwrap(URL(string: url))) }

/// Runs what has to throw, and gives the error.
func thrown<T>(_ work: () async throws -> T, _ file: StaticString = #filePath, _ line: UInt = #line) async -> (any Error)? {
    do {
        _ = try await work()
        XCTFail("nothing was thrown", file: file, line: line)
        return nil
    } catch {
        return error
    }
}
