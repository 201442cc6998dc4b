import Foundation

@testable import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
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
        try request.prove(by: key, accessToken: "the-token", nonce: verifier.freshNonce(role: .resource))  // DPoP and Authorization

        let presented = PresentedProof(
            method: "GET", url: "https://api.example.com/items", proofs: [request.value(forHTTPHeaderField: "DPoP")!],
            accessToken: "the-token", boundTo: key.thumbprint())
        let verified = try verifier.verify(presented: presented, store: store)
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

    static func reopen(_ client: KeyboundClient) async throws -> Session {
        let session = try await client.open("work")
        return session
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
            let verified = try verifier.verify(presented: presented, store: store)
            print("by \(verified.thumbprint)")
        } catch {
            guard case .rejected(let fault) = error, let refusal = fault.refusal else { throw error }
            print(refusal.status, refusal.headers)
        }
        print(try verifier.explain(presented: presented, store: store).checks.filter { $0.outcome == .failed })
    }
}
