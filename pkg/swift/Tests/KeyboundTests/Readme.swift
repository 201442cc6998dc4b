import XCTest

import Foundation
import Keybound
#if canImport(FoundationNetworking)
import FoundationNetworking  // URLRequest and URLSession, on Linux
#endif

// The README's examples, compiled. `ReadmeTests` looks for each of them here, in Tests/Stubs/ReadmeApple.swift, and in Package.swift's
// form below.
enum Readme {
    static func firstProof() throws {
        let key = try Key.generate()  // ES256
        let options = VerifierOptions(nonces: NonceOptions())
        let store = try MemoryReplayStore(options: options)
        let verifier = try Verifier(options: options, replay: store)

        var request = URLRequest(url: URL(string: "https://api.example.com/items")!)
        try request.prove(by: key, accessToken: "the-token", nonce: verifier.freshNonce(for: .resource))  // DPoP and Authorization

        let presented = PresentedProof.atResource(
            method: "GET", url: "https://api.example.com/items", proofs: [request.value(forHTTPHeaderField: "DPoP")!],
            accessToken: "the-token", boundTo: key.thumbprint())
        let verified = try verifier.verify(presented, in: store)
        print(verified.algorithm)  // ES256
    }

    static let isUp = false

    final class Tunnel: URLProtocol {
        override class func canInit(with request: URLRequest) -> Bool { !isUp }
        override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }
        override func startLoading() {
            client?.urlProtocol(self, didFailWithError: URLError(.cannotConnectToHost))  // nothing was sent
        }
        override func stopLoading() {}
    }

    struct App {
        let client: KeyboundClient
        let logIn: () async throws(ClientError) -> Session

        func session() async throws(ClientError) -> Session {
            do throws(ClientError) {
                return try await client.open("work")
            } catch {
                guard case .keybound(.loginRequired) = error else { throw error }
                return try await logIn()  // none is stored, or it has ended
            }
        }
    }

    static func clientWithAFolder(_ options: ClientOptions) throws -> KeyboundClient {
        let store = try FileStore(folder: URL(fileURLWithPath: "sessions"))
        let client = try KeyboundClient(options: options, keys: store, sessions: store)
        return client
    }

    static func demands(
        _ client: KeyboundClient, _ session: Session, _ request: URLRequest, show: (Authorization) -> Void
    ) async throws {
        let answer = try await client.call(request, session: session)
        switch answer.demand {
        case .stepUp(let scope): show(try await client.stepUp(session, scope: scope))
        case .login: show(try await client.authorize(SessionRequest(begin: .again(session: session))))
        default: print(answer.response.statusCode)
        }
    }

    static func errors(_ client: KeyboundClient, _ session: Session, _ request: URLRequest) async {
        do {
            _ = try await client.data(for: request, session: session)
        } catch {
            switch error {
            case .keybound(.loginRequired(let fault)): print("log in again: \(fault.reason)")
            case .keybound(let error): print("refused: \(error.localizedDescription)")
            case .network(let error): print("try again later: \(error.localizedDescription)")
            case .store(let error): print("key or session cannot be used now: \(error)")
            case .cancelled: break
            }
        }
    }

    static func server(_ verifier: Verifier, _ presented: PresentedProof, _ store: MemoryReplayStore) throws {
        do {
            let verified = try verifier.verify(presented, in: store)
            print("by \(verified.thumbprint)")
        } catch {
            guard case .rejected(let fault) = error, let refusal = fault.refusal else { throw error }
            print(refusal.status)
            for header in refusal.headers { print("\(header.name): \(header.value)") }
        }
        print(try verifier.explain(presented, in: store).checks.filter { $0.outcome == .failed })
    }
}

/// Follows no redirect: where the authorization server sends a browser is where the app would come back to.
final class Browser: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse, newRequest request: URLRequest,
        completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    static func visit(_ page: URL) async throws -> String {
        let session = URLSession(configuration: .ephemeral, delegate: Browser(), delegateQueue: nil)
        defer { session.invalidateAndCancel() }
        let (_, response) = try await session.data(from: page)
        return try XCTUnwrap((response as? HTTPURLResponse)?.value(forHTTPHeaderField: "Location"))
    }
}

/// A clock that a test moves.
final class TestClock: @unchecked Sendable {
    private let lock = NSLock()
    private var shown = Int64(Date().timeIntervalSince1970)

    var now: Int64 { lock.withLock { shown } }
    func advance(_ seconds: Int64) { lock.withLock { shown += seconds } }
}

/// With what `keybound serve --format json` printed at its start.
func checkACallAfterAnHour(issuer: String, resource: String) async throws {
    let clock = TestClock()
    let client = try KeyboundClient(
        options: ClientOptions(
            level: .enhanced, redirectUri: "http://127.0.0.1/callback",
            credentials: [Credentials(issuer: issuer, clientId: "keybound-demo")], allowLoopback: true),
        now: { clock.now })
    let discovered = try await client.discover(resource)
    let login = try await client.authorize(SessionRequest(begin: .new(name: "work", discovered: discovered), scope: "read"))
    let session = try await client.exchange(callback: Browser.visit(try XCTUnwrap(login.page)))

    let token = session.dangerAccessToken()
    clock.advance(3600)  // the app was closed for an hour
    let items = URLRequest(url: try XCTUnwrap(URL(string: "\(resource)/items")))
    let (_, response) = try await client.data(for: items, session: session)
    XCTAssertEqual(response.statusCode, 200)
    XCTAssertNotEqual(session.dangerAccessToken(), token)  // renewed before the call
}
