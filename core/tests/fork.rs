//! A memory store refuses use in a forked child and goes on in the parent. Runs without the test harness,
//! because only a process with one thread may fork and go on.
#![allow(missing_docs, clippy::expect_used)]

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() {
    use keybound::crypto::{RandomUnavailable, SecureRandom};
    use keybound::replay::memory::MemoryStore;
    use keybound::replay::{Insertion, ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, ReplayStore};
    use keybound::{Thumbprint, UnixTime};

    struct Sevens;

    impl SecureRandom for Sevens {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
            out.fill(7);
            Ok(())
        }
    }

    let agreement = ReplayAgreement::from_bytes([1; 16]);
    let now = UnixTime::from_secs(1_000);
    let proof = |number| {
        ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::from_bytes([number; 16]),
            thumbprint: Thumbprint::from_bytes([number; 32]),
            timed_at: now,
            max_ahead: 10,
            expires_at: now.saturating_add(60),
            store_margin: 60,
            nonce_epoch: None,
            agreement,
        })
    };
    let insert = |store: &MemoryStore, number| {
        let Ok(inserted) = store.insert(&proof(number), now);
        inserted.insertion
    };
    let create = || MemoryStore::new(1_000, agreement, &Sevens, UnixTime::from_secs(900)).expect("a store");
    let store = create();
    assert_eq!(insert(&store, 1), Insertion::Fresh);

    match fork::fork().expect("a child") {
        fork::Fork::Child => {
            let refused = store.was_forked() && (1..4).all(|number| insert(&store, number) == Insertion::Unavailable);
            let own = create();
            let serves = insert(&own, 2) == Insertion::Fresh && !own.was_forked();
            std::process::exit(if refused && serves { 0 } else { 1 });
        }
        fork::Fork::Parent(child) => {
            let status = fork::waitpid(child).expect("the child's status");
            assert_eq!(status, 0, "the child used the store of its parent, or could not use its own");
            assert!(!store.was_forked());
            assert_eq!(insert(&store, 2), Insertion::Fresh);
            assert_eq!(insert(&store, 1), Insertion::Seen);
        }
    }
}
