//! A key ring on a token, shared by processes.

use std::process::{Child, Command, Stdio};
use std::thread;

use keybound::key::SigningInput;
use keybound::key::ring::{KeyRingRecord, KeyRingStore, RotationPolicy, Swap};
use keybound::oauth::host::KeyHost;
use keybound::oauth::step::{HostError, KeyFault};
use keybound::{RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_files::FileKeyRing;
use keybound_pkcs11::Pkcs11Keys;
use keybound_reqwest::{Memory, Rotated, RotatingKeys};

use crate::place::{Place, story};

/// What a process of a test does; the test itself where it is not set.
const PART: &str = "KEYBOUND_PART";
/// The time in the process.
const NOW: &str = "KEYBOUND_NOW";

const HOUR: u64 = 3_600;
const ROTATE_AFTER: u64 = 30 * 24 * HOUR;
const RETIRE_AFTER: u64 = HOUR;

type Ring<T = FileKeyRing> = RotatingKeys<Pkcs11Keys, T>;

fn store(place: &Place) -> FileKeyRing {
    FileKeyRing::open(place.folder().join("rings"), "payments").unwrap()
}

fn open<T>(place: &Place, store: T, now: UnixTime) -> Ring<T>
where
    T: KeyRingStore<Error = HostError> + Send + Sync + 'static,
{
    let keys = Pkcs11Keys::open(place.settings().application("payments").clock(move || now)).unwrap();
    let policy = RotationPolicy::new(ROTATE_AFTER, RETIRE_AFTER).unwrap();
    RotatingKeys::builder(keys, store, policy).clock(move || now).open().unwrap()
}

/// Looks at the ring, which has no sessions.
fn look<T>(ring: &Ring<T>)
where
    T: KeyRingStore<Error = HostError> + Send + Sync + 'static,
{
    ring.look(&Memory::new(), |rotated| {
        if let Rotated::Failed(error) = rotated {
            panic!("{error}");
        }
    });
}

/// The keys that the token holds.
fn held(place: &Place) -> Vec<Thumbprint> {
    KeyHost::keys(&Pkcs11Keys::open(place.settings().application("payments")).unwrap())
        .unwrap()
        .into_iter()
        .map(|key| key.thumbprint)
        .collect()
}

fn sign(ring: &Ring, thumbprint: Thumbprint) -> Result<(), KeyFault> {
    let key = ring.signer(thumbprint)?;
    key.sign(&SigningInput::new(key.algorithm(), b"message", RUSTCRYPTO.digest)).expect("it signs");
    Ok(())
}

fn now() -> UnixTime {
    std::env::var(NOW).map_or_else(|_| UnixTime::now(), |now| UnixTime::from_secs(now.parse().unwrap()))
}

/// Starts this test as another process.
fn process(test: &str, part: &str, now: UnixTime) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("ring::{test}"), "--nocapture"])
        .envs([(PART, part.to_owned()), (NOW, now.secs().to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// N19 and N20: 8 processes with 8 threads each sign and find that rotation is due. There is one successor, and no orphan.
#[test]
fn eight_processes_rotate_once() {
    story(module_path!(), "eight_processes_rotate_once", |place| {
        if std::env::var_os(PART).is_some() {
            let ring = open(place, store(place), now());
            let old = ring.active();
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..5 {
                            sign(&ring, old).unwrap();
                            sign(&ring, ring.active()).unwrap();
                        }
                    });
                }
                look(&ring);
            });
            println!("active {}", ring.active());
            return;
        }
        let start = UnixTime::now();
        let ring = open(place, store(place), start);
        let old = ring.active();
        let due = start.saturating_add(ROTATE_AFTER);
        let processes: Vec<_> = (0..8).map(|_| process("eight_processes_rotate_once", "rotate", due)).collect();
        let mut active = Vec::new();
        for child in processes {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            let told = String::from_utf8(output.stdout).unwrap();
            active.push(told.lines().find_map(|line| line.strip_prefix("active ").map(str::to_owned)).unwrap());
        }
        active.dedup();
        assert_eq!(active.len(), 1, "{active:?}");
        assert_ne!(active[0], old.to_string());
        let mut there: Vec<_> = held(place).iter().map(ToString::to_string).collect();
        let mut known = vec![old.to_string(), active.remove(0)];
        there.sort();
        known.sort();
        assert_eq!(there, known);

        // The earlier key signs until it retires, and then no more; two purges an hour apart destroy it.
        sign(&open(place, store(place), due.saturating_add(RETIRE_AFTER - 1)), old).unwrap();
        let later = due.saturating_add(RETIRE_AFTER);
        let retired = open(place, store(place), later);
        assert!(matches!(sign(&retired, old), Err(KeyFault::Missing)));
        look(&retired);
        assert_eq!(held(place).len(), 2);
        look(&open(place, store(place), later.saturating_add(HOUR)));
        assert_eq!(held(place), [retired.active()]);
    });
}

/// A store whose process ends when it is about to record a key.
struct Crash(FileKeyRing);

impl KeyRingStore for Crash {
    type Error = HostError;

    fn load(&self) -> Result<Option<KeyRingRecord>, HostError> {
        self.0.load()
    }

    fn compare_and_set(&self, _: Option<u64>, _: &KeyRingRecord) -> Result<Swap, HostError> {
        std::process::exit(9);
    }
}

#[test]
fn a_crash_between_generate_and_record_leaves_a_key_that_purge_finds() {
    const TEST: &str = "a_crash_between_generate_and_record_leaves_a_key_that_purge_finds";
    story(module_path!(), TEST, |place| {
        if std::env::var_os(PART).is_some() {
            look(&open(place, Crash(store(place)), now()));
            return;
        }
        let start = UnixTime::now();
        drop(open(place, store(place), start));
        // A key of another program on the same token, and one from elsewhere.
        let other = Pkcs11Keys::open(place.settings().application("another")).unwrap();
        other.create(keybound::AlgorithmSet::FAPI2, keybound::oauth::step::KeyOwner::Host).unwrap();
        place.pkcs11_tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--id", "07", "--usage-sign"]);
        let due = start.saturating_add(ROTATE_AFTER);
        let ended = process(TEST, "crash", due).wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(9), "{ended:?}");
        assert_eq!(held(place).len(), 2);
        // Within the hour it could be one that is about to be recorded. After that it takes two looks. Meanwhile the ring rotates.
        for (seconds, left) in [(1, 3), (HOUR - 1, 3), (2 * HOUR, 3), (3 * HOUR, 1)] {
            let ring = open(place, store(place), due.saturating_add(seconds));
            look(&ring);
            assert_eq!(held(place).len(), left, "{seconds}");
            assert!(held(place).contains(&ring.active()));
        }
        assert_eq!(other.list().unwrap().len(), 3);
    });
}

/// While the token is away, a look fails and changes nothing: no key is taken for lost and none is made in vain.
#[test]
fn a_ring_outlives_an_outage() {
    story(module_path!(), "a_ring_outlives_an_outage", |place| {
        let start = UnixTime::now();
        let old = open(place, store(place), start).active();
        let ring = open(place, store(place), start.saturating_add(ROTATE_AFTER));
        place.take_away();
        let mut failed = Vec::new();
        ring.look(&Memory::new(), |rotated| match rotated {
            Rotated::Failed(error) => failed.push(error.to_string()),
            other => panic!("{other:?}"),
        });
        assert!(failed.iter().any(|error| error.contains("no slot holds the token")), "{failed:?}");
        assert_eq!(ring.active(), old);
        place.bring_back();
        thread::sleep(std::time::Duration::from_secs(1));
        look(&ring);
        assert_ne!(ring.active(), old);
        assert_eq!(held(place).len(), 2);
    });
}
