import Foundation
import XCTest

@testable import Keybound

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The client against `keybound serve`.
final class ClientTests: XCTestCase {
    func testLoginCallsNoncesRefreshLogout() async throws {
        let served = try Served("--fault", "new-nonce-each-call")
        let wire = Wire()
        let client = try KeyboundClient(served, wire: wire)
        let session = try await client.login(served)
        let info = session.info()
        XCTAssertEqual([info.name, info.issuer, info.resource], ["work", served.issuer, served.resource])
        XCTAssertTrue(info.bound && !info.ended)
        let (data, response) = try await client.data(for: try get(served.resource), session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertEqual(try JSON.parse(String(decoding: data, as: UTF8.self)).text("method"), "GET")
        let before = wire.count("GET /api")
        _ = try await client.data(for: try get(served.resource), session: session)
        XCTAssertEqual(wire.count("GET /api"), before + 1, "a nonce that is known costs no second request")
        let token = session.dangerAccessToken()
        try await client.refresh(session)
        XCTAssertNotEqual(session.dangerAccessToken(), token)
        let (_, other) = try await client.data(for: try get("\(served.resource)/x?y=z#part"), session: session)
        XCTAssertEqual(other.statusCode, 200)
        let bearers = wire.seen.filter { $0.value(forHTTPHeaderField: "Authorization")?.hasPrefix("Bearer") == true }
        XCTAssertTrue(bearers.isEmpty, "never a bearer token")
        try await client.end(session)
        XCTAssertTrue(session.info().ended)
        let error = await thrown { try await client.data(for: try get(served.resource), session: session) }
        XCTAssertEqual((error as? ClientError)?.isLoginRequired, true)
    }

    func testARequestThatIsSentTwiceIsRefusedAsAReplay() async throws {
        let served = try Served()
        let wire = Wire()
        let client = try KeyboundClient(served, wire: wire)
        let session = try await client.login(served)
        _ = try await client.data(for: try get(served.resource), session: session)
        let stolen = try XCTUnwrap(wire.seen.last { $0.url?.absoluteString == served.resource && $0.value(forHTTPHeaderField: "DPoP") != nil })
        let (_, response) = try await Transport().data(for: stolen)
        XCTAssertEqual(response.statusCode, 401)
        let advice = try explainResponse(RefusedResponse(status: 401, headers: response.fields))
        XCTAssertEqual([advice.error, advice.reason], ["invalid_dpop_proof", "replayed"])
    }

    func testBodiesAndMethods() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let session = try await client.login(served)
        var post = try get(served.resource)
        post.httpMethod = "POST"
        post.httpBody = Data("text".utf8)
        post.setValue("text/x", forHTTPHeaderField: "Content-Type")
        let (echoed, response) = try await client.data(for: post, session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertEqual(try JSON.parse(String(decoding: echoed, as: UTF8.self)).text("method"), "POST")
        var other = try get(served.resource)
        other.httpMethod = "PROPFIND"
        let (data, _) = try await client.data(for: other, session: session)
        XCTAssertEqual(try JSON.parse(String(decoding: data, as: UTF8.self)).text("method"), "PROPFIND")
    }

    func testAStreamIsPrimed() async throws {
        let served = try Served()
        let wire = Wire()
        let client = try KeyboundClient(served, wire: wire)
        let session = try await client.login(served)
        var put = try get(served.resource)
        put.httpMethod = "PUT"
        put.httpBodyStream = InputStream(data: Data("a part".utf8))
        let (_, response) = try await client.data(for: put, session: session)
        XCTAssertEqual(response.statusCode, 200)
        XCTAssertEqual(wire.count("HEAD /api"), 1, "the nonce was asked for before")
    }

    func testPathsAreProvedAsTheyAreWritten() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let session = try await client.login(served)
        for path in ["/a%2Fb", "/%7Ealice", "/a;b=c", "/%C3%A4", "//double"] {
            let (data, response) = try await client.data(for: try get(served.resource + path), session: session)
            XCTAssertEqual(response.statusCode, 200, "\(path): \(String(decoding: data, as: UTF8.self))")
        }
    }

    func testManyAtATimeAndOneRedemption() async throws {
        let served = try Served()
        let wire = Wire()
        let client = try KeyboundClient(served, wire: wire)
        let session = try await client.login(served)
        let tokens = wire.count("POST /token")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { try await client.refresh(session) } }
            try await group.waitForAll()
        }
        // Each was asked for; whoever waited found it done. One request more may answer a demand for a nonce.
        XCTAssertTrue((1...2).contains(wire.count("POST /token") - tokens), "\(wire.count("POST /token") - tokens)")
        let request = try get(served.resource)
        let codes = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<12 { group.addTask { try await client.data(for: request, session: session).1.statusCode } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(codes, Array(repeating: 200, count: 12))
    }

    func testOtherProgramsRequestsAreAuthorized() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let session = try await client.login(served)
        let first = try await client.authorized(try get(served.resource), session: session)
        var (_, response) = try await Transport().data(for: try XCTUnwrap(first))
        if response.statusCode == 401 {
            let second = try await client.authorized(try get(served.resource), session: session, refused: response)
            (_, response) = try await Transport().data(for: try XCTUnwrap(second))
        }
        XCTAssertEqual(response.statusCode, 200)
    }

    func testASignerThatGivesDER() async throws {
        let served = try Served()
        let keys = SignerKeys { algorithms, protections in
            XCTAssertTrue(algorithms.contains("ES256") && protections.contains(.secureEnclave))
            return try DERSigner()
        }
        let client = try KeyboundClient(served, keys: keys)
        let session = try await client.login(served)
        let (_, response) = try await client.data(for: try get(served.resource), session: session)
        XCTAssertEqual(response.statusCode, 200)

        let signer = try DERSigner()
        var request = try get("https://api.example.com/items?page=2")
        try await request.prove(by: signer, accessToken: "token")
        XCTAssertEqual(request.value(forHTTPHeaderField: "Authorization"), "DPoP token")
        let now = Int64(Date().timeIntervalSince1970)
        let options = VerifierOptions()
        let store = try MemoryReplayStore(options: options, now: now - 3600)
        let presented = PresentedProof.atResource(
            method: "GET", url: "https://api.example.com/items?page=2", proofs: [request.value(forHTTPHeaderField: "DPoP") ?? ""],
            accessToken: "token", boundTo: try thumbprint(of: signer.publicJwk))
        _ = try Verifier(options: options).verify(presented, in: store, now: now)
    }

    func testFaultsOfKeysAreToldApart() async throws {
        let served = try Served()
        let keys = FaultyKeys()
        let client = try KeyboundClient(served, keys: keys)
        let session = try await client.login(served)
        await keys.fail(.unreadable("the device is locked"))
        guard case .store(let fault) = await thrown({ try await client.data(for: try get(served.resource), session: session) }) as? ClientError
        else { return XCTFail("what the store threw") }
        XCTAssertEqual(fault as? KeyFault, .unreadable("the device is locked"))
        await keys.fail(nil)
        let (_, response) = try await client.data(for: try get(served.resource), session: session)
        XCTAssertEqual(response.statusCode, 200, "the session stays")
        for (fault, reason) in [(KeyFault.missing, "key_missing"), (.changed, "key_changed")] {
            await keys.fail(fault)
            let error = await thrown { try await client.data(for: try get(served.resource), session: session) } as? ClientError
            XCTAssertEqual(error?.isLoginRequired, true)
            XCTAssertEqual(error?.keybound?.reason, reason)
        }
    }

    func testDeviceLoginClientCredentialsMoreScope() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let session = try await client.login(served, scope: "read")
        let discovered = try await client.discover(served.resource)
        let issuer = served.issuer
        let device = try await client.device(SessionRequest(begin: .new(name: "tv", discovered: discovered))) { prompt in
            XCTAssertTrue(prompt.verificationUri.hasPrefix(issuer))
        }
        let (_, response) = try await client.data(for: try get(served.resource), session: device)
        XCTAssertEqual(response.statusCode, 200)

        let refused = try await client.call(try get("\(served.resource)/write"), session: session)
        guard refused.response.statusCode == 403, case .stepUp(let scope) = refused.demand else { return XCTFail("\(refused)") }
        XCTAssertTrue(scope.split(separator: " ").contains("write"))
        let more = try await client.stepUp(session, scope: scope)
        XCTAssertTrue(more.url.hasPrefix(served.issuer))

        let credentials = Credentials(issuer: served.issuer, clientId: "keybound-service", method: "secret", secret: served.secret)
        let service = try KeyboundClient(options: ClientOptions(level: .enhanced, credentials: [credentials], allowLoopback: true))
        let begin = SessionStart.new(name: "own", discovered: try await service.discover(served.resource))
        let own = try await service.clientCredentials(SessionRequest(begin: begin))
        let (_, answer) = try await service.data(for: try get(served.resource), session: own)
        XCTAssertEqual(answer.statusCode, 200)
        let claims = try await service.introspect(
            try XCTUnwrap(own.dangerAccessToken()), at: try await service.discoverIssuer(served.issuer))
        XCTAssertEqual(try JSON.parse(claims)["active"], .bool(true))
    }

    func testTwoAccountsHaveNothingInCommon() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let (one, other) = (try await client.login(served, "one"), try await client.login(served, "other"))
        XCTAssertNotEqual(one.info().thumbprint, other.info().thumbprint)
        try await client.end(one)
        let (_, response) = try await client.data(for: try get(served.resource), session: other)
        XCTAssertEqual(response.statusCode, 200)
    }

    func testServersThatDoWrong() async throws {
        for (fault, reason) in [("wrong-iss", "iss_mismatch"), ("bearer-token-type", "token_not_bound")] {
            let served = try Served("--fault", fault)
            let client = try KeyboundClient(served)
            let error = await thrown { try await client.login(served) } as? ClientError
            XCTAssertEqual(error?.keybound?.reason, reason)
            XCTAssertEqual(error?.localizedDescription, error?.keybound?.fault.detail)
        }
        let skewed = try Served("--fault", "clock-skew=3000", "--no-nonces")
        let client = try KeyboundClient(skewed)
        let session = try await client.login(skewed)
        let (_, response) = try await client.data(for: try get(skewed.resource), session: session)
        XCTAssertEqual(response.statusCode, 200)
        skewed.stop()
        guard case .network = await thrown({ try await client.data(for: try get(skewed.resource), session: session) }) as? ClientError
        else { return XCTFail("the network's own error") }
    }

    func testForeignTargetsAndRedirectsGetNoToken() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let session = try await client.login(served)
        for target in ["https://elsewhere.example/", "http://127.0.0.1:1/api"] {
            let error = await thrown { try await client.data(for: try get(target), session: session) } as? ClientError
            guard case .misuse = error?.keybound else { return XCTFail("\(target): \(String(describing: error))") }
        }
        // The transport itself follows nothing: a login's answer is a redirect, and stays one.
        let authorization = try await client.authorize(SessionRequest(begin: .again(session: session)))
        let (_, response) = try await Transport().data(for: try get(authorization.url))
        XCTAssertTrue((300..<400).contains(response.statusCode))
    }

    func testACancelledTaskEndsItsCall() async throws {
        let served = try Served("--fault", "slow=3000")
        let client = try KeyboundClient(served)
        let resource = served.resource
        let task = Task { try await client.discover(resource) }
        try await Task.sleep(nanoseconds: 100_000_000)
        let began = Date()
        task.cancel()
        let error = await thrown { try await task.value } as? ClientError
        XCTAssertNotNil(error)
        XCTAssertLessThan(Date().timeIntervalSince(began), 2)
    }

    func testACancelledTaskDoesNotLoseARenewedToken() async throws {
        let served = try Served("--fault", "slow=400")
        let (keys, sessions) = (SoftwareKeys(), MemorySessions())
        let client = try KeyboundClient(served, keys: keys, sessions: sessions)
        let session = try await client.login(served)
        let token = session.dangerAccessToken()
        let refresh = Task { try await client.refresh(session) }
        try await Task.sleep(nanoseconds: 150_000_000)
        refresh.cancel()
        _ = await refresh.result
        // Whether the request was on its way or not: the session that is stored works, and so does its next renewal.
        let again = try KeyboundClient(served, keys: keys, sessions: sessions)
        let opened = try await again.open("work")
        XCTAssertNotEqual(opened.dangerAccessToken(), token, "the renewal that was under way was stored")
        try await again.refresh(opened)
        let (_, response) = try await again.data(for: try get(served.resource), session: opened)
        XCTAssertEqual(response.statusCode, 200)
    }

    func testNothingSecretIsShown() async throws {
        let served = try Served()
        let client = try KeyboundClient(served)
        let token = try await client.login(served).dangerAccessToken() ?? "none"
        let shown: [Any] = [
            StoredValue(version: 1, value: token),
            HttpRequest(
                method: "GET", url: "https://a.example", headers: [Header(name: "a", value: token)], body: .bytes(content: Data(token.utf8)),
                maxBody: nil, timeout: nil),
            PresentedProof.atResource(method: "GET", url: "https://a.example", proofs: [token], accessToken: token, boundTo: "t"),
            Credentials(issuer: "i", clientId: "c", method: "secret", secret: token), NonceKey(id: 1, secret: token),
            Reply.loaded(value: StoredValue(version: 1, value: token)), IssuedToken(token: token, tokenType: "x", expiresAt: nil),
            Step.save(slot: "session/a", expected: nil, version: 1, value: token),
            HttpResponse(status: 200, headers: [Header(name: "a", value: token)], body: Data(token.utf8)),
            ExchangeRequest(subjectToken: token, subjectTokenType: "t"),
        ]
        for one in shown { XCTAssertFalse("\(one)".contains(token), "\(type(of: one))") }
    }
}

/// Keys that can be made to fail.
private actor FaultyKeys: ProofKeyStore {
    private let inner = SoftwareKeys()
    private var fault: KeyFault?

    func fail(_ fault: KeyFault?) { self.fault = fault }

    func createKey(algorithms: [String], protections: [Protection]) async throws -> CreatedKey {
        try await inner.createKey(algorithms: algorithms, protections: protections)
    }

    func sign(_ request: SigningRequest) async throws -> Signature {
        if let fault { throw fault }
        return try await inner.sign(request)
    }

    func deleteKey(thumbprint: String) async throws { await inner.deleteKey(thumbprint: thumbprint) }
}

/// Stands in for hardware: a key that signs in DER.
struct DERSigner: ProofSigner {
    private let key: Key
    let publicJwk: String
    let algorithm = "ES256"
    let protection = Protection.secureEnclave

    init() throws {
        key = try Key.generate()
        publicJwk = key.publicJwk()
    }

    func sign(_ request: SigningRequest) async throws -> Signature {
        Signature(bytes: try signed(request.message), encoding: .der)
    }

    func signed(_ message: Data) throws -> Data {
        let raw = [UInt8](try key.sign(message))
        let body = Self.integer(Array(raw[..<32])) + Self.integer(Array(raw[32...]))
        return Data([0x30, UInt8(body.count)] + body)
    }

    /// An INTEGER of ASN.1: as short as it can be, and not negative.
    private static func integer(_ bytes: [UInt8]) -> [UInt8] {
        var digits = Array(bytes.drop { $0 == 0 })
        if digits.isEmpty || digits[0] >= 0x80 { digits.insert(0, at: 0) }
        return [0x02, UInt8(digits.count)] + digits
    }
}
