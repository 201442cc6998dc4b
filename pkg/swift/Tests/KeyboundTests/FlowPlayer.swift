import Foundation
import XCTest

@testable import Keybound

/// The names of random values, in the order they were first seen.
struct Names {
    private var known: [(value: String, name: String)] = []

    private func next(_ kind: String) -> String { "{\(kind)-\(known.filter { $0.name.hasPrefix("{\(kind)-") }.count + 1)}" }

    mutating func key(_ thumbprint: String) { known.append((thumbprint, next("key"))) }

    mutating func name(_ kind: String, _ value: String) -> String {
        if let found = known.first(where: { $0.value == value }) { return found.name }
        let name = next(kind)
        known.append((value, name))
        return name
    }

    func hide(_ text: String) -> String { known.reduce(text) { $0.replacingOccurrences(of: $1.value, with: $1.name) } }

    func show(_ text: String, _ kind: String = "") -> String {
        known.filter { $0.name.hasPrefix("{\(kind)") }.reduce(text) { $0.replacingOccurrences(of: $1.name, with: $1.value) }
    }

    /// The parameters of a form or query.
    mutating func form(_ text: String) throws -> JSON {
        var seen: [String: JSON] = [:]
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                $0.replacingOccurrences(of: "+", with: " ").removingPercentEncoding ?? ""
            }
            let (name, value) = (parts[0], parts[1])
            XCTAssertNil(seen[name], "\(name) twice")
            switch name {
            case "state", "code_challenge", "code_verifier": seen[name] = .text(self.name(name, value))
            case "client_assertion": seen[name] = assertion(value)
            case "authorization_details": seen[name] = try JSON.parse(value)
            default: seen[name] = .text(hide(value))
            }
        }
        return .object(seen)
    }

    private mutating func assertion(_ text: String) -> JSON {
        var claims = part(text, 1)?.members ?? [:]
        claims["jti"] = .text(name("assertion", claims["jti"]?.text ?? ""))
        return .object(["header": part(text, 0) ?? .null, "claims": .object(claims)])
    }

    mutating func request(_ request: HttpRequest) throws -> JSON {
        var seen: [String: JSON] = ["method": .text(request.method), "url": .text(request.url)]
        var fields: [String: JSON] = [:]
        let token = request.headers.first { $0.name.lowercased() == "authorization" }?.value
        for header in request.headers {
            if header.name.lowercased() == "dpop" {
                XCTAssertNil(seen["proof"], "two proofs")
                seen["proof"] = try proof(header.value, token.flatMap { $0.hasPrefix("DPoP ") ? String($0.dropFirst(5)) : nil })
            } else {
                XCTAssertNil(fields.updateValue(.text(hide(header.value)), forKey: header.name.lowercased()), "a field twice")
            }
        }
        switch request.body {
        case .bytes(let content):
            let text = String(decoding: content, as: UTF8.self)
            if fields["content-type"] == .text("application/json") { seen["json"] = try JSON.parse(text) } else { seen["form"] = try form(text) }
        case .repeatable: seen["body"] = .text("repeatable")
        case .oneShot: seen["body"] = .text("one_shot")
        case .empty: break
        }
        seen["fields"] = .object(fields)
        return .object(seen)
    }

    private mutating func proof(_ text: String, _ token: String?) throws -> JSON {
        let header = try XCTUnwrap(part(text, 0))
        var claims = try XCTUnwrap(part(text, 1)).members
        // That it is the token's hash is judged by the library's own verifier, which transcripts of servers do not reach.
        XCTAssertEqual(claims.removeValue(forKey: "ath") == nil, token == nil, "a proof with a token, and no other, has its hash")
        claims["jti"] = .text(name("jti", claims["jti"]?.text ?? ""))
        claims["key"] = .text(hide(try thumbprint(of: header["jwk"]?.written ?? "")))
        claims["alg"] = header["alg"]
        return .object(claims)
    }
}

/// The name of a protection, level or body in transcripts.
func snakeCase(_ value: some Any) -> String {
    "\(value)".reduce("") { $0 + ($1.isUppercase ? "_\($1.lowercased())" : String($1)) }
}

/// Keys, store, network and clock of a transcript, which note every step.
actor TranscriptHost: ProofKeyStore, SessionStore, Exchange {
    struct Refused: Error {}

    var names = Names()
    private(set) var steps: [JSON] = []
    private(set) var held: Set<String> = []
    private(set) var answers: [JSON] = []
    private var keys: [String: Key] = [:]
    private var slots: [String: StoredValue] = [:]
    private let protection: Protection
    private var isRing = false
    private var active: CreatedKey?
    nonisolated let clock: TranscriptClock

    init(protection: Protection, clock: TranscriptClock) {
        self.protection = protection
        self.clock = clock
    }

    func begin(_ answers: [JSON]) {
        steps = []
        self.answers = answers
    }

    func withNames<T: Sendable>(_ work: @Sendable (inout Names) throws -> T) rethrows -> T { try work(&names) }

    func newKey(_ algorithms: [String]) throws -> CreatedKey {
        let key = try Key.generate(algorithm: ["ES256", "Ed25519"].first(where: algorithms.contains) ?? "")
        names.key(key.thumbprint())
        keys[key.thumbprint()] = key
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: protection)
    }

    private func note(_ step: String, _ rest: [String: JSON]) { steps.append(.object(rest.merging(["step": .text(step)]) { $1 })) }

    func noteWait(_ seconds: Int64) { note("wait", seconds == 0 ? ["below": .number(1)] : ["seconds": .number(Double(seconds))]) }

    func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        note("create_key", ["algorithms": .array(algorithms.map(JSON.text)), "protections": .array(protections.map { .text(snakeCase($0)) })])
        guard isRing else { return try newKey(algorithms) }
        var key = try active ?? newKey(algorithms)
        active = key
        key.shared = true
        return key
    }

    func becomeRing() { isRing = true }

    func rotate() { active = nil }

    func sign(_ request: SigningRequest) throws -> Signature {
        note("sign", ["key": .text(names.hide(request.thumbprint)), "for": .text("\(request.purpose)".lowercased())])
        guard let key = keys[request.thumbprint] else { throw KeyFault.missing }
        return Signature(bytes: try key.sign(request.message), encoding: .raw)
    }

    func deleteKey(thumbprint: String) {
        note("delete_key", ["key": .text(names.hide(thumbprint))])
        keys[thumbprint] = nil
    }

    func load(slot: String) -> StoredValue? {
        note("load", ["slot": .text(names.hide(slot))])
        return slots[slot]
    }

    func save(slot: String, expected: Int64?, version: Int64, value: String?) -> Bool {
        let shown = slot.hasPrefix("login/") ? "login/" + names.name("state", String(slot.dropFirst(6))) : slot
        note("save", ["slot": .text(shown), "action": .text(value == nil ? "delete" : "store"), "new": .bool(expected == nil)])
        guard slots[slot]?.version == expected else { return false }
        slots[slot] = value.map { StoredValue(version: version, value: $0) }
        return true
    }

    func lock(_ name: String, lease: Int64) -> any StoreLock {
        note("lock", ["lock": .text(names.hide(name)), "lease": .number(Double(lease))])
        XCTAssertTrue(held.insert(name).inserted, "\(name) is locked twice")
        return Held(host: self, name: name)
    }

    private struct Held: StoreLock {
        let host: TranscriptHost
        let name: String
        func unlock() async { await host.unlock(name) }
    }

    private func unlock(_ name: String) {
        note("unlock", ["lock": .text(names.hide(name))])
        XCTAssertNotNil(held.remove(name))
    }

    func send(_ request: HttpRequest) throws -> HttpResponse {
        note("fetch", ["request": try names.request(request)])
        guard !answers.isEmpty else {
            XCTFail("the transcript has no further answer")
            throw Refused()
        }
        let answer = answers.removeFirst()
        guard answer != .null else { throw Refused() }
        guard answer != .text("not_sent") else { throw NotSent(cause: Refused()) }
        let body = answer["body"].map { $0.text ?? names.show($0.written, "key-") } ?? ""
        let headers = (answer["fields"]?.members ?? [:]).flatMap { field in
            (field.value.elements.isEmpty ? [field.value] : field.value.elements).map { Header(name: field.key, value: names.show($0.text ?? "", "key-")) }
        }
        return HttpResponse(status: Int32(answer.number("status") ?? 0), headers: headers, body: Data(body.utf8))
    }
}

/// A clock that stands still.
final class TranscriptClock: @unchecked Sendable {
    private let lock = NSLock()
    private var time: Int64

    init(_ begin: Int64) { time = begin }

    var now: Int64 { lock.withLock { time } }
    func advance(_ seconds: Int64) { lock.withLock { time += seconds } }
}

/// Plays a transcript back: the same operations with the written answers give the same steps and outcomes.
final class FlowPlayer {
    private let vector: JSON
    private let host: TranscriptHost
    private let drives: FlowHost
    private let client: CoreClient
    private var sessions: [String: Session] = [:]
    private var discovered: Discovered?
    private var device: DeviceLogin?

    init(_ vector: JSON) async throws {
        self.vector = vector
        let config = try XCTUnwrap(vector["client"])
        let clock = TranscriptClock(try XCTUnwrap(vector.number("begin")))
        let places: [Protection] = [.software, .osStore, .browserNonExtractable, .tee, .strongBox, .secureEnclave, .hsm, .remoteKms]
        let place = config.text("protection") ?? "software"
        let host = TranscriptHost(protection: try XCTUnwrap(places.first { snakeCase($0) == place }), clock: clock)
        self.host = host
        drives = FlowHost(keys: host, sessions: host, exchange: host, now: { clock.now }) { milliseconds in
            await host.noteWait(milliseconds / 1_000)
            clock.advance(milliseconds / 1_000)
        }
        client = try CoreClient(options: try await Self.options(config, host))
        if config.flag("ring") { await host.becomeRing() }
    }

    private static func level(_ name: String?) -> SecurityLevel? {
        [SecurityLevel.standard, .enhanced, .maximum].first { "\($0)" == name }
    }

    private static func options(_ config: JSON, _ host: TranscriptHost) async throws -> ClientOptions {
        let known: Set = [
            "level", "redirect_uri", "credentials", "metadata_document", "register", "accept_issuers", "entra_tenant", "servers", "also_origins",
            "algorithms", "hardware_keys", "allow_loopback", "push_with_proof", "danger_assume_pkce", "danger_assume_endpoints",
            "danger_accept_bearer", "protection", "ring",
        ]
        XCTAssertEqual(Set(config.members.keys).subtracting(known), [], "every option is carried over")
        var credentials: [Credentials] = []
        for given in config["credentials"]?.elements ?? [] {
            let key = given.text("method") == "private_key_jwt" ? try await host.newKey(["ES256"]) : nil
            credentials.append(
                Credentials(
                    issuer: given.text("issuer") ?? "", clientId: given.text("client_id") ?? "", method: given.text("method"),
                    secret: given.text("secret"), publicJwk: key?.publicJwk, algorithm: key?.algorithm, keyId: key == nil ? nil : "client-key"))
        }
        func texts(_ name: String) -> [String]? { config[name]?.elements.compactMap(\.text) }
        return ClientOptions(
            level: try XCTUnwrap(level(config.text("level"))), redirectUri: config.text("redirect_uri"), credentials: credentials,
            metadataDocument: config.text("metadata_document"), register: config["register"]?.written,
            acceptIssuers: texts("accept_issuers") ?? [], entraTenant: config.text("entra_tenant"), servers: (config["servers"]?.elements ?? []).map(\.written),
            alsoOrigins: texts("also_origins") ?? [], algorithms: texts("algorithms"), hardwareKeys: config.flag("hardware_keys"),
            allowLoopback: config.flag("allow_loopback"), pushWithProof: config.flag("push_with_proof"),
            dangerAssumePkce: config.flag("danger_assume_pkce"), dangerAssumeEndpoints: config.flag("danger_assume_endpoints"),
            dangerAcceptBearer: config.flag("danger_accept_bearer"))
    }

    /// Does each operation, and compares every step and the outcome.
    func play() async throws {
        for turn in vector["flow"]?.elements ?? [] {
            let operation = try XCTUnwrap(turn["operation"])
            let written = turn["steps"]?.elements ?? []
            await host.begin(written.filter { $0.text("step") == "fetch" }.compactMap { $0["answer"] })
            var outcome: JSON
            do {
                outcome = try await perform(operation)
            } catch let error as ClientError {
                // The network's own error comes out as it is; the core calls it the host's.
                outcome = .object(["error": .text(error.keybound?.reason ?? "host")])
            } catch let error as KeyboundError {
                outcome = .object(["error": .text(error.reason)])
            }
            let expected = written.map { JSON.object($0.members.filter { $0.key != "answer" }) }
            let steps = await host.steps
            XCTAssertEqual(steps.prefix(expected.count).map(\.written), expected.map(\.written), operation.written)
            // Locks that a failed flow held are given back without a step of the core.
            XCTAssertTrue(steps.dropFirst(expected.count).allSatisfy { $0.text("step") == "unlock" }, operation.written)
            XCTAssertEqual(outcome.written, turn["outcome"]?.written, operation.written)
            let (held, answers) = await (host.held, host.answers)
            XCTAssertTrue(held.isEmpty && answers.isEmpty, "no lock is held, and every answer was asked for")
        }
    }

    private func perform(_ given: JSON) async throws -> JSON {
        let what = try XCTUnwrap(given.text("do"))
        if what == "wait" {
            host.clock.advance(given.number("seconds") ?? 0)
            return .object([:])
        }
        if what == "rotate" {
            await host.rotate()
            return .object([:])
        }
        let session = given.text("session").flatMap { sessions[$0] }
        if what == "look" { return looked(try XCTUnwrap(session), given["members"]?.elements.compactMap(\.text) ?? []) }
        let flow = try client.begin(operation: try await operation(what, given, session), now: host.clock.now)
        return try await shown(what, try await drive(flow, drives), session)
    }

    private func operation(_ what: String, _ given: JSON, _ session: Session?) async throws -> CoreOperation {
        func needed(_ name: String) throws -> String { try XCTUnwrap(given.text(name), name) }
        switch what {
        case "discover":
            let challenges = given["challenges"]?.elements.compactMap(\.text)
            return .discover(target: try needed("target"), challenges: challenges, issuer: given["issuer"]?.text)
        case "discover_issuer": return .discoverIssuer(issuer: try needed("issuer"))
        case "authorize": return .authorize(request: try request(given, session))
        case "step_up": return .stepUp(session: try XCTUnwrap(session), scope: try needed("scope"))
        case "exchange":
            let callback = try needed("callback")
            return .exchange(callback: await host.withNames { $0.show(callback) })
        case "client_credentials": return .clientCredentials(request: try request(given, session))
        case "token_exchange": return .tokenExchange(request: try request(given, session), exchange: try exchanged(given))
        case "exchange_for": return .exchangeFor(request: try request(given, session), exchange: try exchanged(given))
        case "jwt_bearer": return .jwtBearer(request: try request(given, session), assertion: try needed("assertion"))
        case "device": return .device(request: try request(given, session))
        case "poll_device": return .pollDevice(device: try XCTUnwrap(device))
        case "open": return .open(name: try needed("session"), boundTo: given.text("bound_to"))
        case "keep": return .keep(session: try XCTUnwrap(session))
        case "refresh": return .refresh(session: try XCTUnwrap(session))
        case "rekey": return .rekey(session: try XCTUnwrap(session))
        case "revoke": return .revoke(session: try XCTUnwrap(session))
        case "end": return .end(session: try XCTUnwrap(session))
        case "introspect":
            return .introspect(discovered: try XCTUnwrap(discovered), token: try XCTUnwrap(session?.dangerAccessToken()))
        case "call":
            let headers = (given["headers"]?.elements ?? []).map { Header(name: $0.elements[0].text ?? "", value: $0.elements[1].text ?? "") }
            let bodies: [CallBody] = [.empty, .repeatable, .oneShot]
            let body = try XCTUnwrap(bodies.first { snakeCase($0) == given.text("body") ?? "empty" })
            let request = CallRequest(method: given.text("method") ?? "GET", url: try needed("url"), headers: headers, body: body)
            return .call(session: try XCTUnwrap(session), request: request)
        default:
            throw UnknownOperation(name: what)
        }
    }

    private func exchanged(_ given: JSON) throws -> ExchangeRequest {
        ExchangeRequest(
            subjectToken: try XCTUnwrap(given.text("subject_token")), subjectTokenType: try XCTUnwrap(given.text("subject_token_type")),
            actorToken: given.text("actor_token"), actorTokenType: given.text("actor_token_type"),
            requestedTokenType: given.text("requested_token_type"), audience: given.text("audience"))
    }

    private func request(_ given: JSON, _ session: Session?) throws -> SessionRequest {
        let known: Set = [
            "do", "session", "again", "scope", "resource", "level", "authorization_details", "intent", "intent_lifetime", "offline_access",
            "parameters", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "audience",
            "assertion", "expect_subject", "provisional", "without_pushed_request", "without_resource", "scope_on_refresh",
            "danger_assume_pkce",
        ]
        XCTAssertEqual(Set(given.members.keys).subtracting(known), [], "every argument is carried over")
        let begin: SessionStart =
            if given.flag("again"), let session {
                .again(session: session)
            } else {
                .new(name: try XCTUnwrap(given.text("session")), discovered: try XCTUnwrap(discovered))
            }
        return SessionRequest(
            begin: begin, scope: given.text("scope"), resource: given.text("resource"), level: Self.level(given.text("level")),
            authorizationDetails: given["authorization_details"]?.written, intent: given["intent"]?.written,
            intentLifetime: given.number("intent_lifetime"), offlineAccess: given.flag("offline_access"),
            parameters: (given["parameters"]?.members ?? [:]).compactMapValues(\.text), expectSubject: given.text("expect_subject"),
            provisional: given.flag("provisional"), withoutPushedRequest: given.flag("without_pushed_request"),
            withoutResource: given.flag("without_resource"), scopeOnRefresh: given.flag("scope_on_refresh"),
            dangerAssumePkce: given.flag("danger_assume_pkce"))
    }

    private func shown(_ what: String, _ outcome: Outcome, _ session: Session?) async throws -> JSON {
        switch outcome {
        case .found(let found):
            discovered = found
            return .object(["issuer": .text(found.issuer()), "resource": .optional(found.resource())])
        case .loginBegun(let authorization):
            let parts = authorization.url.split(separator: "?", maxSplits: 1).map(String.init)
            let query = try await host.withNames { try $0.form(parts[1]) }
            return .object(["url": .text(parts[0]), "query": query, "pushed": .bool(authorization.pushed)])
        case .opened(let session):
            sessions[session.info().name] = session
            return await shown(session)
        case .devicePrompted(let login, let prompt):
            device = login
            return .object(["user_code": .text(prompt.userCode), "verification_uri": .text(prompt.verificationUri)])
        case .tokenIssued(let token):
            return .object(["token": .text(token.token), "token_type": .text(token.tokenType)])
        case .claims(let json):
            return try JSON.parse(await host.withNames { $0.hide(json) })
        case .answered(let answer):
            let demand: JSON =
                switch answer.demand {
                case nil: .null
                case .login: .text("login")
                case .stepUp(let scope): .object(["step_up": .text(scope)])
                case .resend: .text("resend")
                }
            var shown: [String: JSON] = ["status": .number(Double(answer.status)), "url": .text(answer.url), "demand": demand]
            if answer.ignoredChallenge != nil { shown["ignored_challenge"] = .bool(true) }
            return .object(shown)
        case .ended(let revoked):
            return .object(["revoked": .bool(revoked)])
        case .nothing:
            guard ["refresh", "rekey"].contains(what), let session else { return .object([:]) }
            return await shown(session)
        }
    }

    private func looked(_ session: Session, _ members: [String]) -> JSON {
        let subject = session.info().subject.map { JSON.object(["issuer": .text($0.issuer), "sub": .text($0.sub)]) }
        let values = members.map { ($0, JSON.optional(session.member($0))) }
        return .object(["subject": subject ?? .null, "members": .object(Dictionary(uniqueKeysWithValues: values))])
    }

    private func shown(_ session: Session) async -> JSON {
        let info = session.info()
        let names = await host.names
        return .object([
            "session": .text(info.name), "level": .text("\(info.level)"), "issuer": .text(info.issuer), "resource": .optional(info.resource),
            "scope": .optional(info.scope), "key": .optional(info.thumbprint.map(names.hide)),
            "access_token": .optional(session.dangerAccessToken()), "expires_at": info.expiresAt.map { .number(Double($0)) } ?? .null,
        ])
    }
}

/// Every flow transcript is played back (tests/vectors/flows).
final class FlowTests: XCTestCase {
    func testTranscriptsArePlayedBack() async throws {
        let files = try Vectors.list("vectors/flows")
        XCTAssertGreaterThan(files.count, 40)
        for file in files {
            try await FlowPlayer(try Vectors.read("vectors/flows/\(file)")).play()
        }
        print("cases: \(files.count) flows")
    }
}

/// The transcript has an operation that this player does not know.
private struct UnknownOperation: Error {
    let name: String
}
