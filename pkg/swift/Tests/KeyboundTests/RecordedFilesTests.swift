import Foundation
import XCTest

@testable import Keybound

/// The folder that the stores of all languages read, and write byte for byte (`tests/vectors/files`).
final class RecordedFilesTests: XCTestCase {
    private let temporary = FileManager.default.temporaryDirectory.appendingPathComponent("keybound-\(UUID().uuidString)")
    private let recorded = Vectors.root.appendingPathComponent("tests/vectors/files/folder")

    override func tearDown() {
        try? FileManager.default.removeItem(at: temporary)
    }

    /// All files, by their names below the folder.
    private func tree(_ folder: URL) throws -> [String: Data] {
        var tree: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
            var isFolder: ObjCBool = false
            let file = folder.appendingPathComponent(name)
            if FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue {
                tree[name] = try Data(contentsOf: file)
            }
        }
        return tree
    }

    func testWhatIsWrittenIsWhatIsRecorded() async throws {
        let contents = try Vectors.read("vectors/files/contents.json")
        let store = try FileStore(folder: temporary)
        for value in contents["values"]?.elements ?? [] {
            let isSaved = try await store.save(
                slot: try XCTUnwrap(value.text("slot")), expected: nil, version: try XCTUnwrap(value.number("version")),
                value: value.text("value"))
            XCTAssertTrue(isSaved)
        }
        for key in contents["keys"]?.elements ?? [] {
            let thumbprint = try await store.add(try Key.fromJwk(try XCTUnwrap(key.text("jwk"))))
            XCTAssertEqual(thumbprint, key.text("thumbprint"))
        }
        await (try await store.lock(try XCTUnwrap(contents.text("lock")), lease: 0)).unlock()
        XCTAssertEqual(try tree(temporary), try tree(recorded))

        let made = try await store.createKey(algorithms: ["ES256"], protections: [.software], owner: store.owner)
        let (thumbprint, files) = (try thumbprint(of: made.publicJwk), try tree(temporary))
        let written = String(decoding: try XCTUnwrap(files["key/\(thumbprint)"]), as: UTF8.self)
        XCTAssertEqual(try Key.fromJwk(written).dangerPrivateJwk(), written)
        XCTAssertEqual(files["made/\(thumbprint)"], Data())
    }

    func testWhatIsRecordedIsRead() async throws {
        let contents = try Vectors.read("vectors/files/contents.json")
        // Git keeps no modes: the store makes the folders.
        _ = try FileStore(folder: temporary)
        for (name, bytes) in try tree(recorded) { try bytes.write(to: temporary.appendingPathComponent(name)) }
        let store = try FileStore(folder: temporary)
        for value in contents["values"]?.elements ?? [] {
            let stored = try await store.load(slot: try XCTUnwrap(value.text("slot")))
            XCTAssertEqual(stored?.version, value.number("version"))
            XCTAssertEqual(stored?.value.utf8.elementsEqual(try XCTUnwrap(value.text("value")).utf8), true)
        }
        let sessions = try await store.sessions()
        XCTAssertEqual(sessions, contents["sessions"]?.elements.compactMap(\.text))
        for key in contents["keys"]?.elements ?? [] {
            let request = SigningRequest(
                thumbprint: try XCTUnwrap(key.text("thumbprint")), purpose: .proof, algorithm: try XCTUnwrap(key.text("algorithm")),
                message: Data(try XCTUnwrap(contents.text("message")).utf8), digest: nil)
            let signed = try await store.sign(request).bytes
            // Where the algorithm gives one message one signature.
            if let signature = key.text("signature") { XCTAssertEqual(base64URL(signed), signature) }
        }
        let credentials = [Credentials(issuer: "https://as.example.com", clientId: "app")]
        let client = try KeyboundClient(options: ClientOptions(level: .enhanced, credentials: credentials), keys: store, sessions: store)
        let session = try await client.open("work")
        XCTAssertEqual(session.info().thumbprint, contents["keys"]?.elements.first?.text("thumbprint"))
        XCTAssertEqual(try tree(temporary), try tree(recorded), "the sweep of opening left everything where it was")
    }

    private func base64URL(_ data: Data) -> String {
        data.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }
}
