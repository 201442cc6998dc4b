//! Files that hold private keys.

use std::fs;

use super::{Scratch, keybound};

#[cfg(unix)]
#[test]
fn a_key_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("permissions");
    for more in [&[][..], &["--pem"]] {
        let path = scratch.path(&format!("key-{}", more.len()));
        assert_eq!(keybound(&[&["key", "generate", "--out", &path], more].concat()).code, Some(0));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    // A file that others could read is replaced by one that they cannot.
    let open = scratch.file("open", "old");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(keybound(&["key", "generate", "--force", "--out", &open]).code, Some(0));
    assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn no_file_is_overwritten_without_force() {
    let scratch = Scratch::new("overwrite");
    let path = scratch.file("key.json", "precious");
    let refused = keybound(&["key", "generate", "--out", &path]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let forced = keybound(&["key", "generate", "--out", &path, "--force", "--format", "json"]);
    assert_eq!(forced.code, Some(0), "{}", forced.err);
    assert_eq!(forced.json()["jkt"], keybound(&["key", "thumbprint", &path]).line());
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left beside the key");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed() {
    let scratch = Scratch::new("link");
    let (target, link) = (scratch.path("target"), scratch.path("link"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(keybound(&["key", "generate", "--out", &link]).code, Some(1));
    assert!(fs::metadata(&target).is_err());
}

#[test]
fn json_gives_the_key_where_no_file_was_named() {
    let made = keybound(&["key", "generate", "--format", "json", "--alg", "ed25519"]).json();
    assert_eq!(made["key"]["crv"], "Ed25519");
    assert_eq!(made["alg"], "Ed25519");
    assert!(made["key"]["d"].is_string());
}

#[test]
#[cfg(unix)]
fn a_private_key_that_others_can_read_is_noted() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("readable");
    let key = scratch.key("key.json", "ES256");
    let sign = || keybound(&["proof", "--key", &key, "--method", "GET", "--url", "https://h.example/"]);
    assert_eq!(sign().err, "");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = sign();
    assert!(ran.code == Some(0) && ran.err.contains("chmod 600"), "{}", ran.err);
}
