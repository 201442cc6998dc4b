import Foundation
import XCTest

@testable import Keybound

/// Forty thousand calls leave nothing behind.
final class LeakTests: XCTestCase {
    func testMemoryIsLevel() throws {
        let status = "/proc/self/status"
        try XCTSkipUnless(FileManager.default.fileExists(atPath: status), "the memory of the process is read from /proc")
        let key = try Key.generate()
        let options = VerifierOptions()
        let now: Int64 = 1_700_000_000
        let store = try MemoryReplayStore(options: options, capacity: 65_536, now: now - 3600)
        let verifier = try Verifier(options: options)
        let made = try (0..<50).map { _ in
            try proof(method: "GET", url: "https://api.example.com/items", key: key, accessToken: "token", now: now)
        }
        func shown(_ at: Int, _ method: String = "GET") -> PresentedProof {
            .atResource(
                method: method, url: "https://api.example.com/items", proofs: [made[at % made.count]], accessToken: "token",
                boundTo: key.thumbprint())
        }
        for at in made.indices { _ = try verifier.verify(shown(at), in: store, now: now) }
        let client = try CoreClient(options: ClientOptions(level: .enhanced))

        func work(_ calls: Int) throws {
            for at in 0..<calls {
                switch at % 4 {
                case 0:
                    XCTAssertThrowsError(try verifier.verify(shown(at), in: store, now: now)) {
                        XCTAssertEqual(($0 as? KeyboundError)?.reason, "replayed")
                    }
                case 1: _ = try verifier.check(shown(at), now: now).dangerSkipReplayCheck()
                case 2: XCTAssertThrowsError(try verifier.check(shown(at, "PUT"), now: now))
                // A flow that is given up half way.
                default:
                    _ = try client.begin(operation: .discover(target: "https://api.example.com/", challenges: [], issuer: nil), now: now).step()
                }
            }
        }

        func resident() throws -> Int {
            let lines = try String(contentsOfFile: status, encoding: .utf8).split(separator: "\n")
            let line = try XCTUnwrap(lines.first { $0.hasPrefix("VmRSS") })
            return try XCTUnwrap(Int(line.filter(\.isNumber))) * 1024
        }
        try work(10_000)
        let before = try resident()
        try work(40_000)
        let grown = try resident() - before
        // 100 bytes a call would be 4 MB.
        XCTAssertLessThan(grown, 4_000_000, "the process grew by \(grown) bytes")
    }
}
