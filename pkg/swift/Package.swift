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

let package = Package(
    name: "Keybound",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Keybound", targets: ["Keybound"])],
    targets: [
        native,
        .target(name: "Keybound", dependencies: ["KeyboundFFI"], linkerSettings: link),
        .testTarget(name: "KeyboundTests", dependencies: ["Keybound"]),
    ],
    swiftLanguageModes: [.v6]
)
