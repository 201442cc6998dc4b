//! The tests against what others wrote: what they need, and how they are run.

use std::path::PathBuf;

use crate::install;
use crate::java;
use crate::run::Failure;
use crate::test::{Counts, cargo_test};

/// Where the peers are that `tests/interop` talks to.
const FOLDER: &str = "tests/interop";
const NIMBUS: &str = "tests/interop/peers/nimbus";
const SPRING: &str = "tests/interop/peers/spring";

/// The Keycloak that the gate tests against.
const KEYCLOAK: &str = "26.7.3";
/// The first one in which DPoP is no preview.
const EARLIER_KEYCLOAK: &str = "26.4.7";

/// What the tests need, or why they cannot run here.
pub(crate) fn parts() -> Result<(), Failure> {
    install::ensure_npm(FOLDER, "it brings OAuth servers and clients of others, and a Node to run them")?;
    install::ensure_python(FOLDER, "it brings an OAuth client of others")?;
    java::ensure_tools("servers and libraries that others wrote run on Java")?;
    java::ensure_jars(NIMBUS, "they bring a DPoP library of others")?;
    keycloak(KEYCLOAK).map(drop)
}

pub(crate) fn run() -> Result<Counts, Failure> {
    cargo_test(&["--test", "interop_*"], &[keycloak(KEYCLOAK)?])
}

/// What the tests need with an earlier Keycloak.
pub(crate) fn earlier_keycloak_parts() -> Result<(), Failure> {
    parts()?;
    keycloak(EARLIER_KEYCLOAK).map(drop)
}

pub(crate) fn earlier_keycloak() -> Result<Counts, Failure> {
    cargo_test(&["--test", "interop_keycloak"], &[keycloak(EARLIER_KEYCLOAK)?])
}

/// What the tests need with Spring.
pub(crate) fn spring_parts() -> Result<(), Failure> {
    parts()?;
    java::ensure_jars(SPRING, "they bring an OAuth server of others")
}

pub(crate) fn spring() -> Result<Counts, Failure> {
    cargo_test(&["--test", "extended_spring"], &[])
}

/// The variable in which the tests look for Keycloak, and where it is.
fn keycloak(version: &str) -> Result<(&'static str, PathBuf), Failure> {
    Ok(("KEYBOUND_KEYCLOAK", java::keycloak(version, NIMBUS)?))
}
