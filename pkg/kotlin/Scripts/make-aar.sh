#!/bin/sh
# Makes the Android library (AAR) with the native library for each target. It needs the Android SDK (ANDROID_HOME), an NDK
# (ANDROID_NDK_HOME, 27 or newer), Gradle, and rustup; run it from any folder.
set -eu
library=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$library/../.." && pwd)
: "${ANDROID_NDK_HOME:?set it to the folder of the NDK}"
api=26
tools=$(echo "$ANDROID_NDK_HOME"/toolchains/llvm/prebuilt/*/bin)
cd "$root"

build() { # TARGET ABI CLANG
    rustup target add "$1"
    name=$(echo "$1" | tr a-z- A-Z_)
    env "CARGO_TARGET_${name}_LINKER=$tools/$3$api-clang" "CARGO_TARGET_${name}_RUSTFLAGS=-Clink-arg=-Wl,-z,max-page-size=16384" \
        cargo build --locked --profile mobile --package keybound-uniffi --target "$1"
    mkdir -p "$library/android/src/main/jniLibs/$2"
    "$tools/llvm-strip" --strip-unneeded -o "$library/android/src/main/jniLibs/$2/libkeybound_uniffi.so" \
        "target/$1/mobile/libkeybound_uniffi.so"
}
build aarch64-linux-android arm64-v8a aarch64-linux-android
build armv7-linux-androideabi armeabi-v7a armv7a-linux-androideabi
build x86_64-linux-android x86_64 x86_64-linux-android

# The Kotlin code is the same for all targets.
cargo run --locked --package bindgen -- kotlin target/aarch64-linux-android/mobile/libkeybound_uniffi.so "$root/target/aar"
mkdir -p "$library/src/generated/kotlin/dev/keybound"
cp "$root/target/aar/dev/keybound/keybound.kt" "$library/src/generated/kotlin/dev/keybound/"
cd "$library/android"
gradle --quiet assembleRelease
ls -l build/outputs/aar
