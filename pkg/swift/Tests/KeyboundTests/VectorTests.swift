import XCTest

@testable import Keybound

/// Every vector has its outcome, in a narrow and in a wide window (tests/vectors/README.md).
final class VectorTests: XCTestCase {
    private struct Window {
        let maxAge: Int64
        let maxAhead: Int64
    }

    private let windows = [Window(maxAge: 60, maxAhead: 10), Window(maxAge: 300, maxAhead: 60)]
    private let nobody = String(repeating: "A", count: 43)

    /// All that this build can verify: the text of a mistake lists the names.
    private static let all: [String] = {
        do throws(KeyboundError) {
            _ = try Verifier(options: VerifierOptions(algorithms: ["none"]))
        } catch {
            let names = error.fault.detail.components(separatedBy: "there are: ").last?.components(separatedBy: ", ") ?? []
            return names.filter { (try? Verifier(options: VerifierOptions(algorithms: [$0]))) != nil }
        }
        return []
    }()

    private func thumbprintOf(_ proofs: [String]) -> String? {
        guard let jwk = proofs.first.flatMap({ part($0, 0) })?["jwk"] else { return nil }
        return try? thumbprint(of: jwk.written)
    }

    /// Presents an entry; what it leaves out is taken from the proof itself, since that is not what it tests.
    private func present(_ entry: JSON, _ window: Window) throws -> String {
        let allowed = entry["allowed_algs"].map { $0.elements.compactMap(\.text) }
        let algorithms = Self.all.filter { allowed?.contains($0) ?? true }
        if algorithms.isEmpty { return "alg_not_permitted" }
        let proofs = entry["proof"].map { $0.text.map { [$0] } ?? $0.elements.compactMap(\.text) } ?? []
        let claims = proofs.first.flatMap { part($0, 1) }
        let now = entry.number("now") ?? claims?.number("iat") ?? Int64(Date().timeIntervalSince1970)
        let nonces = entry["nonce_issuer"].map { issuer in
            NonceOptions(
                keys: [NonceKey(id: Int32(issuer.number("key_id") ?? 0), secret: issuer.text("secret") ?? "")],
                namespace: issuer.text("namespace"))
        }
        let options = VerifierOptions(
            algorithms: algorithms, maxAge: entry.number("max_age") ?? window.maxAge,
            maxAhead: entry.number("max_ahead") ?? window.maxAhead, bareHtu: entry.flag("bare_htu"), nonces: nonces)
        let usesStore = entry["already_used"] != nil || entry.has("store_floor")
        let floor = entry.number("store_floor") ?? now - 3600
        let store = usesStore ? try MemoryReplayStore(options: options, capacity: 1024, now: floor) : nil
        let verifier = try Verifier(options: options, replay: store)

        func judge(_ shown: [String], _ jkt: String?) throws -> String {
            let isThumbprint = jkt?.range(of: "^[A-Za-z0-9_-]{43}$", options: .regularExpression) != nil
            let bound = jkt.map { isThumbprint ? $0 : nobody } ?? thumbprintOf(shown)
            let token = entry.text("access_token")
            let presented = presentedProof(
                method: entry.text("method") ?? claims?.text("htm") ?? "GET", url: entry.text("url") ?? claims?.text("htu") ?? "",
                proofs: shown, accessToken: token, boundTo: token == nil ? bound : bound ?? nobody, expectedNonce: entry.text("nonce"))
            do throws(KeyboundError) {
                if let store {
                    _ = try verifier.verify(presented, in: store, now: now)
                } else {
                    _ = try verifier.check(presented, now: now)
                }
                return "accepted"
            } catch {
                if case .misuse = error { throw error }
                return error.reason
            }
        }
        if let used = entry["already_used"] { _ = try judge(used.text.map { [$0] } ?? proofs, nil) }
        return try judge(proofs, entry.text("jkt"))
    }

    /// With a token it came to a resource, without one to an authorization server.
    private func presentedProof(
        method: String, url: String, proofs: [String], accessToken: String? = nil, boundTo: String? = nil, expectedNonce: String? = nil
    ) -> PresentedProof {
        guard let accessToken else {
            return .atAuthorizationServer(method: method, url: url, proofs: proofs, boundTo: boundTo, expectedNonce: expectedNonce)
        }
        return .atResource(
            method: method, url: url, proofs: proofs, accessToken: accessToken, boundTo: boundTo ?? "", expectedNonce: expectedNonce)
    }

    private func isLacking(_ entry: JSON, _ reason: String) -> Bool {
        let header = entry.text("proof").flatMap { part($0, 0) }
        return ["alg_unknown", "alg_unavailable"].contains(reason)
            || (reason == "alg_not_permitted" && !Self.all.contains(header?.text("alg") ?? ""))
            || (reason == "jwk_unsupported" && header?["jwk"]?.text("crv") == "Ed448")
    }

    func testEveryVectorHasItsOutcome() throws {
        var passed = 0
        for window in windows {
            var skipped: [String] = []
            for entry in try Vectors.proofs() {
                let id = entry.text("id") ?? ""
                // No build for Swift can be made without algorithms.
                if entry.flag("without_verifiers") {
                    skipped.append(id)
                    continue
                }
                let outcome = try present(entry, window)
                if outcome != "accepted", outcome != entry.text("rejection"), isLacking(entry, outcome) {
                    skipped.append(id)
                    continue
                }
                switch entry.text("expect") {
                case "accept": XCTAssertEqual(outcome, "accepted", id)
                case "reject": XCTAssertEqual(outcome, entry.text("rejection"), id)
                default: XCTAssertEqual(entry.text("expect"), "either", id)
                }
                passed += 1
            }
            XCTAssertEqual(skipped.sorted(), ["key-ed448", "own-alg-not-in-build"])
        }
        XCTAssertGreaterThan(passed, 900)
        // Read by the project's test command, which counts each.
        print("cases: \(passed) vectors")
    }

    func testAWrongExpectationIsNoticed() throws {
        guard let entry = try Vectors.read("vectors/accepted.json").elements.first else { return XCTFail("no vectors") }
        XCTAssertEqual(try present(entry, windows[0]), "accepted")
        XCTAssertEqual(try present(.object(entry.members.merging(["now": .number(1_900_000_000)]) { $1 }), windows[0]), "iat_too_old")
    }

    func testMessagesNameOptionsAsSwiftWritesThem() {
        XCTAssertThrowsError(try Verifier(options: VerifierOptions(maxAge: 1_000))) { error in
            let detail = (error as? KeyboundError)?.fault.detail ?? ""
            XCTAssertTrue(detail.hasPrefix("maxAge "), detail)
        }
        let advice = reasons()
        XCTAssertTrue(advice.contains(" dangerFirstStart.") && !advice.contains("danger_first_start"), advice)
    }

    func testTheReasonsAreThoseOfTheContract() throws {
        let own = try JSON.parse(reasons())
        func picked(_ list: String, _ names: [String]) -> JSON {
            .array((own[list]?.elements ?? []).map { one in .object(one.members.filter { names.contains($0.key) }) })
        }
        XCTAssertEqual(picked("rejections", ["reason", "check", "section"]), try Vectors.read("contract/reasons.json"))
        XCTAssertEqual(picked("token_rejections", ["reason", "status", "error"]), try Vectors.read("contract/token_reasons.json"))
    }

    func testEveryMistakeIsFoundInOneRun() throws {
        for entry in try Vectors.read("vectors/explained/mistakes.json").elements {
            let options = VerifierOptions()
            let store = try entry.number("store_floor").map {
                try MemoryReplayStore(options: options, now: $0, dangerFirstStart: entry.flag("first_start"))
            }
            let presented = presentedProof(
                method: entry.text("method") ?? "", url: entry.text("url") ?? "", proofs: [entry.text("proof") ?? ""],
                accessToken: entry.text("access_token"), boundTo: entry.text("jkt"))
            let explained = try Verifier(options: options).explain(presented, in: store, now: entry.number("now"))
            let unmet = explained.checks.filter { $0.reason != nil || $0.because != nil }.map { [$0.check, $0.reason, $0.because] }
            let expected = (entry["unmet"]?.elements ?? []).map { [$0.text("check"), $0.text("reason"), $0.text("because")] }
            XCTAssertEqual(unmet, expected, entry.text("id") ?? "")
            XCTAssertEqual(explained.reason, expected.lazy.compactMap { $0[1] }.first)
        }
    }

    func testARefusedProofIsExplained() throws {
        let entry = try XCTUnwrap(Vectors.read("vectors/method.json").elements.first)
        let presented = presentedProof(
            method: entry.text("method") ?? "GET", url: entry.text("url") ?? "https://a.example", proofs: [entry.text("proof") ?? ""])
        let explained = try Verifier(options: VerifierOptions()).explain(presented, now: entry.number("now"))
        XCTAssertFalse(explained.accepted)
        let failed = try XCTUnwrap(explained.checks.first { $0.outcome == .failed })
        XCTAssertFalse(failed.fix?.isEmpty ?? true)
        XCTAssertEqual(explained.reason, try JSON.parse(explained.json).text("reason"))
    }
}
