#!/bin/sh
# typecheck.sh FOLDER: checks the files for Apple's systems, and the example app, with a compiler on Linux: modules of Apple's are stubs.
# FOLDER is for what it makes. Run it in the package's folder, after `cargo xtask build swift` has put the generated files there.
set -eu
work=$1/swift-stubs
mkdir -p "$work"
printf 'module KeyboundFFI {\n  header "%s/Sources/KeyboundFFI/include/KeyboundFFI.h"\n  export *\n}\n' "$PWD" > "$work/module.modulemap"
for module in Security AuthenticationServices SwiftUI; do
    swiftc -swift-version 6 -parse-as-library -emit-module -module-name "$module" -o "$work/$module.swiftmodule" "Tests/Stubs/$module.swift"
done
swiftc -swift-version 6 -parse-as-library -warnings-as-errors -emit-module -module-name Keybound -I "$work" -o "$work/Keybound.swiftmodule" \
    Sources/Keybound/*.swift Sources/Keybound/Apple/*.swift Sources/Keybound/Generated/*.swift
swiftc -swift-version 6 -parse-as-library -warnings-as-errors -typecheck -module-name Example -I "$work" ../../examples/ios-app/Sources/*.swift
swiftc -swift-version 6 -parse-as-library -warnings-as-errors -typecheck -module-name Readme -I "$work" Tests/Stubs/ReadmeApple.swift
