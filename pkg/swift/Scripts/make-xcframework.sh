#!/bin/sh
# Makes KeyboundFFI.xcframework for iOS, its simulator and macOS, and KeyboundTestingFFI.xcframework for tests in the simulator and on macOS. Run it on a Mac with Xcode and rustup, from any folder.
set -eu
package=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$package/../.." && pwd)
work=$root/target/xcframework
rm -rf "$work" "$package/KeyboundFFI.xcframework"
mkdir -p "$work/headers" "$work/simulator" "$work/macos"
cd "$root"
# The oldest systems that the library runs on, as Package.swift has them.
export IPHONEOS_DEPLOYMENT_TARGET=15.0 MACOSX_DEPLOYMENT_TARGET=12.0

for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    rustup target add "$target"
    cargo build --locked --profile mobile --package keybound-uniffi --target "$target"
done
# What the linker of an app would warn of: objects that were built for a newer system.
for library in target/aarch64-apple-ios/mobile target/aarch64-apple-darwin/mobile; do
    xcrun vtool -show-build "$library/libkeybound_uniffi.a" | awk '$1 == "minos" { print $2 }' | sort -uV | tail -1 |
        while read -r newest; do
            case $library in *ios*) most=$IPHONEOS_DEPLOYMENT_TARGET ;; *) most=$MACOSX_DEPLOYMENT_TARGET ;; esac
            [ "$(printf '%s\n' "$most" "$newest" | sort -V | tail -1)" = "$most" ] || { echo "$library is for $newest, not $most"; exit 1; }
        done
done
# Header and Swift code are the same for all targets.
cargo run --locked --package bindgen -- swift target/aarch64-apple-darwin/mobile/libkeybound_uniffi.dylib "$work/generated"
mkdir -p "$package/Sources/Keybound/Generated"
cp "$work/generated/keybound.swift" "$package/Sources/Keybound/Generated/"
cp "$work/generated/KeyboundFFI.h" "$work/headers/"
cp "$work/generated/KeyboundFFI.modulemap" "$work/headers/module.modulemap"

lipo -create target/aarch64-apple-ios-sim/mobile/libkeybound_uniffi.a target/x86_64-apple-ios/mobile/libkeybound_uniffi.a \
    -output "$work/simulator/libkeybound_uniffi.a"
lipo -create target/aarch64-apple-darwin/mobile/libkeybound_uniffi.a target/x86_64-apple-darwin/mobile/libkeybound_uniffi.a \
    -output "$work/macos/libkeybound_uniffi.a"
xcodebuild -create-xcframework \
    -library target/aarch64-apple-ios/mobile/libkeybound_uniffi.a -headers "$work/headers" \
    -library "$work/simulator/libkeybound_uniffi.a" -headers "$work/headers" \
    -library "$work/macos/libkeybound_uniffi.a" -headers "$work/headers" \
    -output "$package/KeyboundFFI.xcframework"
echo "made $package/KeyboundFFI.xcframework; Package.swift uses it from now on"

# The library of the testing module is dynamic: two static libraries in Rust define the same symbols.
rm -rf "$package/KeyboundTestingFFI.xcframework"
mkdir -p "$work/testing-headers" "$work/testing-simulator" "$work/testing-macos"
name=libkeybound_uniffi_testing.dylib
for target in aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    cargo rustc --locked --profile mobile --package keybound-uniffi-testing --target "$target" --crate-type cdylib -- \
        -C link-arg=-Wl,-install_name,@rpath/$name
done
cargo run --locked --package bindgen -- swift-testing "target/aarch64-apple-darwin/mobile/$name" "$work/generated-testing"
mkdir -p "$package/Sources/KeyboundTesting/Generated"
cp "$work/generated-testing/keybound_testing.swift" "$package/Sources/KeyboundTesting/Generated/"
cp "$work/generated-testing/KeyboundTestingFFI.h" "$work/testing-headers/"
cp "$work/generated-testing/KeyboundTestingFFI.modulemap" "$work/testing-headers/module.modulemap"
lipo -create "target/aarch64-apple-ios-sim/mobile/$name" "target/x86_64-apple-ios/mobile/$name" -output "$work/testing-simulator/$name"
lipo -create "target/aarch64-apple-darwin/mobile/$name" "target/x86_64-apple-darwin/mobile/$name" -output "$work/testing-macos/$name"
xcodebuild -create-xcframework \
    -library "$work/testing-simulator/$name" -headers "$work/testing-headers" \
    -library "$work/testing-macos/$name" -headers "$work/testing-headers" \
    -output "$package/KeyboundTestingFFI.xcframework"
echo "made $package/KeyboundTestingFFI.xcframework for the product KeyboundTesting"
