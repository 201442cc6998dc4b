//! Rings whose clock is the test's, over hosts that fail when they are told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use keybound::audit::Operation;
use keybound::key::ring::{MemoryKeyRing, RotationPolicy};
use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner, Saved, Slot, Stored};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};

use super::{LOOK, Rotated, RotationTask, SOON};
use crate::{HeldKey, KeyFor, KeyHost, Memory, RotatingKeys, SessionHost};

const ROTATE: u64 = 100_000;
const RETIRE: u64 = 20_000;

/// A memory that is out of reach now and then.
#[derive(Clone, Default)]
struct Keys {
    memory: Memory,
    is_away: Arc<AtomicBool>,
}

impl Keys {
    fn there(&self) -> Result<&Memory, HostError> {
        if self.is_away.load(Ordering::SeqCst) { Err("the token is away".into()) } else { Ok(&self.memory) }
    }
}

impl KeyHost for Keys {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        self.there()?.create_key(algorithms, protections, wanted_for)
    }
    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        self.there().map_err(KeyFault::Unreadable)?.signer(thumbprint)
    }
    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.there()?.delete_key(thumbprint)
    }
    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.there()?.keys()
    }
}

/// Sessions that name these keys, or cannot be read.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<Option<Vec<Thumbprint>>>>);

impl Sessions {
    fn naming(keys: &[Thumbprint]) -> Self {
        Self(Arc::new(Mutex::new(Some(keys.to_vec()))))
    }
}

impl SessionHost for Sessions {
    fn load(&self, _: &Slot) -> Result<Option<Stored>, HostError> {
        Ok(None)
    }
    fn save(&self, _: &Slot, _: Option<u64>, _: u64, _: Option<&[u8]>) -> Result<Saved, HostError> {
        Ok(Saved::Conflict)
    }
    fn lock(&self, _: &str, _: u64) -> Result<Box<dyn Send>, HostError> {
        Ok(Box::new(()))
    }
    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        self.0.lock().unwrap().clone().ok_or_else(|| "a session cannot be read".into())
    }
}

/// The host, the record and the clock that processes share.
struct World {
    keys: Keys,
    record: MemoryKeyRing,
    begin: UnixTime,
    passed: Arc<AtomicU64>,
}

type Ring = RotatingKeys<Keys, MemoryKeyRing>;

impl World {
    fn new() -> Self {
        let (keys, record) = (Keys::default(), MemoryKeyRing::default());
        Self { keys, record, begin: UnixTime::now(), passed: Arc::default() }
    }

    fn builder(&self) -> crate::RingBuilder<Keys, MemoryKeyRing> {
        let (begin, passed) = (self.begin, self.passed.clone());
        RotatingKeys::builder(self.keys.clone(), self.record.clone(), RotationPolicy::new(ROTATE, RETIRE).unwrap())
            .clock(move || begin.saturating_add(passed.load(Ordering::SeqCst)))
    }

    /// One of the processes.
    fn process(&self) -> Ring {
        self.builder().open().unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    fn exists(&self, key: Thumbprint) -> bool {
        self.keys.memory.signer(key).is_ok()
    }
}

/// What one look did, what failed, and the pause after it.
fn look(ring: &Ring, sessions: &Sessions) -> (Vec<(Operation, Thumbprint)>, Vec<String>, u64) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    let pause = ring.look(sessions, |rotated| match rotated {
        Rotated::Done(record) => done.push((record.operation, record.thumbprint.unwrap())),
        Rotated::Failed(error) => failed.push(error.to_string()),
    });
    (done, failed, pause.as_secs())
}

fn create(ring: &Ring) -> (Thumbprint, KeyOwner) {
    let made = ring.create_key(AlgorithmSet::ALL, KeyProtection::ALL, KeyFor::Session).unwrap();
    (made.public_key.thumbprint(RUSTCRYPTO.digest), made.owner)
}

#[test]
fn a_key_is_superseded_retires_and_is_deleted_in_two_looks() {
    let (world, sessions) = (World::new(), Sessions::naming(&[]));
    let ring = world.process();
    let old = ring.active();
    assert_eq!(create(&ring), (old, KeyOwner::Host));
    assert_eq!(look(&ring, &sessions), (vec![], vec![], LOOK));
    world.pass(ROTATE - 60);
    assert_eq!(look(&ring, &sessions), (vec![], vec![], 60), "it is back when the ring is due");
    world.pass(60);
    let (done, failed, pause) = look(&ring, &sessions);
    let new = ring.active();
    assert_eq!((done, failed, pause), (vec![(Operation::Rotation, new)], vec![], LOOK));
    assert_eq!(create(&ring), (new, KeyOwner::Host));
    world.pass(RETIRE - 1);
    assert!(ring.signer(old).is_ok(), "it signs for its tokens");
    world.pass(1);
    assert!(matches!(ring.signer(old), Err(KeyFault::Missing)));
    assert_eq!(look(&ring, &sessions).0, [], "marked");
    world.pass(3_600);
    assert_eq!(look(&ring, &sessions).0, [(Operation::Deletion, old)]);
    assert_eq!((world.exists(old), world.exists(new)), (false, true));
}

#[test]
fn a_key_that_sessions_use_is_kept_and_so_are_all_while_they_cannot_be_read() {
    let (world, sessions) = (World::new(), Sessions::default());
    let ring = world.process();
    let old = ring.active();
    world.pass(ROTATE);
    let (done, failed, pause) = look(&ring, &sessions);
    assert_eq!((done.len(), failed, pause), (1, vec![String::from("a session cannot be read")], SOON));
    for named in [None, Some(vec![old])] {
        *sessions.0.lock().unwrap() = named;
        world.pass(RETIRE);
        assert_eq!(look(&ring, &sessions).0, []);
        world.pass(3_600);
        assert_eq!(look(&ring, &sessions).0, []);
        assert!(world.exists(old));
    }
    *sessions.0.lock().unwrap() = Some(Vec::new());
    look(&ring, &sessions);
    world.pass(3_600);
    assert_eq!(look(&ring, &sessions).0, [(Operation::Deletion, old)]);
}

#[test]
fn an_outage_is_told_and_over_when_it_is_over() {
    let (world, sessions) = (World::new(), Sessions::naming(&[]));
    let ring = world.process();
    let old = ring.active();
    world.pass(ROTATE);
    world.keys.is_away.store(true, Ordering::SeqCst);
    let (done, failed, pause) = look(&ring, &sessions);
    assert_eq!((done, pause), (vec![], SOON));
    assert!(failed.iter().all(|error| error == "the token is away") && !failed.is_empty(), "{failed:?}");
    assert_eq!(create(&ring), (old, KeyOwner::Host), "an overdue key stays active");
    assert!(matches!(ring.signer(Thumbprint::from_bytes([7; 32])), Err(KeyFault::Unreadable(_))), "not a lost key");
    world.keys.is_away.store(false, Ordering::SeqCst);
    assert_eq!(look(&ring, &sessions).0.len(), 1);
    assert_ne!(ring.active(), old);
}

#[test]
fn processes_have_one_successor_and_each_finds_it() {
    let (world, sessions) = (World::new(), Sessions::naming(&[]));
    let (one, other) = (world.process(), world.process());
    let old = one.active();
    world.pass(ROTATE);
    look(&one, &sessions);
    let new = one.active();
    assert_eq!(other.active(), old);
    // A session that the first one gave the new key, opened by the other.
    assert!(other.signer(new).is_ok());
    assert_eq!(other.active(), new);
    assert_eq!(look(&other, &sessions).0, []);
    assert_eq!(world.keys.keys().unwrap().len(), 2);
    // Once the other has looked, it does not have a key that the first revoked.
    one.revoke(old).unwrap();
    look(&other, &sessions);
    assert!([one, other].iter().all(|ring| matches!(ring.signer(old), Err(KeyFault::Missing))));
}

#[test]
fn keys_beside_the_ring_are_the_hosts() {
    let world = World::new();
    let ring = world.process();
    let client = SoftKey::generate(Algorithm::Es384, &RUSTCRYPTO).unwrap();
    let thumbprint = client.public_key().thumbprint(RUSTCRYPTO.digest);
    world.keys.memory.add_key(client);
    assert!(ring.signer(thumbprint).is_ok(), "the one a client authenticates with");
    ring.delete_key(ring.active()).unwrap();
    assert!(world.exists(ring.active()), "no flow deletes a key of the ring");
    ring.delete_key(thumbprint).unwrap();
    assert!(matches!(ring.signer(thumbprint), Err(KeyFault::Missing)));
    let error = ring.create_key(AlgorithmSet::of(&[Algorithm::Ed25519]), KeyProtection::ALL, KeyFor::Session);
    assert!(error.unwrap_err().to_string().contains("build the ring with other algorithms"));
    assert!(ring.create_key(AlgorithmSet::ALL, &[KeyProtection::Hsm], KeyFor::Session).is_err());
}

#[test]
fn keys_of_sessions_are_deleted_only_where_all_sessions_are_known() {
    let world = World::new();
    let make = || {
        let made = world.keys.create_key(AlgorithmSet::ALL, KeyProtection::ALL, KeyFor::SessionElsewhere).unwrap();
        made.public_key.thumbprint(RUSTCRYPTO.digest)
    };
    let (used, left) = (make(), make());
    let sessions = Sessions::naming(&[used]);
    world.pass(7_000);
    let ring = world.builder().all_sessions().open().unwrap();
    assert_eq!(look(&ring, &sessions).0, [], "a login under way has made its key and is not stored yet");
    world.pass(201);
    assert_eq!(look(&world.process(), &sessions).0, []);
    assert_eq!(look(&ring, &sessions).0, [(Operation::Deletion, left)]);
    assert_eq!([used, left, ring.active()].map(|key| world.exists(key)), [true, false, true]);
}

#[test]
fn a_task_looks_at_once_and_ends_when_it_is_dropped() {
    let (world, sessions) = (World::new(), Sessions::naming(&[]));
    let ring = world.process();
    world.pass(ROTATE);
    let (tell, told) = mpsc::channel();
    let task = RotationTask::start(ring.clone(), sessions, move |rotated| tell.send(rotated).unwrap()).unwrap();
    let first = told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(first, Rotated::Done(record) if record.thumbprint == Some(ring.active())));
    drop(task);
    // Its thread has ended when what it tells by is gone.
    assert_eq!(told.recv_timeout(Duration::from_secs(20)).err(), Some(mpsc::RecvTimeoutError::Disconnected));
}
