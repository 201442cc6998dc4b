import Foundation
import XCTest

@testable import Keybound

/// What the package promises beside its code.
final class PackageTests: XCTestCase {
    private let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: package.appendingPathComponent(path), encoding: .utf8)
    }

    func testThePrivacyManifestNamesWhatTheSourcesUse() throws {
        let data = try Data(contentsOf: package.appendingPathComponent("Sources/Keybound/PrivacyInfo.xcprivacy"))
        let manifest = try XCTUnwrap(PropertyListSerialization.propertyList(from: data, format: nil) as? [String: Any])
        XCTAssertEqual(manifest["NSPrivacyTracking"] as? Bool, false)
        XCTAssertEqual((manifest["NSPrivacyTrackingDomains"] as? [Any])?.count, 0)
        XCTAssertEqual((manifest["NSPrivacyCollectedDataTypes"] as? [Any])?.count, 0)
        let used = try XCTUnwrap(manifest["NSPrivacyAccessedAPITypes"] as? [[String: Any]])
        let reasons = Dictionary(
            uniqueKeysWithValues: used.map {
                ($0["NSPrivacyAccessedAPIType"] as? String ?? "", $0["NSPrivacyAccessedAPITypeReasons"] as? [String] ?? [])
            })
        let expected = ["NSPrivacyAccessedAPICategoryFileTimestamp": ["C617.1"], "NSPrivacyAccessedAPICategorySystemBootTime": ["35F9.1"]]
        XCTAssertEqual(reasons, expected)
    }

    func testTheXCFrameworkIsBuiltForThePlatformsOfThePackage() throws {
        let (manifest, script) = (try text("Package.swift"), try text("Scripts/make-xcframework.sh"))
        for (platform, variable) in [("iOS", "IPHONEOS_DEPLOYMENT_TARGET"), ("macOS", "MACOSX_DEPLOYMENT_TARGET")] {
            let version = try XCTUnwrap(manifest.components(separatedBy: ".\(platform)(.v").dropFirst().first?.prefix { $0.isNumber })
            XCTAssertTrue(script.contains("\(variable)=\(version).0"), "\(platform) \(version)")
        }
    }

    func testTheDocumentationNamesWhatThereIs() throws {
        let names = try text("Sources/Keybound/Keybound.docc/Keybound.md").components(separatedBy: "- ``").dropFirst()
        let api = try text("api.txt")
        for name in names.compactMap({ $0.components(separatedBy: "``").first }) {
            let plain = name.prefix { $0 != "(" }
            let declared = ["struct", "enum", "class", "actor", "protocol", "func"].contains { api.contains("\($0) \(plain)") }
            XCTAssertTrue(declared, name)
        }
        XCTAssertGreaterThan(names.count, 20)
    }

    func testValuesThatAreStoredAreCodable() throws {
        let subject = Subject(issuer: "https://login.example.com", sub: "alice")
        XCTAssertEqual(try JSONDecoder().decode(Subject.self, from: JSONEncoder().encode(subject)), subject)
        let value = StoredValue(version: 7, value: "{}")
        XCTAssertEqual(try JSONDecoder().decode(StoredValue.self, from: JSONEncoder().encode(value)), value)
        let key = CreatedKey(publicJwk: "{}", algorithm: "ES256", protection: .secureEnclave)
        XCTAssertEqual(try JSONDecoder().decode(CreatedKey.self, from: JSONEncoder().encode(key)), key)
    }

    func testPagesAreURLs() {
        let login = Authorization(url: "https://login.example.com/authorize?a=b", state: "s", expiresAt: 1, pushed: false)
        XCTAssertEqual(login.page, URL(string: "https://login.example.com/authorize?a=b"))
        let device = DevicePrompt(
            userCode: "ABCD", verificationUri: "https://login.example.com/device", verificationUriComplete: nil, expiresAt: 1)
        XCTAssertEqual(device.page?.absoluteString, "https://login.example.com/device")
    }
}
