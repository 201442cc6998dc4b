//! The Kotlin library: a Maven build around the native library and the code that is generated for it.

use std::path::PathBuf;
use std::process::Command;

use super::uniffi::{self, Library, SHIPPED, TESTING};
use crate::java;
use crate::run::{self, Failure};

/// Where the library's sources are.
pub(crate) const LIBRARY: &str = "pkg/kotlin";

/// Where the testing module's are.
pub(crate) const TESTING_MODULE: &str = "pkg/kotlin/testing";

/// The code that people wrote.
const WRITTEN: [&str; 2] = ["pkg/kotlin/src/main/kotlin", "pkg/kotlin/android/src/main/kotlin"];

/// The same of the testing module.
const TESTING_WRITTEN: [&str; 1] = ["pkg/kotlin/testing/src/main/kotlin"];

/// Puts native library and generated code where Maven finds them.
pub(crate) fn prepare(write_api: bool) -> Result<(), Failure> {
    let root = run::root().join(LIBRARY);
    let library = SHIPPED.build()?;
    let generated = uniffi::generated("kotlin", &library, &WRITTEN)?;
    uniffi::compare_api(&generated, "pkg/kotlin/api.txt", write_api)?;
    let file = PathBuf::from("dev/keybound/keybound.kt");
    uniffi::place(&[(generated.join(&file), root.join("src/generated/kotlin").join(&file))])?;
    place_library(SHIPPED, LIBRARY)
}

/// The same for the testing module.
pub(crate) fn prepare_testing(write_api: bool) -> Result<(), Failure> {
    let generated = uniffi::generated("kotlin-testing", &TESTING.build()?, &TESTING_WRITTEN)?;
    uniffi::compare_api(&generated, "pkg/kotlin/testing/api.txt", write_api)?;
    let file = PathBuf::from("dev/keybound/testing/servers/keybound_testing.kt");
    let place = run::root().join(TESTING_MODULE).join("src/generated/kotlin").join(&file);
    uniffi::place(&[(generated.join(&file), place)])?;
    place_library(TESTING, TESTING_MODULE)
}

/// Puts a library where JNA looks: in a folder for each platform, by its own names.
fn place_library(library: Library, module: &str) -> Result<(), Failure> {
    let resources = run::root().join(module).join("src/main/resources");
    library.stripped(&resources.join(platform()).join(library.file_name()))
}

/// This platform as JNA names it.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        other => other,
    };
    format!("{system}-{machine}")
}

/// Maven with a build of the library: `pom.xml`, or `modules.xml` for the testing module, too.
pub(crate) fn maven(build: &str, goals: &[&str]) -> Command {
    java::maven(&run::root().join(LIBRARY).join(build), goals)
}

/// A JDK and Maven, which brings the Kotlin compiler.
pub(crate) fn ensure_tools() -> Result<(), Failure> {
    java::ensure_tools("the Kotlin library is built by Maven on a JDK")
}

/// The jars.
pub(crate) fn jar() -> Result<(), Failure> {
    ensure_tools()?;
    prepare(false)?;
    prepare_testing(false)?;
    run::run(maven("modules.xml", &["package", "-DskipTests"]).arg("--quiet"))
}
