//! `SecurityLevel::Standard` sends what a build without DPoP sends, and that build has no DPoP in it.

use std::path::PathBuf;
use std::process::Command;

use object::{Object as _, ObjectSymbol as _};

/// Builds the program `keybound-plain` and gives its path.
fn build(features: &[&str], folder: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/plain").join(folder);
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", "keybound-plain", "--target-dir"])
        .arg(&target)
        .args(features)
        .current_dir(&root)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "keybound-plain builds with {features:?}");
    target.join("debug").join(format!("keybound-plain{}", std::env::consts::EXE_SUFFIX))
}

fn sent(program: &PathBuf) -> String {
    let output = Command::new(program).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn standard_is_plain_oauth_to_the_byte_and_the_symbol() {
    let (without, with) = (build(&[], "without"), build(&["--features", "dpop"], "with"));
    let (plain, standard) = (sent(&without), sent(&with));
    assert_eq!(plain, standard);
    // The whole session is in it, and nothing of DPoP.
    for part in [
        "/register",
        "/par",
        "grant_type=authorization_code",
        "Bearer at-1",
        "grant_type=refresh_token",
        "Bearer at-2",
        "/revoke",
    ] {
        assert!(plain.contains(part), "{part} in {plain}");
    }
    assert!(!plain.to_lowercase().contains("dpop"), "{plain}");

    let symbols = |program: &PathBuf| {
        let bytes = std::fs::read(program).expect("a file");
        let file = object::File::parse(&*bytes).expect("an executable");
        let names = file.symbols().filter_map(|symbol| symbol.name().ok().map(str::to_owned));
        names.filter(|name| name.contains("keybound")).collect::<Vec<_>>()
    };
    let of_dpop = |name: &&String| {
        // Legacy and v0 mangling both write a module's name behind its length.
        let modules = ["5proof", "5nonce", "6replay", "6verify", "6server", "6intent", "7binding"];
        name.to_lowercase().contains("dpop")
            || modules.iter().any(|module| name.contains(&format!("8keybound{module}")))
    };
    let names = symbols(&without);
    assert!(names.len() > 100, "only {} symbols: the test sees nothing", names.len());
    assert_eq!(names.iter().find(of_dpop), None, "a build without DPoP has a symbol of it");
    assert!(symbols(&with).iter().any(|name| of_dpop(&name)), "the test would not see it");
}
