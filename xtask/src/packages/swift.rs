//! The Swift package: native library, header and generated code in the places that its manifest names.

use super::uniffi::{self, SHIPPED, TESTING};
use crate::run::{self, Failure};
use crate::swift;

/// Where the package is.
pub(crate) const PACKAGE: &str = "pkg/swift";

/// The code that people wrote.
const WRITTEN: [&str; 1] = ["pkg/swift/Sources/Keybound"];

/// The same of the testing module.
const TESTING_WRITTEN: [&str; 1] = ["pkg/swift/Sources/KeyboundTesting"];

/// Puts native library and generated code where Swift Package Manager finds them.
pub(crate) fn prepare(write_api: bool) -> Result<(), Failure> {
    let root = run::root().join(PACKAGE);
    let library = SHIPPED.build()?;
    let generated = uniffi::generated("swift", &library, &WRITTEN)?;
    uniffi::compare_api(&generated, "pkg/swift/api.txt", write_api)?;
    uniffi::place(&[
        (generated.join("keybound.swift"), root.join("Sources/Keybound/Generated/keybound.swift")),
        (generated.join("KeyboundFFI.h"), root.join("Sources/KeyboundFFI/include/KeyboundFFI.h")),
    ])?;
    SHIPPED.stripped(&root.join("lib").join(SHIPPED.file_name()))
}

/// The same for the testing module.
pub(crate) fn prepare_testing(write_api: bool) -> Result<(), Failure> {
    let root = run::root().join(PACKAGE);
    let generated = uniffi::generated("swift-testing", &TESTING.build()?, &TESTING_WRITTEN)?;
    uniffi::compare_api(&generated, "pkg/swift/api-testing.txt", write_api)?;
    uniffi::place(&[
        (
            generated.join("keybound_testing.swift"),
            root.join("Sources/KeyboundTesting/Generated/keybound_testing.swift"),
        ),
        (generated.join("KeyboundTestingFFI.h"), root.join("Sources/KeyboundTestingFFI/include/KeyboundTestingFFI.h")),
    ])?;
    TESTING.stripped(&root.join("lib").join(TESTING.file_name()))
}

/// Builds the package.
pub(crate) fn build() -> Result<(), Failure> {
    swift::ensure()?;
    prepare(false)?;
    prepare_testing(false)?;
    let mut swift = swift::command("swift", &run::root().join(PACKAGE));
    run::run(swift.args(["build", "--scratch-path"]).arg(run::target_dir().join("swift")))
}
