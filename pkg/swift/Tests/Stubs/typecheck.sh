#!/bin/sh
# typecheck.sh MODULES FOLDER: checks the example app and the README's example for Apple's systems with a compiler on Linux. MODULES is where
# `swift build` has put the package and its stand-ins for Apple's modules (KEYBOUND_TESTS=1), FOLDER is for what this makes.
set -eu
modules=$1
work=$2/swift-stubs
mkdir -p "$work"
printf 'module KeyboundFFI {\n  header "%s/Sources/KeyboundFFI/include/KeyboundFFI.h"\n  export *\n}\n' "$PWD" > "$work/module.modulemap"
swiftc -swift-version 6 -parse-as-library -emit-module -module-name SwiftUI -o "$work/SwiftUI.swiftmodule" Tests/Stubs/SwiftUI/SwiftUI.swift
check() {
    name=$1
    shift
    swiftc -swift-version 6 -parse-as-library -warnings-as-errors -typecheck -module-name "$name" -I "$work" -I "$modules" "$@"
}
check Example ../../examples/ios-app/Sources/*.swift
check Readme Tests/Stubs/ReadmeApple.swift
