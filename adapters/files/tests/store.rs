//! What a folder of sessions refuses, and what it takes from earlier versions.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use keybound::oauth::files::MAX_LEN;
use keybound::oauth::step::Saved;
use keybound::{RUSTCRYPTO, UnixTime};
use keybound_files::{Files, LockTimeout, Unfit};

fn open(folder: &Path) -> std::io::Result<Files> {
    Files::open(folder, &RUSTCRYPTO, UnixTime::now())
}

#[test]
fn a_value_that_is_too_long_is_an_error_and_not_cut_off() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("sessions");
    let files = open(&folder).unwrap();
    let most = vec![b' '; MAX_LEN - "keybound 1 1\n".len()];
    assert_eq!(files.save("session/most", None, 1, Some(&most)).unwrap(), Saved::Stored);
    assert_eq!(files.load("session/most").unwrap().unwrap().value, most);
    let more = [most.as_slice(), b" "].concat();
    assert!(files.save("session/more", None, 1, Some(&more)).unwrap_err().to_string().contains("4 MiB"));
    assert!(files.attach("more", &vec![0; MAX_LEN + 1]).is_err());
    fs::write(folder.join("session/more"), [b"keybound 1 1\n", more.as_slice()].concat()).unwrap();
    assert!(files.load("session/more").unwrap_err().to_string().contains("4 MiB"));
}

#[test]
fn a_spoiled_file_is_set_aside_once_and_one_of_a_newer_program_stays() {
    let temporary = tempfile::tempdir().unwrap();
    let files = open(&temporary.path().join("sessions")).unwrap();
    let (path, aside) = (files.path().join("session/work"), files.path().join("session/.spoiled-work"));
    for content in [b"".as_slice(), b"{}", b"keybound 1 7", b"keybound 1 1\n\xff"] {
        fs::write(&path, content).unwrap();
        let error = files.load("session/work").unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains(aside.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&aside).unwrap(), content);
        assert!(files.load("session/work").unwrap().is_none(), "told once");
        assert_eq!(files.save("session/work", None, 1, Some(b"{}")).unwrap(), Saved::Stored);
        assert_eq!(files.sessions().unwrap(), ["work"]);
        fs::write(&path, content).unwrap();
        assert!(files.save("session/work", None, 1, Some(b"{}")).unwrap_err().to_string().contains(".spoiled-work"));
        assert_eq!(files.save("session/work", None, 1, Some(b"{}")).unwrap(), Saved::Stored);
    }
    fs::write(&path, b"keybound 2 1\n{}").unwrap();
    files.load("session/work").unwrap_err();
    files.save("session/work", None, 1, Some(b"{}")).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"keybound 2 1\n{}");
    // While another task changes the file it has the lock, and nothing is renamed.
    fs::write(&path, b"").unwrap();
    let held = files.try_lock("save/session/work").unwrap().unwrap();
    files.load("session/work").unwrap_err();
    assert!(path.exists());
    drop(held);
}

#[test]
fn what_is_kept_beside_a_session_goes_with_it() {
    let temporary = tempfile::tempdir().unwrap();
    let files = open(&temporary.path().join("sessions")).unwrap();
    files.save("session/a b", None, 1, Some(b"{}")).unwrap();
    files.attach("a b", b"beside").unwrap();
    assert_eq!(files.attachment("a b").unwrap().unwrap().as_slice(), b"beside");
    assert_eq!(files.try_save("session/a b", Some(1), 2, None).unwrap(), Some(Saved::Stored));
    assert_eq!(fs::read_dir(files.path().join("attached")).unwrap().count(), 0);
}

#[test]
fn one_who_saves_waits_for_one_who_does_and_no_longer_than_the_lease() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("sessions");
    let (one, other) = (open(&folder).unwrap(), open(&folder).unwrap());
    let held = one.try_lock("save/session/work").unwrap().unwrap();
    assert_eq!(other.try_save("session/work", None, 1, Some(b"{}")).unwrap(), None);
    let error = other.lock("save/session/work", Duration::ZERO).unwrap_err();
    assert_eq!(error.downcast_ref::<LockTimeout>().unwrap().lock(), "save/session/work");
    let (said, saved) = mpsc::channel();
    let waiting = std::thread::spawn(move || said.send(other.save("session/work", None, 1, Some(b"{}")).unwrap()));
    assert!(one.load("session/work").unwrap().is_none());
    drop(held);
    assert_eq!(saved.recv().unwrap(), Saved::Stored);
    waiting.join().unwrap().unwrap();
}

#[cfg(unix)]
#[test]
fn every_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("sessions");
    drop(open(&folder).unwrap());
    for part in ["", "session", "key", "attached"] {
        let part = folder.join(part);
        fs::set_permissions(&part, fs::Permissions::from_mode(0o710)).unwrap();
        let error = open(&folder).unwrap_err();
        assert_eq!(Unfit::of(&error).unwrap().reason(), "folder_readable");
        fs::set_permissions(&part, fs::Permissions::from_mode(0o700)).unwrap();
    }
    drop(open(&folder).unwrap());
    std::os::unix::fs::symlink(&folder, temporary.path().join("link")).unwrap();
    let linked = open(&temporary.path().join("link")).unwrap_err().to_string();
    assert!(
        linked.contains("is a link") && linked.ends_with(&folder.canonicalize().unwrap().display().to_string()),
        "{linked}"
    );
    fs::remove_dir(folder.join("made")).unwrap();
    fs::write(folder.join("made"), "").unwrap();
    let error = open(&folder).unwrap_err();
    assert_eq!(Unfit::of(&error).unwrap().reason(), "not_a_folder");
    // What a `main` shows that returns it.
    assert!(format!("{error:?}").contains("is not a folder; name one that is (not_a_folder)"), "{error:?}");
}
