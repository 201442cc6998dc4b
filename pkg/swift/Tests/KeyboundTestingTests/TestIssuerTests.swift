import Foundation
import Keybound
import KeyboundTesting
import XCTest

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The testing module, by a client of an app.
final class TestIssuerTests: XCTestCase {
    private func client(_ issuer: TestIssuer, clock: TestClock? = nil) throws -> KeyboundClient {
        let clock = clock ?? issuer.clock
        return try KeyboundClient(options: issuer.options(), configuration: issuer.configuration, now: { clock.now })
    }

    private func get(_ url: String) throws -> URLRequest { URLRequest(url: try XCTUnwrap(URL(string: url))) }

    private func reason(_ response: HTTPURLResponse) throws -> String? {
        let fields = response.allHeaderFields.compactMap { name, value in
            (name as? String).flatMap { name in (value as? String).map { Header(name: name, value: $0) } }
        }
        return try explainResponse(RefusedResponse(status: Int32(response.statusCode), headers: fields)).reason
    }

    func testTheFirstCallIsAdmittedAfterTheNonceOfTheAPI() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com/v1", issuer: "https://login.example.com/realm")
        let client = try client(issuer)
        let session = try await issuer.login(client)
        XCTAssertEqual([session.info().issuer, session.info().resource], [issuer.issuer, issuer.resource])
        XCTAssertTrue(session.info().bound)
        // Without a nonce of its own, a request is refused for that and nothing else.
        let items = try get("https://api.example.com/v1/items?a=b")
        let early = try await client.authorized(items, session: session)
        let (_, refused) = try await send(try XCTUnwrap(early), issuer)
        XCTAssertEqual(refused.statusCode, 401)
        XCTAssertEqual(try reason(refused), "nonce_missing")
        let (data, response) = try await client.data(for: items, session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertTrue(String(decoding: data, as: UTF8.self).contains(#""query":"a=b""#))
    }

    /// Sends a request as it is.
    private func send(_ request: URLRequest, _ issuer: TestIssuer) async throws -> (Data, HTTPURLResponse) {
        let session = URLSession(configuration: issuer.configuration)
        defer { session.finishTasksAndInvalidate() }
        let (data, response) = try await session.data(for: request)
        return (data, try XCTUnwrap(response as? HTTPURLResponse))
    }

    func testATokenThatWasStolenIsRefusedForItsKey() async throws {
        for nonces in [true, false] {
            let issuer = try TestIssuer(resource: "https://api.example.com", nonces: nonces)
            let session = try await issuer.login(try client(issuer))
            let (_, response) = try issuer.sendAsThief(try get("https://api.example.com/"), of: session)
            XCTAssertEqual(response.statusCode, 401)
            XCTAssertEqual(try reason(response), "binding_mismatch")
        }
    }

    func testAnExpiredTokenIsRefusedAndRenewed() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com", tokenLifetime: 600)
        // The client's own clock stands still, so that it learns from the refusal.
        let late = try client(issuer, clock: TestClock())
        let session = try await issuer.login(late)
        let token = session.dangerAccessToken()
        issuer.clock.advance(by: 3600)
        let (_, response) = try await late.data(for: try get("https://api.example.com/items"), session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertNotEqual(session.dangerAccessToken(), token)
    }

    func testAPathThatRequiresMoreScopeAsksForIt() async throws {
        let issuer = try TestIssuer(
            resource: "https://api.example.com", scopes: ["items:read", "items:write"], scopesAt: ["/orders": "items:write"])
        let client = try client(issuer)
        let session = try await issuer.login(client, scope: "items:read")
        let orders = try get("https://api.example.com/orders")
        guard case .stepUp(let scope) = try await client.call(orders, session: session).demand else { return XCTFail("no demand") }
        let raised = try await client.exchange(callback: try issuer.browse(try await client.stepUp(session, scope: scope).url))
        let (_, response) = try await client.data(for: orders, session: raised)
        XCTAssertEqual(response.statusCode, 200)
    }

    func testTheAPIAnswersWhatTheTestSaysToAdmittedRequestsAlone() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com", subject: "bob")
        issuer.api = { request, caller in
            let body = String(decoding: request.httpBody ?? Data(), as: UTF8.self)
            return TestResponse(
                "\(request.httpMethod ?? "") \(body) \(caller.subject ?? "") \(caller.scopes)", status: 201, contentType: "text/plain")
        }
        let client = try client(issuer)
        let session = try await issuer.login(client, scope: "write")
        var post = try get("https://api.example.com/items")
        post.httpMethod = "POST"
        post.httpBody = Data("tea".utf8)
        let (data, response) = try await client.data(for: post, session: session)
        XCTAssertEqual(response.statusCode, 201)
        XCTAssertEqual(response.value(forHTTPHeaderField: "Content-Type"), "text/plain")
        XCTAssertEqual(String(decoding: data, as: UTF8.self), #"POST tea bob ["write"]"#)
        let (_, refused) = try await send(post, issuer)
        XCTAssertEqual(refused.statusCode, 401)
    }

    func testRevokedTokensAndFaultsReachTheClient() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com")
        let client = try client(issuer)
        let session = try await issuer.login(client)
        let (token, api) = (session.dangerAccessToken(), try get("https://api.example.com/"))
        issuer.revokeAccessTokens()
        let (_, renewed) = try await client.data(for: api, session: session)
        XCTAssertEqual(renewed.statusCode, 200)
        XCTAssertNotEqual(session.dangerAccessToken(), token, "renewed after the refusal")
        try issuer.misbehave("store-failing")
        let (_, failed) = try await client.data(for: api, session: session)
        XCTAssertEqual(failed.statusCode, 503)
        try issuer.misbehave()
        let (_, works) = try await client.data(for: api, session: session)
        XCTAssertEqual(works.statusCode, 200)
        XCTAssertThrowsError(try issuer.misbehave("other"))
    }

    func testOtherServersAreNotKnownAndIssuersAreApart() async throws {
        let one = try TestIssuer(resource: "https://api.example.com")
        let (_, nowhere) = try await send(try get("https://other.example.com/"), one)
        XCTAssertEqual(nowhere.statusCode, 404)
        let first = try client(one)
        let session = try await one.login(first)
        let other = try TestIssuer(resource: "https://api.example.org", issuer: "https://login.example.org")
        let (_, refused) = try other.sendAsThief(try get("https://api.example.org/"), of: session)
        XCTAssertEqual(refused.statusCode, 401, "a token of one issuer is none of the other's")
        let (_, admitted) = try await first.data(for: try get("https://api.example.com/"), session: session)
        XCTAssertEqual(admitted.statusCode, 200)
        XCTAssertThrowsError(try TestIssuer(resource: "api.example.com"))
    }

    func testTheHighestLevelWorks() async throws {
        let issuer = try TestIssuer(resource: "https://api.example.com", redirectUri: "com.example.app:/callback", level: .maximum)
        let client = try client(issuer)
        let session = try await issuer.login(client)
        let (_, response) = try await client.data(for: try get("https://api.example.com/"), session: session)
        XCTAssertEqual(response.statusCode, 200)
    }
}
