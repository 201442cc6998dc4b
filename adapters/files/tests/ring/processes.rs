//! Processes that share a ring of software keys. Each is this test program once more, told by its environment what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use keybound::key::Signer as _;
use keybound::key::ring::{
    KeptKey, KeyRefusal, KeyRing, KeyRingStore as _, RingKey, RingKeys, Rotation, RotationPolicy, Shared,
};
use keybound::key::soft::SoftKey;
use keybound::oauth::step::HostError;
use keybound::{Algorithm, RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_files::FileKeyRing;

const FOLDER: &str = "KEYBOUND_TEST_RING";
const NOW: &str = "KEYBOUND_TEST_NOW";
const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

fn policy() -> RotationPolicy {
    RotationPolicy::new(30 * DAY, 7 * DAY).unwrap()
}

/// Private keys in a folder, named after their thumbprints. They are written once the record names them.
struct SoftKeys(PathBuf);

impl SoftKeys {
    fn path(&self, thumbprint: &Thumbprint) -> PathBuf {
        self.0.join(thumbprint.to_string())
    }

    fn names(&self) -> BTreeSet<String> {
        self.list().unwrap().iter().map(|key| key.thumbprint.to_string()).collect()
    }
}

impl RingKeys for SoftKeys {
    type Key = SoftKey;
    type Error = HostError;

    fn create(&self) -> Result<RingKey<SoftKey>, HostError> {
        let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO)?;
        Ok(RingKey { thumbprint: key.public_key().thumbprint(RUSTCRYPTO.digest), key })
    }

    fn keep(&self, key: &RingKey<SoftKey>) -> Result<(), HostError> {
        let jwk = key.key.to_jwk()?;
        Ok(keybound_files::replace(&self.0, &key.thumbprint.to_string(), jwk.expose().as_bytes())?)
    }

    fn find(&self, thumbprint: &Thumbprint) -> Result<Option<SoftKey>, HostError> {
        let Some(jwk) = keybound_files::read(&self.path(thumbprint))? else { return Ok(None) };
        let key = SoftKey::from_jwk(std::str::from_utf8(&jwk)?, &RUSTCRYPTO)?;
        assert_eq!(key.public_key().thumbprint(RUSTCRYPTO.digest), *thumbprint);
        Ok(Some(key))
    }

    fn delete(&self, thumbprint: &Thumbprint) -> Result<(), HostError> {
        match fs::remove_file(self.path(thumbprint)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<KeptKey>, HostError> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let Some(thumbprint) = Thumbprint::parse(&entry.file_name().to_string_lossy()) else { continue };
            let made = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
            kept.push(KeptKey { thumbprint, made_at: Some(UnixTime::from_secs(made.try_into()?)) });
        }
        Ok(kept)
    }
}

fn shared(folder: &Path) -> Shared<FileKeyRing, SoftKeys> {
    let keys = folder.join("keys");
    keybound_files::make_private(&keys).unwrap();
    Shared { store: FileKeyRing::open(folder, "ring").unwrap(), keys: SoftKeys(keys) }
}

/// What a process does: it opens the ring, waits for the signal and rotates at its time. Its last line is the active key.
#[test]
fn a_process_that_rotates() {
    let (Ok(folder), Ok(now)) = (std::env::var(FOLDER), std::env::var(NOW)) else { return };
    let (folder, now) = (PathBuf::from(folder), UnixTime::from_secs(now.parse().unwrap()));
    let shared = shared(&folder);
    let mut ring = shared.open(policy(), now).unwrap();
    let before = ring.active().0;
    fs::write(folder.join(format!("ready-{}", std::process::id())), "").unwrap();
    while !folder.join("go").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    while shared.rotate(&mut ring, now).unwrap() == Rotation::Underway {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(ring.key_for(&before, now).is_ok());
    let retired = now.saturating_add(7 * DAY);
    assert!(matches!(ring.key_for(&before, retired), Err(KeyRefusal::Retired { since }) if since == retired));
    println!("\nactive {}", ring.active().0);
}

fn start(folder: &Path, now: UnixTime) -> Vec<Child> {
    let processes = (0..8).map(|_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::a_process_that_rotates", "--nocapture", "--test-threads", "1"]);
        command.env(FOLDER, folder).env(NOW, now.secs().to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let processes: Vec<Child> = processes.collect();
    let (began, ready) = (Instant::now(), |process: &Child| folder.join(format!("ready-{}", process.id())).exists());
    while !processes.iter().all(ready) {
        assert!(began.elapsed() < Duration::from_secs(60), "a process did not open the ring");
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::write(folder.join("go"), "").unwrap();
    processes
}

fn found(folder: &Path) -> (Shared<FileKeyRing, SoftKeys>, KeyRing<SoftKey>) {
    let shared = shared(folder);
    let ring = shared.open(policy(), UnixTime::now()).unwrap();
    (shared, ring)
}

#[test]
fn eight_processes_rotate_once() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rings");
    let (shared, mut ring) = found(&folder);
    let first = ring.active().0;
    let due = ring.next_due();
    let mut said = BTreeSet::new();
    for process in start(&folder, due) {
        let output = process.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
        said.extend(text.lines().filter_map(|line| line.strip_prefix("active ")).map(String::from));
    }
    assert_eq!(shared.rotate(&mut ring, due).unwrap(), Rotation::Followed);
    let active = ring.active().0;
    assert_eq!(said, [active.to_string()].into());
    assert_eq!(ring.record().keys().map(|key| key.thumbprint).collect::<Vec<_>>(), [first, active]);
    assert_eq!(shared.keys.names(), [first.to_string(), active.to_string()].into());
}

/// Whatever they were doing, one key is active, it is there, and no other key is left behind.
#[test]
fn eight_processes_killed_at_any_time_leave_one_successor_and_no_orphan() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("rings");
    let (shared, mut ring) = found(&folder);
    let mut seed = u64::from(std::process::id());
    for round in 0..6 {
        let (before, due) = (ring.active().0, ring.next_due());
        for mut process in start(&folder, due) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_micros((seed >> 40) % 3_000));
            process.kill().unwrap();
            process.wait().unwrap();
        }
        // At the latest an hour after a process recorded a key and was killed before it had kept it.
        let late = due.saturating_add(HOUR);
        if shared.rotate(&mut ring, due).unwrap() == Rotation::Underway {
            assert_ne!(shared.rotate(&mut ring, late).unwrap(), Rotation::Underway);
        }
        assert_ne!(ring.active().0, before, "round {round}");
        assert_eq!(shared.store.load().unwrap().as_ref(), Some(ring.record()));
        assert_eq!(ring.record().keys().filter(|key| key.retires_at.is_none()).count(), 1);
        assert!(ring.key_for(&before, due).is_ok());
        // All that retired is gone after two purges: a superseded key, those given up, and those never recorded.
        let retired = late.saturating_add(7 * DAY);
        shared.purge(&mut ring, |_| false, retired).unwrap();
        shared.purge(&mut ring, |_| false, retired.saturating_add(HOUR)).unwrap();
        assert_eq!(shared.keys.names(), [ring.active().0.to_string()].into(), "round {round}");
        fs::remove_file(folder.join("go")).unwrap();
    }
}
