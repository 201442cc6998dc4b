//! The PIN: to which token it is given, how often, and where it never is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use keybound::AlgorithmSet;
use keybound::oauth::step::KeyOwner;
use keybound_pkcs11::{Error, PinSource, Pkcs11Keys, Settings, TokenKey};

use crate::place::{LABEL, PIN, Place, TEST_PIN_VARIABLE, story};
use crate::signing::prove;

const WRONG: &str = "730156";

fn create(settings: Settings) -> Result<Arc<TokenKey>, Error> {
    Pkcs11Keys::open(settings)?.create(AlgorithmSet::FAPI2, KeyOwner::Host)
}

fn reason(settings: Settings) -> &'static str {
    create(settings).unwrap_err().reason()
}

#[test]
fn a_wrong_pin_is_tried_once() {
    story(module_path!(), "a_wrong_pin_is_tried_once", |place| {
        place.write_pin(WRONG);
        // As eight processes would: a lock on a file is held by who opened it.
        let start = Barrier::new(8);
        let reasons: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        reason(place.faulty_settings())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(place.calls("C_Login"), 1);
        assert_eq!(reasons.iter().filter(|reason| **reason == "pin_refused").count(), 1, "{reasons:?}");
        assert_eq!(reasons.iter().filter(|reason| **reason == "pin_refused_before").count(), 7, "{reasons:?}");
        // The token says that an attempt was lost, so that not even the right one is tried.
        place.write_pin(PIN);
        assert_eq!(reason(place.faulty_settings()), "pin_attempts_low");
        assert_eq!(place.calls("C_Login"), 1);
        // A person logs in.
        place.pkcs11_tool(&["--list-objects"]);
        prove(&*create(place.faulty_settings()).unwrap());
        assert_eq!(place.calls("C_Login"), 2);
    });
}

#[test]
fn a_refused_variable_is_not_tried_until_a_person_says_so() {
    story(module_path!(), "a_refused_variable_is_not_tried_until_a_person_says_so", |place| {
        let settings = || place.faulty_settings().pin(PinSource::environment(TEST_PIN_VARIABLE));
        // As the token refuses a PIN: CKR_PIN_INCORRECT.
        place.rule("C_Login fail 0xa0");
        assert_eq!(reason(settings()), "pin_refused");
        place.rule("");
        let error = create(settings()).unwrap_err();
        let Error::PinRefusedBefore { remembered, .. } = &error else { panic!("{error}") };
        assert!(error.to_string().contains(&remembered.display().to_string()));
        assert_eq!(place.calls("C_Login"), 1);
        fs::remove_file(remembered).unwrap();
        prove(&*create(settings()).unwrap());
        assert_eq!(place.calls("C_Login"), 2);
    });
}

#[test]
fn a_version_says_that_a_callback_changed() {
    story(module_path!(), "a_version_says_that_a_callback_changed", |place| {
        let settings = |version: Option<&str>| {
            place
                .faulty_settings()
                .pin(PinSource::callback("the vault", version.map(str::to_owned), || Ok(PIN.to_owned().into())))
        };
        place.rule("C_Login fail 0xa0");
        assert_eq!(reason(settings(Some("1"))), "pin_refused");
        assert_eq!(reason(settings(Some("1"))), "pin_refused_before");
        // A person who is asked each time is a new source each time.
        assert_eq!(reason(settings(None)), "pin_refused");
        assert_eq!(reason(settings(None)), "pin_refused");
        place.rule("");
        prove(&*create(settings(Some("2"))).unwrap());
    });
}

#[test]
fn the_last_attempts_are_left_to_a_person() {
    story(module_path!(), "the_last_attempts_are_left_to_a_person", |place| {
        // CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED.
        for (flag, left) in [("0x10000", "low"), ("0x20000", "one"), ("0x40000", "none")] {
            place.rule(&format!("C_GetTokenInfo flags {flag}"));
            match create(place.faulty_settings()) {
                Err(Error::PinAttemptsLow { left: found, .. }) => assert_eq!(found, left),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(place.calls("C_Login"), 0);
    });
}

#[test]
fn only_the_pinned_token_is_given_the_pin() {
    story(module_path!(), "only_the_pinned_token_is_given_the_pin", |place| {
        prove(&*create(place.settings()).unwrap());
        // Another token with the same label.
        place.rule("C_GetTokenInfo serial 1");
        let error = create(place.faulty_settings()).unwrap_err();
        assert!(matches!(error, Error::TokenChanged { .. }), "{error}");
        assert_eq!(reason(place.faulty_settings().serial("0123456789abcdef")), "token_absent");
        assert_eq!(place.calls("C_Login"), 0);
    });
}

#[test]
fn a_label_of_two_tokens_needs_a_serial_number() {
    story(module_path!(), "a_label_of_two_tokens_needs_a_serial_number", |place| {
        place.make_token(LABEL);
        let error = create(place.faulty_settings()).unwrap_err();
        let Error::TokenAmbiguous { serials, .. } = &error else { panic!("{error}") };
        assert_eq!(serials.len(), 2);
        assert_eq!(place.calls("C_Login"), 0);
        prove(&*create(place.faulty_settings().serial(&serials[1])).unwrap());
    });
}

#[test]
fn a_pin_file_is_its_owners_alone() {
    story(module_path!(), "a_pin_file_is_its_owners_alone", |place| {
        let pin = place.pin_file();
        for mode in [0o600, 0o440, 0o404, 0o500] {
            fs::set_permissions(&pin, Permissions::from_mode(mode)).unwrap();
            let error = create(place.faulty_settings()).unwrap_err();
            assert!(error.to_string().contains("chmod 400"), "{mode:o}: {error}");
        }
        fs::set_permissions(&pin, Permissions::from_mode(0o400)).unwrap();
        let named = |path: &str| place.faulty_settings().pin(PinSource::file(place.folder().join(path)));
        symlink(&pin, place.folder().join("link")).unwrap();
        for path in ["link", "none", "tokens"] {
            assert_eq!(reason(named(path)), "pin_unavailable", "{path}");
        }
        place.write_pin("");
        assert_eq!(reason(place.faulty_settings()), "pin_unavailable");
        assert_eq!(place.calls("C_Login"), 0);
    });
}

/// Spelt differently, by a linked folder and by another name of the same file.
#[test]
fn a_pin_file_of_another_name_is_the_same_source() {
    story(module_path!(), "a_pin_file_of_another_name_is_the_same_source", |place| {
        let name = place.folder().file_name().unwrap().to_str().unwrap();
        symlink(place.folder(), place.folder().join("linked")).unwrap();
        fs::hard_link(place.pin_file(), place.folder().join("other")).unwrap();
        let named = |path: &str| place.faulty_settings().pin(PinSource::file(place.folder().join(path)));
        // As the token refuses a PIN, which it did not count: CKR_PIN_INCORRECT.
        place.rule("C_Login fail 0xa0");
        assert_eq!(reason(named("pin")), "pin_refused");
        for path in ["./pin", &format!("../{name}/pin"), "linked/pin", "other"] {
            assert_eq!(reason(named(path)), "pin_refused_before", "{path}");
        }
        assert_eq!(place.calls("C_Login"), 1);
        place.write_pin(PIN);
        assert_eq!(reason(named("pin")), "pin_refused");
    });
}

/// Enter at a prompt would cost an attempt.
#[test]
fn an_empty_pin_is_not_tried() {
    story(module_path!(), "an_empty_pin_is_not_tried", |place| {
        let empty = PinSource::callback("a person", None, || Ok(String::new().into()));
        assert_eq!(reason(place.faulty_settings().pin(empty)), "pin_unavailable");
        assert_eq!(place.calls("C_Login"), 0);
    });
}

#[test]
fn a_module_that_others_can_replace_is_not_loaded() {
    story(module_path!(), "a_module_that_others_can_replace_is_not_loaded", |place| {
        let open =
            |path: &str| Pkcs11Keys::open(place.faulty_settings().module(path)).map(|_| ()).unwrap_err().to_string();
        assert!(open("module.so").contains("absolute"));
        assert!(open("/none/module.so").contains("No such file"));
        let folder = place.folder().join("open");
        fs::create_dir(&folder).unwrap();
        drop(place.faulty_settings());
        fs::copy(place.folder().join("module.so"), folder.join("module.so")).unwrap();
        let path = folder.join("module.so").display().to_string();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        assert!(open(&path).contains("chmod go-w"));
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(folder.join("module.so"), Permissions::from_mode(0o775)).unwrap();
        assert!(open(&path).contains("chmod go-w"));
        fs::write(folder.join("text"), "text").unwrap();
        assert!(open(&folder.join("text").display().to_string()).contains("could not be started"));
    });
}

/// Everything that is logged in this process, of any level.
struct Log(Mutex<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push_str(&format!("{}\n", record.args()));
    }

    fn flush(&self) {}
}

static LOG: Log = Log(Mutex::new(String::new()));

#[test]
fn no_pin_in_process_list_log_or_error() {
    story(module_path!(), "no_pin_in_process_list_log_or_error", |place: &Place| {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let mut told = String::new();
        place.write_pin(WRONG);
        for _ in 0..2 {
            let error = create(place.faulty_settings()).unwrap_err();
            told.push_str(&format!("{error} {error:?}\n"));
        }
        let given = PinSource::callback("a person", None, || Ok(WRONG.to_owned().into()));
        told.push_str(&format!("{given} {given:?} {:?}\n", place.faulty_settings().pin(given.clone())));
        place.pkcs11_tool(&["--list-objects"]);
        place.write_pin(PIN);
        let keys = place.faulty_keys();
        let key = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        prove(&*key);
        place.take_away();
        told.push_str(&format!("{keys:?} {key:?} {:?}\n", keys.list().unwrap_err()));
        told.push_str(&String::from_utf8_lossy(&fs::read("/proc/self/cmdline").unwrap_or_default()));
        told.push_str(&LOG.0.lock().unwrap());
        for entry in fs::read_dir(place.state()).unwrap() {
            told.push_str(&String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()));
        }
        assert!(told.contains("refused the PIN"));
        for pin in [PIN, WRONG] {
            assert!(!told.contains(pin), "{told}");
        }
    });
}
