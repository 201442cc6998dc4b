//! The Kotlin library: a Maven build around the native library and the code that is generated for it.

use std::path::PathBuf;
use std::process::Command;

use super::uniffi;
use crate::java;
use crate::run::{self, Failure};

/// Where the library's sources are.
pub(crate) const LIBRARY: &str = "pkg/kotlin";

/// The code that people wrote.
const WRITTEN: [&str; 2] = ["pkg/kotlin/src/main/kotlin", "pkg/kotlin/android/src/main/kotlin"];

/// Puts native library and generated code where Maven finds them.
pub(crate) fn prepare(write_api: bool) -> Result<(), Failure> {
    let root = run::root().join(LIBRARY);
    let library = uniffi::library()?;
    let generated = uniffi::generated("kotlin", &library, &WRITTEN)?;
    uniffi::compare_api(&generated, "pkg/kotlin/api.txt", write_api)?;
    let file = PathBuf::from("dev/keybound/keybound.kt");
    uniffi::place(&[(generated.join(&file), root.join("src/generated/kotlin").join(&file))])?;
    // Where JNA looks: a folder for each platform, by its own names.
    uniffi::stripped(&library, &root.join("src/main/resources").join(platform()).join(uniffi::library_name()))
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

/// Maven with the library's build.
pub(crate) fn maven(goals: &[&str]) -> Command {
    java::maven(&run::root().join(LIBRARY).join("pom.xml"), goals)
}

/// A JDK and Maven, which brings the Kotlin compiler.
pub(crate) fn ensure_tools() -> Result<(), Failure> {
    java::ensure_tools("the Kotlin library is built by Maven on a JDK")
}

/// The jar.
pub(crate) fn jar() -> Result<(), Failure> {
    ensure_tools()?;
    prepare(false)?;
    run::run(maven(&["package", "-DskipTests"]).arg("--quiet"))
}
