//! A token that goes away.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keybound::key::{Signer, SignerError, SigningInput};
use keybound::oauth::host::{KeyFor, KeyHost};
use keybound::oauth::step::{KeyFault, KeyOwner};
use keybound::{AlgorithmSet, RUSTCRYPTO, Thumbprint};
use keybound_pkcs11::{Error, TokenKey};

use crate::place::story;
use crate::signing::{prove, thumbprint};

fn sign(key: &TokenKey) -> Result<(), Error> {
    match key.sign(&SigningInput::new(key.algorithm(), b"message", RUSTCRYPTO.digest)) {
        Ok(_) => Ok(()),
        Err(SignerError::Host(error)) => Err(*error.downcast().unwrap()),
        Err(other) => panic!("{other}"),
    }
}

/// Signs until that succeeds, and returns the reasons why it did not. On a machine that does nothing else it takes less than two
/// seconds; others have more time.
fn until_it_signs(key: &TokenKey) -> Vec<&'static str> {
    let start = Instant::now();
    let mut reasons = Vec::new();
    while let Err(error) = sign(key) {
        reasons.push(error.reason());
        assert!(start.elapsed() < Duration::from_secs(20), "{error}");
        thread::yield_now();
    }
    println!("signs after {:.2?}", start.elapsed());
    reasons
}

#[test]
fn the_token_goes_away_and_comes_back() {
    story(module_path!(), "the_token_goes_away_and_comes_back", |place| {
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        prove(&*key);
        for round in 0..3 {
            place.take_away();
            let error = sign(&key).unwrap_err();
            assert_eq!(error.reason(), "token_absent", "round {round}: {error}");
            // Also for one who has not looked for the key before.
            let fault = KeyHost::signer(&place.faulty_keys(), key.thumbprint()).err().unwrap();
            assert!(matches!(fault, KeyFault::Unreadable(_)), "{fault:?}");
            assert!(keys.list().is_err());
            assert!(keys.delete(key.thumbprint()).is_err());
            assert!(keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).is_err());
            place.bring_back();
            let reasons = until_it_signs(&key);
            assert!(reasons.iter().all(|reason| *reason == "token_absent"), "{reasons:?}");
            prove(&*key);
            assert_eq!(keys.list().unwrap().len(), 1);
        }
        assert_eq!(place.calls("C_Logout"), 0);
    });
}

/// Ends threads that work until they are told, also when the test fails.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Under load, every failure is an outage with its cause, whichever moment it hits.
#[test]
fn a_token_that_flickers_is_never_a_key_that_is_gone() {
    story(module_path!(), "a_token_that_flickers_is_never_a_key_that_is_gone", |place| {
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        place.copy();
        let ended = AtomicBool::new(false);
        let (mut signed, mut failed) = (0, 0);
        thread::scope(|scope| {
            let until = Until(&ended);
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut counts = (0, 0);
                        while !ended.load(Ordering::Relaxed) {
                            match sign(&key) {
                                Ok(()) => counts.0 += 1,
                                Err(error) => {
                                    assert!(!matches!(error, Error::KeyGone(_)), "{error}");
                                    counts.1 += 1;
                                    thread::sleep(Duration::from_millis(1));
                                }
                            }
                        }
                        counts
                    })
                })
                .collect();
            for pause in [5, 40, 1, 90, 20, 3, 250, 10].map(Duration::from_millis) {
                thread::sleep(Duration::from_millis(60));
                place.take_away();
                thread::sleep(pause);
                place.bring_back();
                thread::sleep(Duration::from_millis(60));
                place.take_all_away();
                thread::sleep(pause);
                place.bring_all_back();
                thread::sleep(Duration::from_millis(60));
                place.delete_and_restore(|| thread::sleep(pause));
            }
            until_it_signs(&key);
            drop(until);
            for worker in workers {
                let counts = worker.join().unwrap();
                signed += counts.0;
                failed += counts.1;
            }
        });
        assert!(signed > 0 && failed > 0, "{signed} {failed}");
        assert_eq!(place.calls("C_Logout"), 0);
    });
}

/// Handles are of a login. After a token was away, searches find nothing although no call fails.
#[test]
fn a_module_that_finds_nothing_is_started_again() {
    story(module_path!(), "a_module_that_finds_nothing_is_started_again", |place| {
        let keys = place.faulty_keys();
        let made = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap().thumbprint();
        for (round, starts) in [2, 4].into_iter().enumerate() {
            place.rule(&format!("C_FindObjects blind {starts}"));
            let others = place.faulty_keys();
            prove(&*others.key(made).unwrap());
            assert!(place.calls("C_Initialize") >= starts, "round {round}");
            place.rule(&format!("C_FindObjects blind {}", starts + 1));
            assert_eq!(place.faulty_keys().list().unwrap().len(), 1);
        }
        // Also where the token says that something is wrong.
        let connected = place.faulty_keys();
        place.rule("");
        assert_eq!(connected.list().unwrap().len(), 1);
        let starts = place.calls("C_Initialize") + 1;
        place.rule(&format!("C_FindObjects blind {starts}\nC_GetTokenInfo fail-once 0x5"));
        prove(&*connected.key(made).unwrap());
        // That it is gone is believed only after that.
        place.rule("C_FindObjects blind 100");
        let before = place.calls("C_Initialize");
        assert!(matches!(place.faulty_keys().key(made), Err(Error::KeyGone(_))));
        assert!(place.calls("C_Initialize") >= before + 2);
    });
}

#[test]
fn a_key_that_is_gone_is_told_so() {
    story(module_path!(), "a_key_that_is_gone_is_told_so", |place| {
        let keys = place.keys();
        let kept = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        let lost = keys.create(AlgorithmSet::FAPI2, KeyOwner::Session).unwrap();
        let id: String = lost.thumbprint().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        place.pkcs11_tool(&["--delete-object", "--type", "privkey", "--id", &id]);
        place.pkcs11_tool(&["--delete-object", "--type", "pubkey", "--id", &id]);
        assert!(matches!(sign(&lost), Err(Error::KeyGone(_))));
        assert!(matches!(KeyHost::signer(&keys, lost.thumbprint()), Err(KeyFault::Missing)));
        let never = Thumbprint::from_bytes([7; 32]);
        assert!(matches!(KeyHost::signer(&keys, never), Err(KeyFault::Missing)));
        // Told again at once: looking stops all callers.
        let start = Instant::now();
        (0..20).for_each(|_| assert!(matches!(KeyHost::signer(&keys, never), Err(KeyFault::Missing))));
        assert!(start.elapsed() < Duration::from_secs(1));
        keys.delete(never).unwrap();
        prove(&*kept);
    });
}

/// Also while it is asked for all the time.
#[test]
fn a_key_that_was_gone_and_is_back_is_found() {
    story(module_path!(), "a_key_that_was_gone_and_is_back_is_found", |place| {
        let keys = place.faulty_keys();
        let made = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap().thumbprint();
        let others = place.faulty_keys();
        place.rule("C_FindObjects blind 100");
        assert!(matches!(others.key(made), Err(Error::KeyGone(_))));
        // The module shows it after it was restarted.
        place.rule(&format!("C_FindObjects blind {}", place.calls("C_Initialize") + 1));
        let start = Instant::now();
        while let Err(error) = others.key(made) {
            assert!(start.elapsed() < Duration::from_secs(6), "{error}");
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Looking stops all callers, and costs a login.
#[test]
fn a_token_without_keys_is_looked_at_again_once() {
    story(module_path!(), "a_token_without_keys_is_looked_at_again_once", |place| {
        let keys = place.faulty_keys();
        let start = Instant::now();
        assert!(keys.list().unwrap().is_empty());
        assert_eq!((place.calls("C_Initialize"), place.calls("C_Login")), (2, 2));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..10).for_each(|_| assert!(keys.list().unwrap().is_empty())));
            }
        });
        // Believed for two seconds; callers that look meanwhile may each make a connection.
        let most = 3 + usize::try_from(start.elapsed().as_secs() / 2).unwrap();
        assert!(place.calls("C_Login") <= most, "{} {most}", place.calls("C_Login"));
        // Not of a token that is away, nor one that had a key since, nor by another connection.
        place.take_away();
        assert!(keys.list().is_err());
        place.bring_back();
        let start = Instant::now();
        let listed = loop {
            match keys.list() {
                Ok(listed) => break listed,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(2), "{error}"),
            }
        };
        assert!(listed.is_empty());
        let made = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        place.rule(&format!("C_FindObjects blind {}", place.calls("C_Initialize") + 1));
        assert_eq!(keys.list().unwrap().len(), 1);
        place.rule("");
        keys.delete(made.thumbprint()).unwrap();
        assert!(keys.list().unwrap().is_empty());
    });
}

/// The part of the process that initialised the module may be using it.
#[test]
fn a_module_of_others_is_not_finalised() {
    story(module_path!(), "a_module_of_others_is_not_finalised", |place| {
        place.rule("C_Initialize fail 0x191");
        let settings = place.faulty_settings();
        let keys = keybound_pkcs11::Pkcs11Keys::open(settings).unwrap();
        // Nothing of it works, since it is not initialised.
        assert!(keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).is_err());
        assert!(keys.key(Thumbprint::from_bytes([7; 32])).is_err());
        assert_eq!(place.calls("C_Finalize"), 0);
    });
}

#[test]
fn a_broken_connection_is_made_again() {
    story(module_path!(), "a_broken_connection_is_made_again", |place| {
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        // CKR_OBJECT_HANDLE_INVALID, CKR_DEVICE_REMOVED, CKR_GENERAL_ERROR, CKR_SESSION_HANDLE_INVALID.
        for code in ["0x82", "0x32", "0x5", "0xb3"] {
            place.rule(&format!("C_SignInit fail {code}"));
            assert_eq!(sign(&key).unwrap_err().reason(), "call_failed");
            place.rule("");
            until_it_signs(&key);
        }
        // What was wrong with the call itself is told without a new connection.
        let before = place.calls("C_OpenSession");
        place.rule("C_SignInit fail 0x70");
        assert!(sign(&key).unwrap_err().to_string().contains("CKR_MECHANISM_INVALID"));
        assert_eq!(place.calls("C_OpenSession"), before);
    });
}

/// With more threads than sessions, all get their turn.
#[test]
fn callers_wait_for_a_session() {
    story(module_path!(), "callers_wait_for_a_session", |place| {
        let settings = place.faulty_settings().sessions(2).wait(Duration::from_millis(400));
        let keys = keybound_pkcs11::Pkcs11Keys::open(settings).unwrap();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| sign(&key).unwrap());
            }
        });
        place.rule("C_SignInit sleep 900");
        thread::scope(|scope| {
            let slow = [scope.spawn(|| sign(&key)), scope.spawn(|| sign(&key))];
            let start = Instant::now();
            while place.calls("C_SignInit") < 19 && start.elapsed() < Duration::from_millis(500) {
                thread::yield_now();
            }
            assert_eq!(sign(&key).unwrap_err().reason(), "token_busy");
            for slow in slow {
                slow.join().unwrap().unwrap();
            }
        });
    });
}

/// A forked process inherits memory, and neither locks nor threads.
#[test]
fn a_forked_process_opens_keys_anew() {
    story(module_path!(), "a_forked_process_opens_keys_anew", |place| {
        let keys = place.keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        prove(&*key);
        // SAFETY: the child calls what it tests and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let is_refused = matches!(sign(&key), Err(Error::Forked));
            let opened = place.keys().key(key.thumbprint());
            let is_opened = opened.is_ok_and(|key| sign(&key).is_ok());
            let code = i32::from(!is_refused) * 2 + i32::from(!is_opened);
            // SAFETY: nothing of the parent's is to be cleaned up.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: it is this process's child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        prove(&*key);
    });
}

#[test]
fn a_host_of_keys_makes_them_in_an_hsm_alone() {
    story(module_path!(), "a_host_of_keys_makes_them_in_an_hsm_alone", |place| {
        use keybound::key::KeyProtection;
        let keys = place.keys();
        assert!(keys.create_key(AlgorithmSet::FAPI2, &[KeyProtection::Software], KeyFor::Host).is_err());
        let made = keys.create_key(AlgorithmSet::FAPI2, KeyProtection::HARDWARE, KeyFor::Session).unwrap();
        assert_eq!((made.protection, made.owner), (KeyProtection::Hsm, KeyOwner::Session));
        let tp = made.public_key.thumbprint(RUSTCRYPTO.digest);
        let signer = KeyHost::signer(&keys, tp).unwrap();
        assert_eq!(thumbprint(&*signer), tp);
        let held = KeyHost::keys(&keys).unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!((held[0].thumbprint, held[0].owner), (tp, KeyOwner::Session));
        assert!(held[0].created_at.is_some());
    });
}

/// Eight processes with eight threads sign while the token goes away and comes back: no key is taken for gone, no PIN is lost, and all
/// of them sign again within two seconds.
#[test]
#[ignore = "a drill of twenty seconds"]
fn eight_processes_outlive_outages() {
    story(module_path!(), "eight_processes_outlive_outages", |place| {
        const PART: &str = "KEYBOUND_PART";
        if let Ok(made) = std::env::var(PART) {
            let keys = place.keys();
            let key = keys.key(Thumbprint::parse(&made).unwrap()).unwrap();
            let until = place.folder().join("ended");
            let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        while !until.exists() {
                            match sign(&key) {
                                Ok(()) => counts[0].fetch_add(1, Ordering::Relaxed),
                                Err(
                                    Error::Call(_)
                                    | Error::TokenAbsent { .. }
                                    | Error::Module { .. }
                                    | Error::KeyNotSeen(_),
                                ) => {
                                    thread::sleep(Duration::from_millis(1));
                                    counts[1].fetch_add(1, Ordering::Relaxed)
                                }
                                Err(error) => panic!("{error}"),
                            };
                        }
                    });
                }
            });
            until_it_signs(&key);
            let [signed, failed] = counts.map(AtomicUsize::into_inner);
            println!("signed {signed} failed {failed}");
            assert!(signed > 0 && failed > 0);
            return;
        }
        let made = place.keys().create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap().thumbprint().to_string();
        let processes: Vec<_> = (0..8)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "outage::eight_processes_outlive_outages", "--nocapture", "--include-ignored"])
                    .env(PART, &made)
                    .spawn()
                    .unwrap()
            })
            .collect();
        for pause in [100, 900, 10, 2_500] {
            thread::sleep(Duration::from_millis(1_500));
            place.take_away();
            thread::sleep(Duration::from_millis(pause));
            place.bring_back();
        }
        thread::sleep(Duration::from_millis(1_500));
        std::fs::write(place.folder().join("ended"), "").unwrap();
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        place.pkcs11_tool(&["--list-objects"]);
    });
}
