#!/bin/sh
# Makes KeyboundFFI.xcframework for iOS, its simulator and macOS. Run it on a Mac with Xcode and rustup, from any folder.
set -eu
package=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$package/../.." && pwd)
work=$root/target/xcframework
rm -rf "$work" "$package/KeyboundFFI.xcframework"
mkdir -p "$work/headers" "$work/simulator" "$work/macos"
cd "$root"

for target in aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin; do
    rustup target add "$target"
    cargo build --locked --profile mobile --package keybound-uniffi --target "$target"
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
