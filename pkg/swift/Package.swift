// swift-tools-version: 6.0

import Foundation
import PackageDescription

// Where the library is. On Apple's systems `Scripts/make-xcframework.sh` makes KeyboundFFI.xcframework, which stands for all of it;
// elsewhere `cargo xtask build swift` puts it into lib/.
let root = Context.packageDirectory
let framework = "KeyboundFFI.xcframework"
let hasFramework = FileManager.default.fileExists(atPath: "\(root)/\(framework)")
let library = Context.environment["KEYBOUND_LIBRARY_PATH"] ?? "\(root)/lib"

let native: Target = hasFramework
    ? .binaryTarget(name: "KeyboundFFI", path: framework)
    : .target(name: "KeyboundFFI")
let link: [LinkerSetting] = hasFramework
    ? []
    : [.linkedLibrary("keybound_uniffi"), .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library])]

// The same for the testing module, whose library no app ships.
let testingFramework = "KeyboundTestingFFI.xcframework"
let hasTestingFramework = FileManager.default.fileExists(atPath: "\(root)/\(testingFramework)")
let testingNative: Target = hasTestingFramework
    ? .binaryTarget(name: "KeyboundTestingFFI", path: testingFramework)
    : .target(name: "KeyboundTestingFFI")
let testingLink: [LinkerSetting] = hasTestingFramework
    ? []
    : [.linkedLibrary("keybound_uniffi_testing"), .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library])]

// Apple's tools look for the privacy manifest in the package's resources; elsewhere a bundle would only be in the way.
#if os(macOS)
let resources: [Resource] = [.copy("PrivacyInfo.xcprivacy")]
let excluded: [String] = []
#else
let resources: [Resource] = []
let excluded = ["PrivacyInfo.xcprivacy"]
#endif

// The tests of this repository: on Linux they bring modules of Apple's that work in memory, so that the files for Apple's systems run there too.
let isTested = Context.environment["KEYBOUND_TESTS"] != nil
let standIns: [Target] = isTested
    ? [
        .target(name: "Security", path: "Tests/Stubs/Security"),
        .target(name: "CryptoKit", dependencies: ["Security"], path: "Tests/Stubs/CryptoKit"),
        .target(name: "AuthenticationServices", path: "Tests/Stubs/AuthenticationServices"),
    ]
    : []
let strict: [SwiftSetting] = isTested ? [.define("STAND_INS"), .unsafeFlags(["-warnings-as-errors"])] : []
let also = standIns.map { Target.Dependency.target(name: $0.name) }

let package = Package(
    name: "Keybound",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "Keybound", targets: ["Keybound"]),
        .library(name: "KeyboundTesting", targets: ["KeyboundTesting"]),
    ],
    targets: [
        native,
        testingNative,
        .target(
            name: "Keybound", dependencies: ["KeyboundFFI"] + also, exclude: excluded, resources: resources, swiftSettings: strict,
            linkerSettings: link),
        .target(
            name: "KeyboundTesting", dependencies: ["Keybound", "KeyboundTestingFFI"], swiftSettings: strict, linkerSettings: testingLink),
        .testTarget(name: "KeyboundTestingTests", dependencies: ["Keybound", "KeyboundTesting"], swiftSettings: strict),
        .testTarget(name: "KeyboundTests", dependencies: ["Keybound"] + also, swiftSettings: strict),
    ] + standIns,
    swiftLanguageModes: [.v6]
)
