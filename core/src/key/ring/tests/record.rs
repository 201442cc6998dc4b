//! The text of a record, and what it remembers.

use super::super::record::{InvalidRecord, KeptKey, KeyRingRecord};
use super::super::{KeyState, RotationPolicy};
use super::{HOUR, at, id, policy, unused};
use crate::jose::thumbprint::Thumbprint;
use crate::time::UnixTime;
use alloc::format;
use alloc::string::String;

const TEXT: &str = "keybound-key-ring 2\nversion 7\npolicy 1000 300\n\
    deleted AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE -5 300\n\
    marked AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM 100 200 400\n\
    earlier BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ 1000 2300\n\
    active AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI 1700000000\n\
    pending BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU 1700001000\n";

/// The first format.
const FIRST: &str = "keybound-key-ring 1\nversion 7\n\
    key AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE -5\n\
    key AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI 1700000000\n";

fn key(number: u16) -> Thumbprint {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [0; 32];
    (bytes[0], bytes[31]) = (high, low);
    Thumbprint::from_bytes(bytes)
}

/// The record after one more rotation.
fn succeeded(record: &KeyRingRecord, number: u16, policy: RotationPolicy, now: UnixTime) -> KeyRingRecord {
    record.announced(key(number), now).unwrap().activated(policy, now, false).unwrap()
}

fn assert_refused(text: &str, wrong: &[(&str, &str, InvalidRecord)]) {
    assert_eq!(KeyRingRecord::parse(text).unwrap().to_text(), text);
    for (from, to, error) in wrong {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from:?}");
        assert_eq!(KeyRingRecord::parse(&changed), Err(*error), "{from:?} -> {to:?}");
    }
}

#[test]
fn the_text_has_one_spelling() {
    use InvalidRecord::{Format, Malformed, Policy, RepeatedKey};
    let wrong = [
        ("key-ring 2", "key-ring 3", Format),
        ("keybound-key-ring 2\n", "", Format),
        ("keybound-key-ring 2\n", "\u{feff}keybound-key-ring 2\n", Format),
        ("key-ring 2", "key-ring 1", Malformed),
        ("version 7", "version 0", Malformed),
        ("version 7", "version 07", Malformed),
        ("version 7", "version +7", Malformed),
        ("version 7", "version -7", Malformed),
        ("version 7", "version 9223372036854775808", Malformed),
        ("version 7", "version  7", Malformed),
        ("version 7\n", "", Malformed),
        ("policy 1000 300\n", "", Malformed),
        ("policy 1000 300", "policy 1000", Malformed),
        ("policy 1000 300", "policy 1000 -300", Malformed),
        ("policy 1000 300", "policy 1000 300 1", Malformed),
        ("policy 1000 300", "policy 0 300", Policy),
        ("policy 1000 300", "policy 1 300", Policy),
        (" -5", " -0", Malformed),
        (" -5", " -05", Malformed),
        (" -5", " 5 ", Malformed),
        (" -5", "", Malformed),
        (" 300\nmarked", " 300\r\nmarked", Malformed),
        (" 300\nmarked", " 300\n\nmarked", Malformed),
        ("AQE -5", "AQF -5", Malformed),
        ("AQE -5", "AQE= -5", Malformed),
        ("deleted A", "Deleted A", Malformed),
        ("deleted A", "key A", Malformed),
        ("200 400", "200", Malformed),
        ("1000 2300", "1000 2300 2400", Malformed),
        ("1700000000", "1700000000 1700000001", Malformed),
        ("1700001000\n", "1700001000", Malformed),
        ("1700001000\n", "1700001000\nnote x\n", Malformed),
        ("active", "earlier", Malformed),
        ("earlier", "active", Malformed),
        ("earlier", "pending", Malformed),
        ("AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", RepeatedKey),
        ("BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI", RepeatedKey),
    ];
    assert_refused(TEXT, &wrong);
    assert_eq!(KeyRingRecord::parse("keybound-key-ring 2\nversion 1\npolicy 10 10\n"), Err(Malformed));
    assert_eq!(KeyRingRecord::parse(""), Err(Malformed));
}

#[test]
fn every_cut_is_noticed() {
    for text in [TEXT, FIRST] {
        let record = KeyRingRecord::parse(text).unwrap();
        for end in 0..text.len() {
            let part = text.get(..end).unwrap();
            match KeyRingRecord::parse(part) {
                // Whole lines lost at the end: the version tells it is not the record that was stored.
                Ok(cut) => assert!(cut != record && part.ends_with('\n')),
                Err(error) => assert!(matches!(error, InvalidRecord::Malformed | InvalidRecord::Format)),
            }
        }
    }
}

#[test]
fn the_first_format_is_still_read() {
    use InvalidRecord::{Malformed, RepeatedKey, TimesFall};
    let wrong = [
        ("1700000000", "-6", TimesFall),
        ("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", RepeatedKey),
        (" -5", " -05", Malformed),
        ("key A", "active A", Malformed),
    ];
    assert_refused(FIRST, &wrong);
    let record = KeyRingRecord::parse(FIRST).unwrap();
    assert_eq!((record.version(), record.policy()), (7, None));
    // It says no policy: without one, no superseded key signs.
    let superseded = at(1_700_000_000);
    assert_eq!(record.state(&id(1), superseded), Some(KeyState::Retired { since: superseded }));
    let record = record.under(&policy());
    let until = superseded.saturating_add(policy().retire_after());
    assert_eq!(record.state(&id(1), superseded), Some(KeyState::Retiring { until }));
    assert_eq!((record.version(), record.policy()), (7, Some(policy())));
    assert!(record.to_text().starts_with("keybound-key-ring 2\nversion 7\npolicy 2592000 604800\nearlier AQEB"));
    let later = record.clone().under(&RotationPolicy::new(1000, 1000).unwrap());
    assert_eq!(later, record);
}

#[test]
fn the_longest_record_can_be_read_and_a_longer_one_cannot() {
    let most = u64::MAX;
    let mut text = format!("keybound-key-ring 2\nversion {}\npolicy {most} {most}\n", i64::MAX);
    for number in 0..126 {
        text += &format!("marked {} {1} {1} {1}\n", key(number), i64::MIN);
    }
    let end = format!("active {} {1}\npending {2} {1}\n", key(126), i64::MIN, key(127));
    let longest = text.clone() + &end;
    assert!(longest.len() <= KeyRingRecord::MAX_LEN);
    assert_eq!(KeyRingRecord::parse(&longest).unwrap().to_text(), longest);
    text += &format!("deleted {} 0 0\n", key(128));
    assert_eq!(KeyRingRecord::parse(&(text + &end)), Err(InvalidRecord::TooLong));
    assert_eq!(
        KeyRingRecord::parse(&String::from_utf8(alloc::vec![b'\n'; 20_000]).unwrap()),
        Err(InvalidRecord::TooLong)
    );
}

/// Whether or not it was ever deleted: what the record forgets, no purge finds.
#[test]
fn a_retired_key_is_forgotten_only_after_it_was_deleted() {
    let policy = RotationPolicy::new(100, 150).unwrap();
    let mut record = KeyRingRecord::new(policy, key(0), at(0));
    for number in 1..128 {
        record = succeeded(&record, number, policy, at(i64::from(number) * 100));
    }
    assert_eq!(record.keys().count(), 128);
    assert!(record.announced(key(128), at(20_000)).is_err());
    for number in 0..100 {
        record = record.without(&[key(number)]).unwrap();
    }
    assert_eq!(record.keys().count(), 28 + KeyRingRecord::MAX_DELETED);
    assert_eq!(record.state(&key(99), at(0)), Some(KeyState::Retired { since: at(10_150) }), "by no clock");
    assert_eq!(record.state(&key(84), at(0)), Some(KeyState::Retired { since: at(8_650) }));
    assert_eq!(record.state(&key(83), at(20_000)), None);
    assert_eq!(record.state(&key(100), at(10_249)), Some(KeyState::Retiring { until: at(10_250) }));
    assert_eq!(record.version(), 1 + 2 * 127 + 100);
    // One that a session uses for longer than later ones are kept.
    for number in 101..127 {
        record = record.without(&[key(number)]).unwrap();
    }
    assert_eq!(record.keys().next().map(|key| (key.thumbprint, key.deleted)), Some((key(100), false)));
    assert_eq!(record.keys().count(), 2 + KeyRingRecord::MAX_DELETED);
}

#[test]
fn a_policy_takes_effect_with_the_next_key() {
    let (short, long) = (RotationPolicy::new(100, 100).unwrap(), RotationPolicy::new(1000, 10_000).unwrap());
    let record = succeeded(&KeyRingRecord::new(short, key(1), at(0)), 2, long, at(100));
    assert_eq!((record.policy(), record.due_at()), (Some(long), at(1100)));
    // It became active under the short one.
    assert_eq!(record.state(&key(1), at(200)), Some(KeyState::Retired { since: at(200) }));
    let record = succeeded(&record, 3, short, at(1100));
    assert_eq!(record.state(&key(2), at(1200)), Some(KeyState::Retiring { until: at(11_100) }));
    assert_eq!(record.state(&key(1), at(1200)), Some(KeyState::Retired { since: at(200) }));
}

#[test]
fn a_key_comes_once() {
    let record = succeeded(&KeyRingRecord::new(policy(), key(1), at(0)), 2, policy(), at(100));
    let record = record.announced(key(3), at(100)).unwrap();
    for known in 1..=3 {
        assert!(record.announced(key(known), at(1000)).is_err());
    }
    // One that is given up for another is retired, and found by a purge.
    let record = record.announced(key(4), at(200)).unwrap();
    assert_eq!(record.pending(), Some((key(4), at(200))));
    assert_eq!(record.state(&key(3), at(100)), Some(KeyState::Retired { since: at(100) }));
    let marked = record.marked(&[], &unused, at(HOUR + 100)).unwrap();
    assert!(marked.is_marked(&key(3)) && !marked.is_marked(&key(1)));
}

#[test]
fn times_do_not_fall_when_the_clock_steps_back() {
    let record = succeeded(&KeyRingRecord::new(policy(), key(1), at(1000)), 2, policy(), at(-1));
    assert_eq!(record.active().created_at, at(1000));
    assert_eq!(KeyRingRecord::parse(&record.to_text()).unwrap(), record);
}

#[test]
fn orphans_are_the_old_keys_that_no_record_names() {
    let record = KeyRingRecord::new(policy(), id(1), at(0)).announced(id(2), at(0)).unwrap();
    let kept = |key, made_at: Option<i64>| KeptKey { thumbprint: id(key), made_at: made_at.map(at) };
    let kept = [kept(1, Some(0)), kept(2, Some(0)), kept(3, Some(0)), kept(4, Some(1)), kept(5, None)];
    assert_eq!(record.orphans(&kept, at(HOUR)), [id(3), id(5)]);
    // The record is full of orphans before there is no room for a successor.
    let many = (10..=255).map(|key| KeptKey { thumbprint: id(key), made_at: None }).collect::<alloc::vec::Vec<_>>();
    let marked = record.marked(&many, &unused, at(HOUR)).unwrap();
    assert!(!marked.is_full());
    assert_eq!(KeyRingRecord::parse(&marked.to_text()).unwrap(), marked);
    assert!(marked.activated(policy(), at(HOUR), false).unwrap().announced(id(3), at(HOUR)).is_ok());
}
