//! One folder for all languages: each reads what is recorded in `tests/vectors/files`, and writes the same, byte for byte.
//!
//! What every language writes and every language reads, each reads of each other. `KEYBOUND_WRITE_FILES=1` records it anew.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests stand outside of test functions")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keybound::json::Value;
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer as _, SigningInput};
use keybound::oauth::step::Saved;
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime, base64url};
use keybound_files::Files;

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/files")
}

fn contents() -> Value {
    Value::parse_object(&fs::read(recorded().join("contents.json")).unwrap()).unwrap()
}

fn open(folder: &Path) -> Files {
    Files::open(folder, &RUSTCRYPTO, UnixTime::now()).unwrap()
}

/// What the folder is to hold, written by this store.
fn write(folder: &Path, contents: &Value) {
    let files = open(folder);
    for value in contents.array("values").unwrap() {
        let (slot, text) = (value.text("slot").unwrap(), value.text("value").unwrap());
        let version = value.integer("version").unwrap().cast_unsigned();
        assert_eq!(files.save(slot, None, version, Some(text.as_bytes())).unwrap(), Saved::Stored, "{slot}");
    }
    for key in contents.array("keys").unwrap() {
        files.add_key(&SoftKey::from_jwk(key.text("jwk").unwrap(), &RUSTCRYPTO).unwrap()).unwrap();
    }
    drop(files.lock(contents.text("lock").unwrap(), Duration::ZERO).unwrap());
}

/// All files, with their names below the folder.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tree = BTreeMap::new();
    for kind in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        for file in fs::read_dir(kind.path()).unwrap().map(|entry| entry.unwrap()) {
            let name = [kind.file_name(), file.file_name()].map(|name| name.into_string().unwrap()).join("/");
            tree.insert(name, fs::read(file.path()).unwrap());
        }
    }
    tree
}

/// A copy that a store accepts: Git keeps no modes.
fn copied(to: &Path) {
    drop(open(to));
    for (name, bytes) in tree(&recorded().join("folder")) {
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[test]
fn what_is_written_is_what_is_recorded() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("folder");
    write(&folder, &contents());
    if std::env::var_os("KEYBOUND_WRITE_FILES").is_some() {
        let _ = fs::remove_dir_all(recorded().join("folder"));
        for (name, bytes) in tree(&folder) {
            let path = recorded().join("folder").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    assert_eq!(tree(&folder), tree(&recorded().join("folder")));
    let made = open(&folder).create_key(AlgorithmSet::ALL, &[KeyProtection::Software], UnixTime::now()).unwrap();
    let (thumbprint, tree) = (made.public_key().thumbprint(RUSTCRYPTO.digest), tree(&folder));
    assert_eq!(tree[&format!("key/{thumbprint}")], made.to_jwk().unwrap().expose().as_bytes());
    assert_eq!(tree[&format!("made/{thumbprint}")], b"");
}

#[test]
fn what_is_recorded_is_read() {
    let (temporary, contents) = (tempfile::tempdir().unwrap(), contents());
    let folder = temporary.path().join("folder");
    copied(&folder);
    let files = open(&folder);
    for value in contents.array("values").unwrap() {
        let stored = files.load(value.text("slot").unwrap()).unwrap().unwrap();
        assert_eq!(stored.version, value.integer("version").unwrap().cast_unsigned());
        assert_eq!(stored.value, value.text("value").unwrap().as_bytes());
    }
    assert!(contents.texts("sessions").eq(files.sessions().unwrap()));
    for key in contents.array("keys").unwrap() {
        let thumbprint = Thumbprint::parse(key.text("thumbprint").unwrap()).unwrap();
        let found = files.key(thumbprint).unwrap();
        assert_eq!(found.algorithm().name(), key.text("algorithm").unwrap());
        assert_eq!(found.to_jwk().unwrap().expose(), key.text("jwk").unwrap());
        // Where the algorithm gives one message one signature.
        if let Some(signature) = key.text("signature") {
            let message = contents.text("message").unwrap().as_bytes();
            let signed = found.sign(&SigningInput::new(found.algorithm(), message, RUSTCRYPTO.digest)).unwrap();
            assert_eq!(base64url::encode(signed.as_bytes()), signature);
        }
    }
    assert_eq!(tree(&folder), tree(&recorded().join("folder")), "the sweep of opening left everything where it was");
}
