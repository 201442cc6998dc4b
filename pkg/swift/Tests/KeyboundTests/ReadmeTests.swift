import Foundation
import XCTest

/// Every example of the README and the guide is one that is compiled: here, or against the stubs of Apple's modules.
final class ReadmeTests: XCTestCase {
    func testExamplesAreCompiled() throws {
        let package = Vectors.root.appendingPathComponent("pkg/swift")
        func text(_ file: URL) throws -> String { try String(contentsOf: file, encoding: .utf8) }
        // Lines without their indent, which differs.
        func plain(_ text: String) -> String {
            text.components(separatedBy: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "\n")
                .trimmingCharacters(in: .newlines)
        }
        let compiled = try ["Tests/KeyboundTests/Readme.swift", "Tests/KeyboundTestingTests/ItemsTests.swift", "Tests/Stubs/ReadmeApple.swift"]
            .map { plain(try text(package.appendingPathComponent($0))) }.joined(separator: "\n")
        var seen = 0
        for page in [package.appendingPathComponent("README.md"), Vectors.root.appendingPathComponent("docs/swift.md")] {
            for block in try text(page).components(separatedBy: "```swift\n").dropFirst() {
                let example = plain(block.components(separatedBy: "```")[0])
                // A line of a manifest stands alone in no program.
                if example.hasPrefix(".package(") { continue }
                XCTAssertTrue(compiled.contains(example), "\(page.lastPathComponent) has an example that is not compiled:\n\(example)")
                seen += 1
            }
        }
        XCTAssertGreaterThanOrEqual(seen, 9)
    }

    func testTheFirstProofRuns() throws {
        try Readme.firstProof()
    }

    func testTheTestOfAnAppRuns() async throws {
        let served = try Served()
        defer { served.stop() }
        try await checkACallAfterAnHour(issuer: served.issuer, resource: served.resource)
    }
}
