import Foundation
import XCTest

@testable import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// Where a client meets a configuration and a store that are the caller's, and what is shown of secrets.
final class EdgesTests: XCTestCase {
    func testTheCallersCookiesCacheAndCredentialsAreNotUsed() async throws {
        let served = try Served()
        let cookies = HTTPCookieStorage.shared
        let place = try XCTUnwrap(URL(string: served.resource))
        let cookie = HTTPCookie(properties: [.domain: "127.0.0.1", .path: "/", .name: "account", .value: "first"])
        cookies.setCookie(try XCTUnwrap(cookie))
        defer { cookies.setCookies([], for: place, mainDocumentURL: nil) }
        Recorder.reset()
        let configuration = URLSessionConfiguration.default
        configuration.httpCookieStorage = cookies
        configuration.protocolClasses = [Recorder.self]
        let before = (configuration.httpShouldSetCookies, configuration.httpCookieAcceptPolicy, configuration.requestCachePolicy)
        let (cache, credentials) = (configuration.urlCache, configuration.urlCredentialStorage)
        let client = try KeyboundClient(options: served.options, configuration: configuration)
        _ = await thrown { try await client.discover(served.resource) }
        XCTAssertEqual(Recorder.seen.count, 3, "the protocol class of the caller is used, and what it did not send is sent again")
        XCTAssertTrue(Recorder.seen.allSatisfy { $0.value(forHTTPHeaderField: "Cookie") == nil })
        // The caller's object, with which it makes sessions of its own, is as it was.
        XCTAssertTrue(configuration.httpCookieStorage === cookies && configuration.urlCache === cache)
        XCTAssertTrue(configuration.urlCredentialStorage === credentials)
        XCTAssertTrue((configuration.httpShouldSetCookies, configuration.httpCookieAcceptPolicy, configuration.requestCachePolicy) == before)
        let own = Transport.alone(configuration)
        XCTAssertNil(own.httpCookieStorage)
        XCTAssertNil(own.urlCache)
        XCTAssertNil(own.urlCredentialStorage)
        XCTAssertFalse(own.httpShouldSetCookies)
    }

    func testALockThatStaysHeldForTheWholeLeaseIsGivenUp() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keybound-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let (one, other) = (try FileStore(folder: folder), try FileStore(folder: folder))
        let memory = MemorySessions()
        let pairs: [(any SessionStore, any SessionStore)] = [(one, one), (one, other), (memory, memory)]
        for (holder, waiting) in pairs {
            let held = try await holder.lock("session/work", lease: 90)
            let error = await thrown { try await waiting.lock("session/work", lease: 0) } as? KeyboundError
            XCTAssertEqual(error?.reason, "lock_timeout")
            guard case .host = error else { return XCTFail("the host's fault") }
            await held.unlock()
            await (try await waiting.lock("session/work", lease: 0)).unlock()
        }
    }

    func testNobodyRefreshesBesideAHolderThatIsSlow() async throws {
        let served = try Served()
        let wire = Wire()
        let (keys, sessions) = (SoftwareKeys(), MemorySessions())
        let session = try await KeyboundClient(served, keys: keys, sessions: sessions).login(served)
        let client = try KeyboundClient(served, wire: wire, keys: keys, sessions: Impatient(inner: sessions))
        let opened = try await client.open("work")
        let held = try await sessions.lock("session/work", lease: 90)
        let error = await thrown { try await client.refresh(opened) } as? ClientError
        XCTAssertEqual(error?.keybound?.reason, "lock_timeout")
        XCTAssertEqual(wire.seen.count, 0, "nothing is redeemed")
        XCTAssertEqual(opened.dangerAccessToken(), session.dangerAccessToken())
        await held.unlock()
        try await client.refresh(opened)
    }

    func testNoTextOrDumpShowsASecret() throws {
        let secret = "the-token"
        let header = Header(name: "Authorization", value: secret)
        let stored = StoredValue(version: 1, value: secret)
        let authorization = Authorization(url: "https://as.example.com/?state=\(secret)", state: secret, expiresAt: 1, pushed: true)
        let shown: [Any] = [
            header, [header], ["a": header], (header, 1), stored, authorization, Outcome.loginBegun(authorization: authorization),
            HttpRequest(method: "GET", url: "u", headers: [header], body: .bytes(content: Data(secret.utf8)), maxBody: nil, timeout: nil),
            HttpResponse(status: 200, headers: [header], body: Data(secret.utf8)),
            CallRequest(method: "GET", url: "u", headers: [header], body: .empty),
            RefusedResponse(status: 401, headers: [header], body: Data(secret.utf8)),
            DevicePrompt(userCode: secret, verificationUri: "https://as.example.com", verificationUriComplete: secret, expiresAt: 1),
            PresentedProof.atResource(method: "GET", url: "u", proofs: [secret], accessToken: secret, boundTo: "t"), NonceKey(id: 1, secret: secret),
            Credentials(issuer: "i", clientId: "c", method: "secret", secret: secret), Reply.loaded(value: stored),
            Step.save(slot: secret, expected: nil, version: 1, value: secret), IssuedToken(token: secret, tokenType: "x", expiresAt: nil),
            CoreOperation.exchange(callback: secret), ExchangeRequest(subjectToken: secret, subjectTokenType: "t"),
            HeldToken(session: "s", token: secret, resource: "r", publicJwk: "{}", algorithm: "ES256"), HttpBody.bytes(content: Data(secret.utf8)),
        ]
        for one in shown {
            var dumped = ""
            dump(one, to: &dumped)
            for text in ["\(one)", String(reflecting: one), dumped] { XCTAssertFalse(text.contains(secret), "\(type(of: one)): \(text)") }
        }
        XCTAssertTrue("\(header)".contains("Authorization"))
    }

    func testASessionSaysWhereItsKeyLives() async throws {
        let served = try Served()
        let session = try await KeyboundClient(served).login(served)
        XCTAssertEqual(session.info().protection, .software)
    }
}

/// A store in which a lease is over at once.
private struct Impatient: SessionStore {
    let inner: MemorySessions

    func load(slot: String) async throws -> StoredValue? { await inner.load(slot: slot) }
    func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool {
        await inner.save(slot: slot, expected: expected, version: version, value: value)
    }
    func lock(_ name: String, lease: Int64) async throws -> any StoreLock { try await inner.lock(name, lease: 0) }
}

/// Takes the place of the network, and answers nothing.
private final class Recorder: URLProtocol {
    nonisolated(unsafe) private static var noted: [URLRequest] = []
    private static let lock = NSLock()

    static var seen: [URLRequest] { lock.withLock { noted } }
    static func reset() { lock.withLock { noted = [] } }

    override class func canInit(with request: URLRequest) -> Bool { true }
    override class func canonicalRequest(for request: URLRequest) -> URLRequest { request }
    override func startLoading() {
        Self.lock.withLock { Self.noted.append(request) }
        client?.urlProtocol(self, didFailWithError: URLError(.cannotConnectToHost))
    }
    override func stopLoading() {}
}
