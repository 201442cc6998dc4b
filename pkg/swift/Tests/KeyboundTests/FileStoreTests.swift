import Foundation
import XCTest

@testable import Keybound

/// Sessions and keys in a folder.
final class FileStoreTests: XCTestCase {
    private var temporary = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        temporary = FileManager.default.temporaryDirectory.appendingPathComponent("keybound-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: temporary)
    }

    private func mode(_ file: URL) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
    }

    func testKeepsSessionsForTheirOwnerAlone() async throws {
        let folder = temporary.appendingPathComponent("sessions")
        let served = try Served()
        let first = try FileStore(folder: folder)
        let session = try await KeyboundClient(served, keys: first, sessions: first).login(served)
        for kind in ["session", "key"] {
            let place = folder.appendingPathComponent(kind)
            XCTAssertEqual(try mode(place), 0o700)
            for file in try FileManager.default.contentsOfDirectory(at: place, includingPropertiesForKeys: nil) {
                XCTAssertEqual(try mode(file), 0o600)
            }
        }
        let store = try FileStore(folder: folder)
        let names = try await store.sessions()
        XCTAssertEqual(names, ["work"])
        let again = try KeyboundClient(served, keys: store, sessions: store)
        let key = try XCTUnwrap(session.info().thumbprint)
        let opened = try await again.open("work", boundTo: key)
        let (_, response) = try await again.data(for: try get(served.resource), session: opened)
        XCTAssertEqual(response.statusCode, 200)

        let other = try Key.generate().thumbprint()
        let bound = await thrown { try await again.open("work", boundTo: other) } as? ClientError
        XCTAssertEqual(bound?.keybound?.reason, "stored_key")
        let none = await thrown { try await again.open("none") } as? ClientError
        XCTAssertEqual(none?.keybound?.reason, "no_session")

        // The key is damaged, then another, then lost.
        let file = folder.appendingPathComponent("key").appendingPathComponent(storedFileName(text: key))
        try Data("no key".utf8).write(to: file)
        guard case .store(let fault) = await thrown({ try await again.data(for: try get(served.resource), session: opened) }) as? ClientError,
            case .unreadable = fault as? KeyFault
        else { return XCTFail("an unreadable key") }
        try Data(try Key.generate().dangerPrivateJwk().utf8).write(to: file)
        let changed = await thrown { try await again.data(for: try get(served.resource), session: opened) } as? ClientError
        XCTAssertEqual(changed?.keybound?.reason, "key_changed")
        try FileManager.default.removeItem(at: file)
        let lost = await thrown { try await again.data(for: try get(served.resource), session: opened) } as? ClientError
        XCTAssertEqual(lost?.keybound?.reason, "key_missing")
    }

    func testASessionOfTheProgramIsUsedHere() async throws {
        let served = try Served()
        let folder = temporary.appendingPathComponent("shared")
        let program = Process()
        program.executableURL = URL(fileURLWithPath: try Served.program())
        program.arguments = ["login", served.resource, "--device", "--session", "work", "--folder", folder.path]
        let output = Pipe()
        program.standardOutput = output
        try program.run()
        // It is at its end when it writes no more.
        _ = try output.fileHandleForReading.readToEnd()
        let store = try FileStore(folder: folder)
        let client = try KeyboundClient(options: ClientOptions(level: .enhanced, allowLoopback: true), keys: store, sessions: store)
        let (_, response) = try await client.data(for: try get(served.resource), session: try await client.open("work"))
        XCTAssertEqual(response.statusCode, 200)
    }

    func testAFolderThatOthersCanReadIsRefused() throws {
        let folder = temporary.appendingPathComponent("open")
        _ = try FileStore(folder: folder)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder.path)
        XCTAssertThrowsError(try FileStore(folder: folder)) { XCTAssertTrue("\($0)".contains("chmod 700")) }
    }

    func testAFolderThatIsALinkOrAnothersIsRefusedAndLinksAreNotFollowed() async throws {
        let own = temporary.appendingPathComponent("own")
        let store = try FileStore(folder: own)
        let manager = FileManager.default
        func refused(_ folder: URL) -> String {
            do {
                _ = try FileStore(folder: folder)
                return "not refused"
            } catch {
                return "\(error)"
            }
        }
        let link = temporary.appendingPathComponent("link")
        try manager.createSymbolicLink(at: link, withDestinationURL: own)
        XCTAssertTrue(refused(link).contains("is a link"), refused(link))

        // What lies elsewhere is neither read nor written.
        _ = try await store.save(slot: "session/work", expected: nil, version: 1, value: "secret")
        let (inside, elsewhere) = (own.appendingPathComponent("session/work"), temporary.appendingPathComponent("elsewhere"))
        try manager.moveItem(at: inside, to: elsewhere)
        try manager.createSymbolicLink(at: inside, withDestinationURL: elsewhere)
        let unread = await thrown { try await store.load(slot: "session/work") }
        XCTAssertTrue(unread is FileStoreError)
        let made = temporary.appendingPathComponent("made")
        try manager.createSymbolicLink(at: own.appendingPathComponent("lock/a"), withDestinationURL: made)
        let unlocked = await thrown { try await store.lock("a", lease: 30) }
        XCTAssertTrue(unlocked is KeyboundError && !manager.fileExists(atPath: made.path))

        // Root alone can give a folder away.
        let given = temporary.appendingPathComponent("given")
        _ = try FileStore(folder: given)
        if chown(given.path, 4242, UInt32.max) == 0 { XCTAssertTrue(refused(given).contains("user 4242"), refused(given)) }
    }

    func testAForgottenLoginTakesItsKeyWithItAndAKeyWithoutANameIsFound() async throws {
        let served = try Served()
        let folder = temporary.appendingPathComponent("swept")
        let file = try FileStore(folder: folder)
        let pairs: [(any SweptKeyStore, any SweptSessionStore)] = [(file, file), (SoftwareKeys(), MemorySessions())]
        for (keys, sessions) in pairs {
            let client = try KeyboundClient(served, keys: keys, sessions: sessions)
            let session = try await client.login(served)
            let begin = SessionStart.new(name: "abandoned", discovered: try await client.discover(served.resource))
            _ = try await client.authorize(SessionRequest(begin: begin))
            _ = try await keys.createKey(algorithms: ["ES256"], protections: [.software], owner: sessions.owner)
            let others = try await keys.createKey(algorithms: ["ES256"], protections: [.software], owner: "the sessions of another store")
            let given = try Key.generate()
            if let keys = keys as? SoftwareKeys { await keys.add(given) } else { try await file.add(given) }
            let before = (try await keys.made(owner: sessions.owner), try await sessions.stored().filter { $0.slot.hasPrefix("login/") })
            XCTAssertEqual([before.0.count, before.1.count], [3, 1])

            let later = try KeyboundClient(
                options: served.options, keys: keys, sessions: sessions, now: { Int64(Date().timeIntervalSince1970) + 3 * 3600 })
            let opened = try await later.open("work")
            let after = (try await keys.made(owner: sessions.owner), try await sessions.stored().filter { $0.slot.hasPrefix("login/") })
            XCTAssertEqual(after.0.map(\.thumbprint), [session.info().thumbprint])
            XCTAssertEqual(after.1.count, 0)
            for jwk in [others.publicJwk, given.publicJwk()] {
                let request = SigningRequest(
                    thumbprint: try thumbprint(of: jwk), purpose: .proof, algorithm: "ES256", message: Data("kept".utf8), digest: nil)
                _ = try await keys.sign(request)
            }
            try await client.end(opened)
            let ended = try await keys.made(owner: sessions.owner)
            XCTAssertEqual(ended, [])
        }
        XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("made").path), [])
    }

    func testWhatAWriteHasLeftBehindIsRemovedWhenItIsOld() throws {
        let folder = temporary.appendingPathComponent("left")
        _ = try FileStore(folder: folder)
        let files = [folder.appendingPathComponent("session/.new-a"), folder.appendingPathComponent("made/b")]
        for file in files { try Data("a secret".utf8).write(to: file) }
        let exist = { files.filter { FileManager.default.fileExists(atPath: $0.path) }.count }
        _ = try FileStore(folder: folder)
        XCTAssertEqual(exist(), 2, "another process may be writing them")
        for file in files { try FileManager.default.setAttributes([.modificationDate: Date() - 3_700], ofItemAtPath: file.path) }
        _ = try FileStore(folder: folder)
        XCTAssertEqual(exist(), 0)
    }

    func testValuesAreReplacedByVersionAndLocksTakenInTurn() async throws {
        let folder = temporary.appendingPathComponent("versions")
        let (one, other) = (try FileStore(folder: folder), try FileStore(folder: folder))
        let slot = "session/" + String(repeating: "ä/", count: 900)
        let first = try await one.save(slot: slot, expected: nil, version: 1, value: "first\nsecond")
        let late = try await other.save(slot: slot, expected: nil, version: 1, value: "late")
        XCTAssertTrue(first && !late)
        let loaded = try await other.load(slot: slot)
        XCTAssertEqual(loaded?.value, "first\nsecond")
        let replaced = try await other.save(slot: slot, expected: 1, version: 2, value: "new")
        let deleted = try await one.save(slot: slot, expected: 2, version: 3, value: nil)
        XCTAssertTrue(replaced && deleted)
        let gone = try await one.load(slot: slot)
        XCTAssertNil(gone)

        let held = try await one.lock("a", lease: 30)
        let waiting = Task { try await other.lock("a", lease: 30) }
        try await Task.sleep(nanoseconds: 100_000_000)
        let given = Task { try await one.lock("a", lease: 30) }
        given.cancel()
        _ = await thrown { try await given.value }
        await held.unlock()
        await (try await waiting.value).unlock()
        let again = try await one.lock("a", lease: 30)
        await again.unlock()
    }

    func testMemoryTurns() async throws {
        let store = MemorySessions()
        let held = try await store.lock("a", lease: 30)
        let second = Task { try await store.lock("a", lease: 30) }
        let third = Task { try await store.lock("a", lease: 30) }
        try await Task.sleep(nanoseconds: 20_000_000)
        second.cancel()
        let error = await thrown { try await second.value }
        XCTAssertTrue(error is CancellationError)
        await held.unlock()
        await (try await third.value).unlock()
        await (try await store.lock("a", lease: 30)).unlock()
    }
}
