//! A forked child cannot use its copy of a memory store: it would accept what the parent has accepted.
#![cfg(unix)]
#![allow(missing_docs)]

use keybound::replay::memory::MemoryStore;
use keybound::{Algorithm, Policy, Verifier, VerifyError};
use keybound_conformance::{NOW, Request, make_key, make_store, shifted};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::ForkResult;

/// Runs `child` in a forked child and gives its exit code.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child reads memory of its own, verifies one signature and leaves. It takes no lock that another
    // thread of this test could have held (this binary has one test), and allocation is safe after a fork in the C
    // libraries this runs on.
    #[allow(unsafe_code)]
    let forked = unsafe { nix::unistd::fork() };
    match forked.expect("a child") {
        ForkResult::Child => std::process::exit(child()),
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => code,
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_store_is_of_no_use_in_a_forked_child() {
    let crypto = keybound::RUSTCRYPTO;
    let key = make_key(Algorithm::Es256, &crypto);
    let request = Request::resource(&key, &crypto);
    let verifier = Verifier::new(Policy::default(), &crypto);
    let store = make_store(&verifier, &crypto, shifted(NOW, -1_000));
    let [used, unused] = [(); 2].map(|()| request.proof(&key, &crypto, NOW));
    assert!(request.consume(&verifier, &used, NOW, &store).is_ok());

    let outcome = |store: &MemoryStore, proof: &str| match request.consume(&verifier, proof, NOW, store) {
        Ok(_) => 10,
        Err(VerifyError::Unavailable) => 11,
        Err(_) => 12,
    };
    assert_eq!(in_child(|| outcome(&store, &unused)), 11, "the child's copy answers that it cannot know");
    assert_eq!(in_child(|| outcome(&store, &used)), 11);
    assert_eq!(in_child(|| i32::from(store.was_forked())), 1);
    // A store made in the child works there, and this one still works here.
    let fresh = || make_store(&verifier, &crypto, shifted(NOW, -1_000));
    assert_eq!(in_child(|| outcome(&fresh(), &unused)), 10);
    assert!(!store.was_forked());
    assert_eq!(outcome(&store, &unused), 10);
    assert_eq!(outcome(&store, &unused), 12);
}
