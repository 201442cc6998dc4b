import Foundation
import XCTest

@testable import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// What is sent again when the network fails.
final class NetworkTests: XCTestCase {
    func testALostAnswerToAPostIsNotRepeated() async throws {
        let api = try Losing()
        let served = try Served("--resource", api.url)
        let client = try KeyboundClient(served)
        let session = try await client.logIn(served, api.url)
        for (method, body) in [("POST", "text"), ("POST", nil), ("GET", nil)] {
            // The connection is kept open, and a transport might take another one for what was lost on it.
            let (_, response) = try await client.data(for: try get(api.url), session: session)
            XCTAssertEqual(response.statusCode, 200)
            var lost = try get("\(api.url)lost")
            lost.httpMethod = method
            lost.httpBody = body.map { Data($0.utf8) }
            let (request, before) = (lost, api.count("\(method) /lost"))
            guard case .network = await thrown({ try await client.data(for: request, session: session) }) as? ClientError
            else { return XCTFail("the network's own error") }
            XCTAssertEqual(api.count("\(method) /lost"), before + 1, method)
        }
    }

    func testWhatWasNotSentIsSentAgainWithANewProof() async throws {
        let api = try Losing()
        let served = try Served("--resource", api.url)
        let wire = Wire()
        let client = try KeyboundClient(served, wire: wire)
        let session = try await client.logIn(served, api.url)
        api.stop()
        var post = try get("\(api.url)unsent")
        post.httpMethod = "POST"
        post.httpBody = Data("text".utf8)
        let request = post
        guard case .network(let error) = await thrown({ try await client.data(for: request, session: session) }) as? ClientError
        else { return XCTFail("the network's own error") }
        XCTAssertEqual(error.code, .cannotConnectToHost)
        let proofs = wire.seen.filter { $0.url?.path == "/unsent" }.map { $0.value(forHTTPHeaderField: "DPoP") }
        XCTAssertEqual([proofs.count, Set(proofs).count], [3, 3])
    }

    func testATransportOfTheCallersSaysNotSent() async throws {
        let served = try Served("--no-nonces")
        let configuration = URLSessionConfiguration.ephemeral
        configuration.protocolClasses = [Readme.Tunnel.self]
        let client = try KeyboundClient(options: served.options, configuration: configuration)
        guard case .network(let error) = await thrown({ try await client.discover(served.resource) }) as? ClientError
        else { return XCTFail("the network's own error") }
        XCTAssertEqual(error.code, .cannotConnectToHost)
    }
}

extension KeyboundClient {
    /// Logs in for an API that publishes nothing.
    fileprivate func logIn(_ served: Served, _ url: String) async throws -> Session {
        let begin = SessionStart.new(name: "work", discovered: try await discover(url, issuer: served.issuer))
        let authorization = try await authorize(SessionRequest(begin: begin, resource: url))
        return try await exchange(callback: try await browse(authorization.url))
    }
}

/// An API whose answers to requests for `/lost` are lost; their connection ends. Others are kept open.
private final class Losing: @unchecked Sendable {
    let url: String
    private let listener: Int32
    private let lock = NSLock()
    private var seen: [String] = []

    init() throws {
        #if canImport(Glibc)
        let stream = Int32(SOCK_STREAM.rawValue)
        #else
        let stream = SOCK_STREAM
        #endif
        signal(SIGPIPE, SIG_IGN)
        listener = socket(AF_INET, stream, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
                bind(listener, place, size) == 0 && listen(listener, 10) == 0 && getsockname(listener, place, &size) == 0
            }
        }
        guard isBound else { throw URLError(.cannotConnectToHost) }
        url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/"
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0, let server = self else { return }
                Thread.detachNewThread { server.serve(connection) }
            }
        }
    }

    deinit { stop() }

    /// Takes no connection any more.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    /// How many requests came that begin with this.
    func count(_ what: String) -> Int { lock.withLock { seen.filter { $0.hasPrefix(what) }.count } }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        while let head = Self.head(connection) {
            let lines = head.components(separatedBy: "\r\n")
            func field(_ name: String) -> String? {
                lines.first { $0.lowercased().hasPrefix("\(name):") }.map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
            }
            for _ in 0..<(field("content-length").flatMap { Int($0) } ?? 0) { _ = Self.byte(connection) }
            lock.withLock { seen.append(lines[0]) }
            if lines[0].contains("/lost") { return }
            let status = lines[0].contains("/.well-known/") ? "404 Not Found" : field("authorization") == nil ? "401 Unauthorized" : "200 OK"
            let answer = Array("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n".utf8)
            _ = write(connection, answer, answer.count)
        }
    }

    private static func head(_ connection: Int32) -> String? {
        var bytes: [UInt8] = []
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard let byte = byte(connection) else { return nil }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func byte(_ connection: Int32) -> UInt8? {
        var byte: UInt8 = 0
        return read(connection, &byte, 1) == 1 ? byte : nil
    }
}
