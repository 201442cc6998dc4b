//! Key rings in files: what a file is refused for, and processes that rotate at once and are killed.

#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

#[path = "ring/processes.rs"]
mod processes;

use std::fs;

use keybound::key::ring::{InvalidRecord, KeyRingRecord, KeyRingStore as _, RotationPolicy, Swap};
use keybound::{Thumbprint, UnixTime};
use keybound_files::{FileKeyRing, Unfit, UnreadableRing};

fn record(number: u8) -> KeyRingRecord {
    let policy = RotationPolicy::new(1000, 300).unwrap();
    KeyRingRecord::new(policy, Thumbprint::from_bytes([number; 32]), UnixTime::from_secs(0))
}

#[test]
fn a_folder_holds_several_rings() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rings");
    let (one, other) = (FileKeyRing::open(&folder, "one").unwrap(), FileKeyRing::open(&folder, "other").unwrap());
    assert_eq!(one.load().unwrap(), None);
    assert_eq!(one.compare_and_set(None, &record(1)).unwrap(), Swap::Done);
    assert_eq!(one.compare_and_set(None, &record(2)).unwrap(), Swap::Conflict);
    assert_eq!(one.compare_and_set(Some(2), &record(2)).unwrap(), Swap::Conflict);
    assert_eq!((one.load().unwrap(), other.load().unwrap()), (Some(record(1)), None));
    assert_eq!(other.compare_and_set(None, &record(2)).unwrap(), Swap::Done);
    assert_eq!(one.compare_and_set(Some(1), &record(3)).unwrap(), Swap::Done);
    assert_eq!(FileKeyRing::open(&folder, "one").unwrap().load().unwrap(), Some(record(3)));
    assert_eq!(fs::read_to_string(one.path()).unwrap(), record(3).to_text());
}

#[test]
fn a_name_leads_nowhere_else() {
    let temporary = tempfile::tempdir().unwrap();
    let long = "a".repeat(FileKeyRing::MAX_NAME + 1);
    for name in ["", "..", "a/b", "a.b", "a b", "ä", "a\0", &long] {
        assert!(FileKeyRing::open(temporary.path().join("rings"), name).is_err(), "{name:?}");
    }
    assert!(!temporary.path().join("rings").exists());
    FileKeyRing::open(temporary.path().join("rings"), &long[1..]).unwrap();
}

#[test]
fn a_file_that_is_no_record_is_not_overwritten() {
    let temporary = tempfile::tempdir().unwrap();
    let ring = FileKeyRing::open(temporary.path().join("rings"), "ring").unwrap();
    let long = "x".repeat(KeyRingRecord::MAX_LEN + 1);
    let text = record(1).to_text();
    for (wrong, why) in [
        ("", InvalidRecord::Malformed),
        ("\u{0}\n", InvalidRecord::Format),
        (&text[..text.len() - 1], InvalidRecord::Malformed),
        (&long, InvalidRecord::TooLong),
    ] {
        fs::write(ring.path(), wrong).unwrap();
        let error = ring.load().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&UnreadableRing { path: ring.path(), why }));
        assert!(error.to_string().contains(&ring.path().display().to_string()));
        assert!(ring.compare_and_set(None, &record(2)).is_err());
        assert_eq!(fs::read_to_string(ring.path()).unwrap(), wrong);
    }
    fs::write(ring.path(), b"\xff\n").unwrap();
    assert!(ring.load().is_err());
}

#[cfg(unix)]
#[test]
fn the_folder_is_for_its_owner_alone_and_links_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rings");
    let ring = FileKeyRing::open(&folder, "ring").unwrap();
    ring.compare_and_set(None, &record(1)).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&ring.path()), mode(&folder.join("ring.lock"))), (0o700, 0o600, 0o600));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
    let error = FileKeyRing::open(&folder, "ring").unwrap_err();
    assert_eq!(Unfit::of(&error).unwrap().reason(), "folder_readable");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(ring.path(), temporary.path().join("elsewhere")).unwrap();
    symlink(temporary.path().join("elsewhere"), ring.path()).unwrap();
    assert!(ring.load().unwrap_err().to_string().contains("is a link"));
}

#[test]
fn what_was_being_written_is_removed_after_an_hour() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rings");
    FileKeyRing::open(&folder, "ring").unwrap();
    for (name, age) in [(".new-old", 3_700), (".new-fresh", 3_500), ("mine", 10_000)] {
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
    }
    FileKeyRing::open(&folder, "ring").unwrap();
    assert!(!folder.join(".new-old").exists());
    assert!(folder.join(".new-fresh").exists() && folder.join("mine").exists());
}
