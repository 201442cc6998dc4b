//! What is taken for a key, and what is not.

use cryptoki::context::Pkcs11;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::oauth::host::KeyHost;
use keybound::oauth::step::{KeyFault, KeyOwner};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};
use keybound_pkcs11::{Error, Pkcs11Keys};

use crate::place::story;
use crate::signing::{prove, thumbprint};

fn hex(thumbprint: Thumbprint) -> String {
    thumbprint.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_key_made_by_pkcs11_tool_is_found() {
    story(module_path!(), "a_key_made_by_pkcs11_tool_is_found", |place| {
        let kinds = [
            ("EC:prime256v1", Algorithm::Es256),
            ("EC:secp384r1", Algorithm::Es384),
            ("EC:edwards25519", Algorithm::Ed25519),
            ("rsa:2048", Algorithm::Ps256),
        ];
        for (position, (kind, _)) in kinds.iter().enumerate() {
            let id = format!("0{position}");
            place.pkcs11_tool(&["--keypairgen", "--key-type", kind, "--id", &id, "--label", kind, "--usage-sign"]);
        }
        let keys = place.keys();
        for (kind, algorithm) in kinds {
            let key = keys.labelled(kind).unwrap().unwrap();
            assert_eq!(key.algorithm(), algorithm);
            prove(&*key);
            prove(&*place.keys().key(key.thumbprint()).unwrap());
            // It is not ours to delete, and no purge sees it.
            assert!(matches!(keys.delete(key.thumbprint()), Err(Error::NotOurs(_))));
        }
        assert!(keys.labelled("another").unwrap().is_none());
        assert_eq!(keys.list().unwrap().len(), kinds.len());
        assert!(KeyHost::keys(&keys).unwrap().is_empty());
    });
}

#[test]
fn two_keys_of_one_id_are_refused() {
    story(module_path!(), "two_keys_of_one_id_are_refused", |place| {
        let made = place.keys().create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap().thumbprint();
        let id = hex(made);
        place.pkcs11_tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--id",
            &id,
            "--label",
            "other",
            "--usage-sign",
        ]);
        let keys = place.keys();
        assert!(matches!(keys.key(made), Err(Error::TwoKeys(_))));
        assert!(matches!(KeyHost::signer(&keys, made), Err(KeyFault::Unreadable(_))));
        // Two of one label as well.
        for id in ["21", "22"] {
            place.pkcs11_tool(&[
                "--keypairgen",
                "--key-type",
                "EC:prime256v1",
                "--id",
                id,
                "--label",
                "twin",
                "--usage-sign",
            ]);
        }
        assert!(matches!(keys.labelled("twin"), Err(Error::TwoKeys(_))));
        // Ours alone is destroyed.
        keys.delete(made).unwrap();
        let left = place.pkcs11_tool(&["--list-objects", "--type", "privkey"]);
        assert_eq!(left.matches("other").count(), 1, "{left}");
    });
}

#[test]
fn a_key_under_anothers_id_is_refused() {
    story(module_path!(), "a_key_under_anothers_id_is_refused", |place| {
        let never = Thumbprint::from_bytes([7; 32]);
        place.pkcs11_tool(&["--keypairgen", "--key-type", "EC:prime256v1", "--id", &hex(never), "--usage-sign"]);
        let keys = place.keys();
        assert!(matches!(keys.key(never), Err(Error::KeyChanged(_))));
        assert!(matches!(KeyHost::signer(&keys, never), Err(KeyFault::Changed)));
    });
}

#[test]
fn an_extractable_key_is_refused() {
    story(module_path!(), "an_extractable_key_is_refused", |place| {
        let tool = |label: &str, more: &[&str]| {
            let arguments =
                ["--keypairgen", "--key-type", "EC:prime256v1", "--id", label, "--label", label, "--usage-sign"];
            place.pkcs11_tool(&[&arguments, more].concat());
        };
        tool("11", &["--extractable"]);
        let keys = place.keys();
        let listed = keys.list().unwrap();
        assert!(!listed[0].is_protected);
        let error = keys.key(listed[0].thumbprint).unwrap_err();
        assert!(error.to_string().contains("CKA_EXTRACTABLE"), "{error}");
        assert!(keys.labelled("11").is_err());
        // A key that wants its PIN for each signature would have it asked for as often.
        tool("12", &["--always-auth"]);
        assert!(keys.labelled("12").unwrap_err().to_string().contains("CKA_ALWAYS_AUTHENTICATE"));
    });
}

#[test]
fn a_pair_is_destroyed_when_reading_back_fails() {
    story(module_path!(), "a_pair_is_destroyed_when_reading_back_fails", |place| {
        let keys = place.faulty_keys();
        let es256 = AlgorithmSet::of(&[Algorithm::Es256]);
        let rules = [
            // CKA_ID cannot be set: CKR_ATTRIBUTE_READ_ONLY.
            ("C_SetAttributeValue fail 0x10", "call_failed"),
            // CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE and CKA_TOKEN are not what was asked for.
            ("C_GetAttributeValue true 0x162", "key_not_protected"),
            ("C_GetAttributeValue false 0x164", "key_not_protected"),
            ("C_GetAttributeValue false 0x103", "key_not_protected"),
            ("C_GetAttributeValue false 0x165", "key_not_protected"),
            ("C_GetAttributeValue false 0x1", "key_not_protected"),
            ("C_GetAttributeValue fail 0x54", "call_failed"),
            // What it signs is wrong, or it does not sign.
            ("C_Sign spoil 1", "signature_wrong"),
            ("C_SignInit fail 0x68", "call_failed"),
            // The connection breaks after the pair was made.
            ("C_SignInit fail 0x32", "call_failed"),
        ];
        for (rule, reason) in rules {
            place.rule(rule);
            let error = keys.create(es256, KeyOwner::Host).unwrap_err();
            assert_eq!(error.reason(), reason, "{rule}: {error}");
            place.rule("");
            assert_eq!(place.pkcs11_tool(&["--list-objects"]).matches("Object").count(), 0, "{rule}");
        }
        // Where nothing can be done about it, the error says what is left, and so does the list.
        place.rule("C_Sign spoil 1\nC_DestroyObject fail 0x1b");
        let error = keys.create(es256, KeyOwner::Host).unwrap_err();
        assert!(matches!(error, Error::LeftBehind { .. }), "{error}");
        place.rule("");
        let left = KeyHost::keys(&keys).unwrap();
        assert_eq!(left.len(), 1);
        keys.delete(left[0].thumbprint).unwrap();
        assert!(KeyHost::keys(&keys).unwrap().is_empty());
    });
}

/// The connection breaks once between making a pair and naming it: what it left is destroyed by the next, and one pair is there.
#[test]
fn a_second_attempt_destroys_what_the_first_left() {
    story(module_path!(), "a_second_attempt_destroys_what_the_first_left", |place| {
        let keys = place.faulty_keys();
        place.rule("C_SetAttributeValue fail-once 0x32\nC_DestroyObject fail-once 0x32");
        let made = keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        place.rule("");
        assert_eq!(place.calls("C_GenerateKeyPair"), 2);
        let objects = place.pkcs11_tool(&["--list-objects"]);
        assert_eq!(objects.matches("Object").count(), 2, "{objects}");
        prove(&*made);
    });
}

/// A pair whose making was cut off by a crash is in the list, by the thumbprint it would have had.
#[test]
fn a_pair_whose_making_was_cut_off_is_listed() {
    story(module_path!(), "a_pair_whose_making_was_cut_off_is_listed", |place| {
        let keys = place.faulty_keys();
        place.rule("C_SetAttributeValue fail 0x32\nC_DestroyObject fail 0x32");
        assert!(keys.create(AlgorithmSet::FAPI2, KeyOwner::Session).is_err());
        place.rule("");
        let left = KeyHost::keys(&keys).unwrap();
        assert!(!left.is_empty());
        for key in left {
            assert!(key.created_at.is_some());
            keys.delete(key.thumbprint).unwrap();
        }
        assert_eq!(place.pkcs11_tool(&["--list-objects"]).matches("Object").count(), 0);
    });
}

/// A crash between the halves leaves a public one. What deletes keys that nothing names finds it once no one is making it any more.
#[test]
fn a_public_half_that_was_left_is_listed_and_deleted() {
    story(module_path!(), "a_public_half_that_was_left_is_listed_and_deleted", |place| {
        let start = UnixTime::from_secs(1_764_515_137);
        let at = |seconds: u64| {
            let clock = move || start.saturating_add(seconds);
            Pkcs11Keys::open(place.settings().clock(clock)).unwrap()
        };
        let keys = at(0);
        let whole = keys.create(AlgorithmSet::FAPI2, KeyOwner::Session).unwrap().thumbprint();
        let left = keys.create(AlgorithmSet::FAPI2, KeyOwner::Session).unwrap().thumbprint();
        place.pkcs11_tool(&["--delete-object", "--type", "privkey", "--id", &hex(left)]);
        let held = |keys: &Pkcs11Keys| -> Vec<_> {
            KeyHost::keys(keys).unwrap().into_iter().map(|key| (key.thumbprint, key.algorithm.is_some())).collect()
        };
        assert_eq!(held(&at(3599)), [(whole, true)]);
        assert_eq!(held(&at(3600)), [(whole, true), (left, false)]);
        // It is not a key, and not another application's to delete.
        assert_eq!(at(3600).list().unwrap().len(), 1);
        assert!(matches!(KeyHost::signer(&at(0), left), Err(KeyFault::Missing)));
        let other = Pkcs11Keys::open(place.settings().application("other").clock(move || start.saturating_add(3600)));
        assert!(held(&other.unwrap()).is_empty());
        assert!(at(3600).delete(left).unwrap());
        assert_eq!(held(&at(3600)), [(whole, true)]);
        assert!(!at(3600).delete(left).unwrap());
        assert_eq!(place.pkcs11_tool(&["--list-objects"]).matches("Object").count(), 2);
    });
}

/// One key in 128 has a coordinate that begins with zeros.
#[test]
fn coordinates_with_leading_zeros() {
    story(module_path!(), "coordinates_with_leading_zeros", |place| {
        let keys = place.keys();
        keys.create(AlgorithmSet::FAPI2, KeyOwner::Host).unwrap();
        // The module is loaded and logged in already: this process has one.
        let module = Pkcs11::new(place.softhsm()).unwrap();
        let slots = module.get_slots_with_initialized_token().unwrap();
        let session = module.open_rw_session(slots[0]).unwrap();
        for coordinate in [1, 33] {
            let key = loop {
                let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
                if key.public_key().ec_point().unwrap()[coordinate] == 0 {
                    break key;
                }
            };
            let tp = thumbprint(&key);
            let point = key.public_key().ec_point().unwrap();
            let common = [
                Attribute::Token(true),
                Attribute::KeyType(KeyType::EC),
                Attribute::Id(tp.as_bytes().to_vec()),
                Attribute::EcParams(vec![0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]),
            ];
            let public = [
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::EcPoint([&[0x04, 0x41], point].concat()),
                Attribute::Verify(true),
            ];
            let private = [
                Attribute::Class(ObjectClass::PRIVATE_KEY),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Sign(true),
                Attribute::Value(private_value(&key)),
            ];
            session.create_object(&[common.as_slice(), &public].concat()).unwrap();
            session.create_object(&[common.as_slice(), &private].concat()).unwrap();
            let found = keys.key(tp).unwrap();
            assert_eq!(found.public_key(), key.public_key());
            prove(&*found);
        }
    });
}

/// The 32 bytes of `d`.
fn private_value(key: &SoftKey) -> Vec<u8> {
    let jwk = key.to_jwk().unwrap();
    let d = jwk.expose().split("\"d\":\"").nth(1).unwrap().split('"').next().unwrap();
    Thumbprint::parse(d).unwrap().as_bytes().to_vec()
}
