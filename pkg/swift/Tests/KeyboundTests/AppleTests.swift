#if STAND_INS
import AuthenticationServices
import Foundation
import Security
import XCTest

@testable import Keybound

/// Keys, sessions and logins of Apple's systems, with stand-ins for their modules (Tests/Stubs).
final class AppleTests: XCTestCase {
    private let place = KeychainPlace(account: "alice")
    private let everywhere: [Protection] = [.secureEnclave, .osStore, .software]

    override func setUp() {
        Device.current.reset()
        Device.current.keyPair = {
            guard let signer = try? DERSigner(), let jwk = try? JSON.parse(signer.publicJwk) else { fatalError("no key") }
            let point = ["x", "y"].reduce(into: Data([4])) { $0 += base64url(jwk.text($1) ?? "") }
            return (point, { (try? signer.signed($0)) ?? Data() })
        }
    }

    private func keys(_ told: Told) -> SecureEnclaveKeys { SecureEnclaveKeys(place: place) { told.add($0) } }

    func testAKeyOfTheSecureEnclaveSigns() async throws {
        let told = Told()
        let created = try await keys(told).createKey(algorithms: ["ES256"], protections: everywhere)
        XCTAssertEqual(created.protection, .secureEnclave)
        XCTAssertEqual(told.all, [])
        // The signature is verified when it is attached.
        let unsigned = try prepare(method: "GET", url: "https://a.example/", publicJwk: created.publicJwk, algorithm: "ES256")
        let request = SigningRequest(
            thumbprint: try thumbprint(of: created.publicJwk), purpose: .proof, algorithm: "ES256", message: unsigned.message(),
            digest: unsigned.digest())
        _ = try unsigned.attach(try await keys(told).sign(request))
    }

    func testOnlyADeviceWithoutASecureEnclaveFallsBack() async throws {
        let told = Told()
        for status in [errSecInteractionNotAllowed, errSecUserCanceled] {
            Device.current.making = status
            let error = await thrown { try await keys(told).createKey(algorithms: ["ES256"], protections: everywhere) }
            guard case .unreadable = error as? KeyFault else { return XCTFail("\(String(describing: error))") }
        }
        XCTAssertTrue(Device.current.items.isEmpty && told.all.isEmpty, "a locked device or a prompt that was refused is no downgrade")
        Device.current.making = errSecSuccess
        Device.current.hasSecureEnclave = false
        let created = try await keys(told).createKey(algorithms: ["ES256"], protections: everywhere)
        XCTAssertEqual(created.protection, .osStore)
        XCTAssertEqual(told.all, ["this device has no Secure Enclave"])
        let refused = await thrown { try await keys(told).createKey(algorithms: ["ES256"], protections: [.secureEnclave]) }
        XCTAssertTrue(refused is NoSuchKey)
    }

    func testAReplacedItemGetsThePresentAccessibility() async throws {
        let before = KeychainSessions(place: KeychainPlace(account: "alice", accessibility: .whenUnlocked))
        let stored = try await before.save(slot: "session/work", expected: nil, version: 1, value: "a secret")
        XCTAssertTrue(stored)
        XCTAssertEqual(Device.current.items.first?[kSecAttrAccessible] as? String, kSecAttrAccessibleWhenUnlockedThisDeviceOnly)
        let now = KeychainSessions(place: KeychainPlace(account: "alice", accessibility: .whenPasscodeSet))
        let replaced = try await now.save(slot: "session/work", expected: 1, version: 2, value: "another")
        XCTAssertTrue(replaced)
        XCTAssertEqual(Device.current.items.first?[kSecAttrAccessible] as? String, kSecAttrAccessibleWhenPasscodeSetThisDeviceOnly)
        let loaded = try await now.load(slot: "session/work")
        XCTAssertEqual(loaded, StoredValue(version: 2, value: "another"))
    }

    func testALockOfTheKeychainThatStaysHeldIsGivenUp() async throws {
        let sessions = KeychainSessions(place: place)
        let held = try await sessions.lock("session/work", lease: 90)
        let error = await thrown { try await sessions.lock("session/work", lease: 0) } as? KeyboundError
        XCTAssertEqual(error?.reason, "lock_timeout")
        await held.unlock()
        await (try await sessions.lock("session/work", lease: 0)).unlock()
    }

    func testAKeyThatNoSessionNamesIsFoundAndNoOther() async throws {
        let (told, sessions) = (Told(), KeychainSessions(place: place))
        let keys = self.keys(told)
        let own = try await keys.createKey(algorithms: ["ES256"], protections: everywhere, owner: sessions.owner)
        let others = [
            try await keys.createKey(algorithms: ["ES256"], protections: everywhere),
            try await keys.createKey(algorithms: ["ES256"], protections: everywhere, owner: "other sessions"),
        ]
        _ = try await sessions.save(slot: "session/work", expected: nil, version: 1, value: "not a session")
        let later: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + 3 * 3600 }
        func sweep() async throws { await (try XCTUnwrap(Sweeper(keys: keys, sessions: sessions, now: later))).sweepIfDue() }
        func signs(_ key: CreatedKey) async throws -> Bool {
            let request = SigningRequest(
                thumbprint: try thumbprint(of: key.publicJwk), purpose: .proof, algorithm: "ES256", message: Data("a".utf8), digest: nil)
            do { _ = try await keys.sign(request) } catch KeyFault.missing { return false }
            return true
        }
        // As long as there is something that cannot be read, it may name the key.
        try await sweep()
        let kept = try await signs(own)
        XCTAssertTrue(kept)
        _ = try await sessions.save(slot: "session/work", expected: 1, version: 2, value: nil)
        try await sweep()
        let swept = try await signs(own)
        XCTAssertFalse(swept)
        for key in others {
            let stays = try await signs(key)
            XCTAssertTrue(stays)
        }
    }

    @MainActor
    func testALoginEndsOnceHoweverItEnds() async throws {
        let anchor = ASPresentationAnchor()
        let login = WebLogin(anchor: anchor)
        let authorization = Authorization(url: "https://as.example.com/?state=a", state: "a", expiresAt: 1, pushed: true)
        func began() async throws -> (Task<String, any Error>, ASWebAuthenticationSession) {
            ASWebAuthenticationSession.shown = nil
            let task = Task { try await login.open(authorization, callbackScheme: "com.example.app") }
            while ASWebAuthenticationSession.shown == nil { await Task.yield() }
            return (task, try XCTUnwrap(ASWebAuthenticationSession.shown))
        }
        let callback = "com.example.app:/callback?code=b"
        let (task, session) = try await began()
        session.completion(URL(string: callback), nil)
        session.completion(nil, URLError(.cancelled))
        let url = try await task.value
        XCTAssertEqual(url, callback)

        let (cancelled, second) = try await began()
        cancelled.cancel()
        let error = await failure(of: cancelled)
        XCTAssertTrue(error is CancellationError, "\(String(describing: error))")
        XCTAssertNil(ASWebAuthenticationSession.shown, "the window is closed")
        second.completion(nil, URLError(.cancelled))

        let (earlier, _) = try await began()
        let (later, third) = try await began()
        let superseded = await failure(of: earlier)
        XCTAssertTrue(superseded is CancellationError)
        third.completion(URL(string: callback), nil)
        _ = try await later.value

        ASWebAuthenticationSession.canShow = false
        defer { ASWebAuthenticationSession.canShow = true }
        let notShown = await failure(of: Task { try await login.open(authorization, callbackScheme: "com.example.app") })
        XCTAssertTrue(notShown is WebLoginNotShown)
    }
}

/// What a task ended by.
private func failure(of task: Task<String, any Error>) async -> (any Error)? {
    if case .failure(let error) = await task.result { error } else { nil }
}

/// What was told, from whichever task.
private final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var texts: [String] = []

    var all: [String] { lock.withLock { texts } }
    func add(_ text: String) { lock.withLock { texts.append(text) } }
}

private func base64url(_ text: String) -> Data {
    let plain = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
    return Data(base64Encoded: plain + String(repeating: "=", count: (4 - plain.count % 4) % 4)) ?? Data()
}
#endif
