//! Folders as other users, other processes and forgetful programs leave them.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keybound::http::message::Response;
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner, Saved, Slot, Stored};
use keybound::oauth::{Client, Credentials, FlowError, SessionRequest, Step};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, SecurityLevel, Thumbprint, UnixTime};

use super::Files;
use crate::drive::{Locks, Pause, advance};
use crate::{Error, HeldKey, Host, KeyFor, KeyHost, LockTimeout, Memory, SessionHost, Split};

const ISSUER: &str = "https://as.example.com";
const RESOURCE: &str = "https://api.example.com";

/// The same folder with a clock that is behind.
struct Past {
    files: Files,
    seconds: u64,
}

impl SessionHost for Past {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        self.files.load(slot)
    }
    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        self.files.save(slot, expected, version, value)
    }
    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        self.files.lock(name, lease)
    }
    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        self.files.named_keys()
    }
    fn now(&self) -> UnixTime {
        UnixTime::now().saturating_sub(self.seconds)
    }
}

impl KeyHost for Past {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        self.files.create_key(algorithms, protections, wanted_for)
    }
    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.files.signer(thumbprint)
    }
    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.files.delete_key(thumbprint)
    }
    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.files.keys()
    }
}

/// Drives a flow, with metadata for its requests.
fn run<T>(host: &dyn Host, step: Result<Step<T>, FlowError>) -> T {
    let (mut step, mut locks) = (step.unwrap(), Locks::default());
    loop {
        step = match advance(host, &mut locks, step).unwrap() {
            Pause::Done(result) => return result,
            Pause::Fetch(fetch) => {
                let body = match fetch.request().url.contains("oauth-protected-resource") {
                    true => format!(r#"{{"resource":"{RESOURCE}","authorization_servers":["{ISSUER}"]}}"#),
                    false => format!(
                        r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/authorize","token_endpoint":"{ISSUER}/token",
                           "code_challenge_methods_supported":["S256"]}}"#
                    ),
                };
                let fields = vec![("content-type".into(), b"application/json".to_vec())];
                fetch.resume(Ok(Response { status: 200, fields, body: body.into_bytes() }), host.now()).unwrap()
            }
            Pause::Lock(_) | Pause::Wait(_) => panic!("a login neither locks nor waits"),
        };
    }
}

/// Begins a login that nobody comes back from.
fn abandon_a_login(host: &dyn Host) {
    let client = Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .credentials(ISSUER, Credentials::public("app"))
        .build()
        .unwrap();
    let discovered = run(host, client.discover_with(RESOURCE, Some(&[]), None, host.now()));
    run(host, client.authorize(SessionRequest::new("work", &discovered), host.now()));
}

fn count(folder: &Path, kind: &str) -> usize {
    fs::read_dir(folder.join(kind)).unwrap().count()
}

fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now().checked_sub(Duration::from_secs(seconds)).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn made(files: &Files) -> Thumbprint {
    let made = files.create_key(AlgorithmSet::ALL, &[KeyProtection::Software], KeyFor::Session).unwrap();
    made.public_key.thumbprint(RUSTCRYPTO.digest)
}

fn has(files: &Files, key: Thumbprint) -> bool {
    files.signer(key).is_ok()
}

#[test]
fn a_forgotten_login_takes_its_key_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let files = Files::open(&path).unwrap();
    abandon_a_login(&Past { files: files.clone(), seconds: 60 });
    drop(Files::open(&path).unwrap());
    assert_eq!((count(&path, "login"), count(&path, "key")), (1, 1), "its user may still come back");
    abandon_a_login(&Past { files, seconds: 601 });
    assert_eq!((count(&path, "login"), count(&path, "key")), (2, 2));
    drop(Files::open(&path).unwrap());
    assert_eq!((count(&path, "login"), count(&path, "key"), count(&path, "made")), (1, 1, 1));
}

#[test]
fn a_key_that_nothing_names_is_found_and_one_of_the_users_own_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path().join("sessions")).unwrap();
    let key = |thumbprint: Thumbprint| folder.path().join("sessions/key").join(thumbprint.to_string());
    let (left, young) = (made(&files), made(&files));
    let own = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    files.add_key(&own).unwrap();
    let own = own.public_key().thumbprint(RUSTCRYPTO.digest);
    age(&key(left), 7_200);
    age(&key(own), 86_400);
    let files = Files::open(folder.path().join("sessions")).unwrap();
    assert_eq!([left, young, own].map(|key| has(&files, key)), [false, true, true]);
    age(&key(young), 7_200);
    let files = Files::open(folder.path().join("sessions")).unwrap();
    assert_eq!([young, own].map(|key| has(&files, key)), [false, true]);
}

#[test]
fn while_a_value_cannot_be_read_no_key_is_deleted_that_it_may_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let files = Files::open(&path).unwrap();
    let key = made(&files);
    age(&path.join("key").join(key.to_string()), 86_400);
    for content in ["keybound 1 5\n{", "keybound 2 5\n{}", ""] {
        fs::write(path.join("session/work"), content).unwrap();
        assert!(has(&Files::open(&path).unwrap(), key), "{content}");
    }
    fs::remove_file(path.join("session/work")).unwrap();
    assert!(!has(&Files::open(&path).unwrap(), key));
}

#[test]
fn what_an_interrupted_writer_left_behind_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    drop(Files::open(&path).unwrap());
    for (name, seconds) in [("key/.new-old", 3_600), ("session/.new-old", 3_600), ("key/.new-young", 60)] {
        fs::write(path.join(name), "a private key").unwrap();
        age(&path.join(name), seconds);
    }
    drop(Files::open(&path).unwrap());
    assert_eq!((count(&path, "key"), count(&path, "session")), (1, 0));
}

#[test]
fn a_memory_forgets_keys_that_nothing_names() {
    let (memory, now) = (Memory::new(), UnixTime::now());
    let make_for = |wanted_for, at: UnixTime| {
        let made = memory.create_key_at(AlgorithmSet::ALL, &[KeyProtection::Software], wanted_for, at).unwrap();
        made.public_key.thumbprint(RUSTCRYPTO.digest)
    };
    let own = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let own_thumbprint = own.public_key().thumbprint(RUSTCRYPTO.digest);
    memory.add_key(own);
    let make = |at| make_for(KeyFor::Session, at);
    let others = [KeyFor::SessionElsewhere, KeyFor::Host].map(|other| make_for(other, now.saturating_sub(7_200)));
    let left = make(now.saturating_sub(7_200));
    let young = make(now.saturating_sub(3_600));
    make(now);
    assert_eq!([left, young, own_thumbprint].map(|key| memory.signer(key).is_ok()), [false, true, true]);
    assert!(others.iter().all(|key| memory.signer(*key).is_ok()));
    // The one that was just made, the young one and the two of others; the caller's own is not listed.
    assert_eq!(memory.keys().unwrap().len(), 4);
}

#[test]
fn a_sweep_leaves_keys_of_rings_and_of_sessions_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let split = Split { keys: Files::open(&path).unwrap(), sessions: Memory::new() };
    let make = |host: &dyn KeyHost, wanted_for| {
        let key = host.create_key(AlgorithmSet::ALL, &[KeyProtection::Software], wanted_for).unwrap();
        (key.public_key.thumbprint(RUSTCRYPTO.digest), key.owner)
    };
    let (swept, _) = make(&split.keys, KeyFor::Session);
    let (ring, elsewhere) = (make(&split, KeyFor::Host), make(&split, KeyFor::Session));
    for key in [swept, ring.0, elsewhere.0] {
        age(&path.join("key").join(key.to_string()), 7_200);
    }
    for mark in ["made", "elsewhere"] {
        let marks = fs::read_dir(path.join(mark)).unwrap();
        marks.for_each(|mark| age(&mark.unwrap().path(), 7_200));
    }
    let files = Files::open(&path).unwrap();
    let listed = files.keys().unwrap();
    let owner = |key| listed.iter().find(|held| held.thumbprint == key).map(|held| held.owner);
    assert_eq!([ring, elsewhere].map(|(key, _)| owner(key)), [Some(KeyOwner::Host), Some(KeyOwner::Session)]);
    assert_eq!(([ring.1, elsewhere.1], owner(swept)), ([KeyOwner::Host, KeyOwner::Session], None));
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|held| held.algorithm.is_some() && held.created_at.is_some()));
    files.delete_key(ring.0).unwrap();
    files.delete_key(elsewhere.0).unwrap();
    assert_eq!(["key", "made", "elsewhere"].map(|kind| count(&path, kind)), [0; 3]);
}

#[test]
fn what_is_stored_names_keys_and_what_cannot_be_read_names_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let files = Files::open(&path).unwrap();
    assert_eq!(files.named_keys().unwrap(), []);
    abandon_a_login(&files);
    let listed = files.keys().unwrap();
    assert_eq!(files.named_keys().unwrap(), [listed[0].thumbprint]);
    fs::write(path.join("session/work"), "half a session").unwrap();
    assert!(files.named_keys().is_err());
}

#[test]
fn a_lock_is_waited_for_as_long_as_its_lease_and_never_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let hosts: [(Box<dyn Host>, Box<dyn Host>); 2] =
        [(Box::new(Files::open(&path).unwrap()), Box::new(Files::open(&path).unwrap())), {
            let memory = Memory::new();
            (Box::new(memory.clone()), Box::new(memory))
        }];
    for (one, other) in hosts {
        let held = one.lock("session/work", 0).unwrap();
        let error = other.lock("session/work", 0).err().expect("it is held");
        assert_eq!(error.downcast_ref::<LockTimeout>().unwrap().lock(), "session/work");
        assert_eq!(Error::Flow(FlowError::Host(error)).reason(), "lock_timeout");
        drop(other.lock("session/other", 0).unwrap());
        drop(held);
        drop(other.lock("session/work", 0).unwrap());
    }
}

#[cfg(unix)]
mod links_and_owners {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn refused(path: &Path) -> String {
        Files::open(path).expect_err("a folder that is refused").to_string()
    }

    #[test]
    fn a_folder_that_is_a_link_or_another_users_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("sessions"), folder.path().join("link"));
        drop(Files::open(&path).unwrap());
        symlink(&path, &link).unwrap();
        assert!(refused(&link).contains("name the folder itself"));
        fs::rename(path.join("key"), folder.path().join("key")).unwrap();
        symlink(folder.path().join("key"), path.join("key")).unwrap();
        assert!(refused(&path).contains("name the folder itself"));
        fs::remove_file(path.join("key")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(refused(&path).contains("chmod 700"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        drop(Files::open(&path).unwrap());
        // Only root can give a folder away.
        if rustix::process::geteuid().is_root() {
            for given in [path.join("session"), path.clone()] {
                chown(&given, Some(12_345), None).unwrap();
                assert!(refused(&path).contains("belongs to user 12345"));
                chown(&given, Some(0), None).unwrap();
            }
        }
    }

    #[test]
    fn a_file_that_is_a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions");
        let files = Files::open(&path).unwrap();
        let key = made(&files);
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(path.join("key").join(key.to_string()), &elsewhere).unwrap();
        symlink(&elsewhere, path.join("key").join(key.to_string())).unwrap();
        assert!(
            matches!(files.signer(key), Err(KeyFault::Unreadable(error)) if error.to_string().contains("is a link"))
        );
        let target = folder.path().join("made-by-a-lock");
        symlink(&target, path.join("lock/session%2Fwork")).unwrap();
        assert!(files.lock("session/work", 0).is_err() && !target.exists());
    }
}
