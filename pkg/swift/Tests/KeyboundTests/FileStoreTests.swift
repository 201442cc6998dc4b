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
