//! Java: a JDK with Maven, the jars that Maven brings, and the Keycloak server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::run::{self, Failure};

/// Options of Java for programs that run for a minute: the fast compiler alone halves the time in which they start.
const SHORT_LIVED: &str = "-XX:TieredStopAtLevel=1";

/// Makes sure that there are a JDK and Maven.
///
/// `why` is said when they are installed.
pub(crate) fn ensure_tools(why: &str) -> Result<(), Failure> {
    let has = |program: &str, argument: &str| run::output(run::command(program).arg(argument)).is_some();
    if has("javac", "-version") && has("mvn", "--version") {
        return Ok(());
    }
    install::ensure_debian(&["openjdk-17-jdk-headless", "maven"], why, "install a JDK from 17 on, and Maven")
}

/// Maven with the build of `pom`.
pub(crate) fn maven(pom: &Path, goals: &[&str]) -> Command {
    let mut maven = run::command(if cfg!(windows) { "mvn.cmd" } else { "mvn" });
    maven.args(["--batch-mode", "--no-transfer-progress", "--file"]).arg(pom).args(goals);
    maven
}

/// Makes sure that the dependencies of `folder`'s `pom.xml` are in its folder `.jars`.
///
/// `why` is said when they are installed.
pub(crate) fn ensure_jars(folder: &str, why: &str) -> Result<(), Failure> {
    let pom = run::root().join(folder).join("pom.xml");
    let jars = run::root().join(folder).join(".jars");
    install::ensure_locked(&pom, &jars, || {
        println!("    installing the Java packages of {folder}: {why}");
        let _ = fs::remove_dir_all(&jars);
        let output = format!("-DoutputDirectory={}", jars.display());
        run::run(maven(&pom, &["dependency:copy-dependencies", &output]).arg("--quiet"))
    })
}

/// A Keycloak of this version, ready to start, in the user's cache. Maven brings it with the plugin that `folder`'s `pom.xml` names.
pub(crate) fn keycloak(version: &str, folder: &str) -> Result<PathBuf, Failure> {
    let parent = run::cache_dir().join(format!("keybound-keycloak-{version}"));
    let home = parent.join(format!("keycloak-{version}"));
    let stamp = parent.join(".installed");
    if stamp.exists() {
        return Ok(home);
    }
    println!("    installing Keycloak {version} in {} (a minute, 200 MB)", parent.display());
    let _ = fs::remove_dir_all(&parent);
    let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{version}:zip");
    let output = format!("-DoutputDirectory={}", parent.display());
    let marks = format!("-Dmarks={}", parent.join("unpacked").display());
    let goals = ["dependency:unpack", &artifact, &output, &marks];
    run::run(maven(&run::root().join(folder).join("pom.xml"), &goals).arg("--quiet"))?;
    let mut build = run::command("sh");
    build.arg(home.join("bin/kc.sh")).args(["build", "--db=dev-mem"]).env("JAVA_OPTS_APPEND", SHORT_LIVED);
    let said = build.output().map_err(|error| format!("cannot start kc.sh: {error}"))?;
    if !said.status.success() {
        let said = [said.stdout, said.stderr].concat();
        return Err(format!("Keycloak's build failed:\n{}", String::from_utf8_lossy(&said)));
    }
    fs::write(&stamp, version).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(home)
}
