//! Nonces, their windows and keys, with a fake clock.
#![allow(clippy::arithmetic_side_effects)]

use alloc::format;
use alloc::string::String;

use super::super::Role::{self, AuthorizationServer, ResourceServer};
use super::super::{Nonce, cache::NonceCache};
use super::{IssueError, LEN, NonceIssuer, NonceKey, NonceKeys, NonceVerdict, NonceWindow, ValidNonce, base64url};
use crate::crypto::Mac;
use crate::jose::thumbprint::Thumbprint;
use crate::replay::StoreEpoch;
use crate::time::UnixTime;

struct TestMac;

impl Mac for TestMac {
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        use hmac::{KeyInit, Mac as _};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

const PHONE: Thumbprint = Thumbprint::from_bytes([1; 32]);
const EPOCH: StoreEpoch = StoreEpoch::from_u64(0x0102_0304_0506_0708);
const LAPTOP: Thumbprint = Thumbprint::from_bytes([2; 32]);
/// The start of a step of either window.
const NOON: UnixTime = UnixTime::from_secs(1_700_000_010);

fn key(id: u8) -> NonceKey {
    NonceKey::from_secret(id, [id; 32]).unwrap()
}

fn issuer_named(namespace: &str) -> NonceIssuer {
    NonceIssuer::new(&TestMac, NonceKeys::new(key(1)), namespace)
}

fn issuer() -> NonceIssuer {
    issuer_named("https://api.example.com")
}

fn issue(issuer: &NonceIssuer, now: UnixTime) -> Nonce {
    issuer.issue(ResourceServer, Some(&PHONE), EPOCH, now).unwrap()
}

fn check(issuer: &NonceIssuer, nonce: &Nonce, now: UnixTime) -> NonceVerdict {
    issuer.check(nonce.as_str(), ResourceServer, &PHONE, EPOCH, now)
}

fn valid(verdict: NonceVerdict) -> ValidNonce {
    match verdict {
        NonceVerdict::Valid(valid) => valid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_format_is_fixed() {
    let issuer = issuer().bound_to_thumbprint();
    let nonce = issue(&issuer, NOON);
    assert_eq!(nonce.as_str().len(), 40);
    assert_eq!(Nonce::parse(nonce.as_str().as_bytes()).unwrap(), nonce);
    let bytes = base64url::decode(nonce.as_str().as_bytes()).unwrap();
    assert_eq!(bytes[..14], [1, 1, 0x03, 0x60, 0xaa, 0x2b, 1, 2, 3, 4, 5, 6, 7, 8]);
    // HMAC-SHA-256 over the fields with their lengths, put together by hand.
    let mut message = alloc::vec::Vec::new();
    let fields: [&[u8]; 9] = [
        b"keybound DPoP nonce",
        &[1],
        &[1],
        &bytes[2..6],
        &bytes[6..14],
        &[0, 0, 0, 30],
        &[2],
        b"https://api.example.com",
        PHONE.as_bytes(),
    ];
    for field in fields {
        message.extend([0, 0, 0, 0, 0, 0, 0, u8::try_from(field.len()).unwrap()]);
        message.extend(field);
    }
    assert_eq!(bytes[14..], TestMac.hmac_sha256(&[1; 32], &[&message])[..16]);
}

#[test]
fn a_nonce_of_one_role_is_unknown_in_the_other() {
    let issuer = issuer();
    for (mine, other) in [(AuthorizationServer, ResourceServer), (ResourceServer, AuthorizationServer)] {
        let nonce = issuer.issue(mine, None, EPOCH, NOON).unwrap();
        let judge = |role: Role| issuer.check(nonce.as_str(), role, &PHONE, EPOCH, NOON);
        valid(judge(mine));
        assert_eq!(judge(other), NonceVerdict::Unknown);
    }
}

#[test]
fn namespaces_windows_and_keys_are_separate() {
    let nonce = issue(&issuer(), NOON);
    assert_eq!(check(&issuer_named("https://other.example.com"), &nonce, NOON), NonceVerdict::Unknown);
    assert_eq!(check(&issuer().with_window(NonceWindow::Short), &nonce, NOON), NonceVerdict::Unknown);
    let same_id = NonceKeys::new(NonceKey::from_secret(1, [9; 32]).unwrap());
    let other_key = NonceIssuer::new(&TestMac, same_id, "https://api.example.com");
    assert_eq!(check(&other_key, &nonce, NOON), NonceVerdict::Unknown);
    assert_ne!(issue(&other_key, NOON), nonce);
}

#[test]
fn a_bound_nonce_works_with_its_key_alone() {
    let bound = issuer().bound_to_thumbprint();
    let nonce = issue(&bound, NOON);
    valid(check(&bound, &nonce, NOON));
    assert_eq!(bound.check(nonce.as_str(), ResourceServer, &LAPTOP, EPOCH, NOON), NonceVerdict::Unknown);
    assert_eq!(bound.issue(ResourceServer, None, EPOCH, NOON), Err(IssueError::ThumbprintMissing));
    // Bound and unbound issuers do not take each other's.
    assert_eq!(check(&issuer(), &nonce, NOON), NonceVerdict::Unknown);
    assert_eq!(check(&bound, &issue(&issuer(), NOON), NOON), NonceVerdict::Unknown);
    valid(issuer().check(issue(&issuer(), NOON).as_str(), ResourceServer, &LAPTOP, EPOCH, NOON));
}

#[test]
fn the_key_before_is_accepted_and_the_one_before_that_is_not() {
    let issuer = issuer();
    let first = issue(&issuer, NOON);
    assert!(!valid(check(&issuer, &first, NOON)).renew);
    issuer.rotate(key(2)).unwrap();
    let second = issue(&issuer, NOON);
    assert!(valid(check(&issuer, &first, NOON)).renew);
    assert!(!valid(check(&issuer, &second, NOON)).renew);
    issuer.rotate(key(3)).unwrap();
    assert_eq!(check(&issuer, &first, NOON), NonceVerdict::Unknown);
    assert!(valid(check(&issuer, &second, NOON)).renew);
}

/// Nodes get the new key one by one; at no point does one refuse what another has issued.
#[test]
fn nodes_rotate_without_a_challenge() {
    let node = |keys| NonceIssuer::new(&TestMac, keys, "https://api.example.com");
    let with = |current, other| node(NonceKeys::new(key(current)).with_other(key(other)).unwrap());
    let phases = [node(NonceKeys::new(key(1))), with(1, 2), with(2, 1), node(NonceKeys::new(key(2)))];
    for pair in phases.windows(2) {
        valid(check(&pair[0], &issue(&pair[1], NOON), NOON));
        valid(check(&pair[1], &issue(&pair[0], NOON), NOON));
    }
}

#[test]
fn the_window_is_exact_to_the_second() {
    for window in [NonceWindow::Standard, NonceWindow::Short] {
        let issuer = issuer().with_window(window);
        let step = i64::from(window.step_secs());
        for second in 0..2 * step {
            let issued = UnixTime::from_secs(NOON.secs() + second);
            let nonce = issue(&issuer, issued);
            let at_issue = valid(check(&issuer, &nonce, issued));
            assert_eq!(at_issue.issued_at.secs(), NOON.secs() + second / step * step);
            for later in -3 * step..4 * step {
                let now = UnixTime::from_secs(issued.secs() + later);
                let expected = now.secs() >= at_issue.issued_at.secs() - step && now <= at_issue.accepted_until;
                match check(&issuer, &nonce, now) {
                    NonceVerdict::Valid(valid) => {
                        assert!(expected, "{second} {later}");
                        assert_eq!(valid.accepted_until, at_issue.accepted_until);
                        assert_eq!(valid.renew, now.secs() >= at_issue.issued_at.secs() + step);
                    }
                    verdict => assert_eq!((verdict, expected), (NonceVerdict::Stale, false), "{second} {later}"),
                }
            }
            let life = at_issue.accepted_until.since(issued);
            assert!((u64::from(window.step_secs())..2 * u64::from(window.step_secs())).contains(&life));
        }
    }
}

#[test]
fn every_changed_bit_and_length_is_noticed() {
    let issuer = issuer();
    let nonce = issue(&issuer, NOON);
    let bytes = base64url::decode(nonce.as_str().as_bytes()).unwrap();
    for index in 0..LEN {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[index] ^= 1 << bit;
            let text = base64url::encode(&changed);
            let verdict = issuer.check(&text, ResourceServer, &PHONE, EPOCH, NOON);
            assert_eq!(verdict, NonceVerdict::Unknown, "byte {index}, bit {bit}");
        }
    }
    for length in 0..100_usize {
        let text: String = nonce.as_str().chars().cycle().take(length).collect();
        let verdict = issuer.check(&text, ResourceServer, &PHONE, EPOCH, NOON);
        assert_eq!(matches!(verdict, NonceVerdict::Valid(_)), length == 40, "{length}");
    }
    for text in [
        "é".repeat(20),
        nonce.as_str().chars().take(39).chain(['=']).collect(),
        "\u{0}".repeat(40),
        "n".repeat(1 << 20),
    ] {
        assert_eq!(issuer.check(&text, ResourceServer, &PHONE, EPOCH, NOON), NonceVerdict::Unknown);
    }
}

#[test]
fn the_epoch_comes_back_and_an_earlier_one_is_renewed() {
    let (last, next) = (StoreEpoch::from_u64(u64::MAX), StoreEpoch::from_u64(7));
    let issuer = issuer();
    let nonce = issuer.issue(ResourceServer, None, last, NOON).unwrap();
    let check = |epoch| valid(issuer.check(nonce.as_str(), ResourceServer, &PHONE, epoch, NOON));
    assert_eq!((check(last).epoch, check(last).renew), (last, false));
    assert_eq!((check(next).epoch, check(next).renew), (last, true));
}

#[test]
fn clocks_out_of_range_have_an_outcome() {
    let issuer = issuer();
    let step_0 = issue(&issuer, UnixTime::from_secs(0));
    for before_1970 in [i64::MIN, -31, -1] {
        let now = UnixTime::from_secs(before_1970);
        assert_eq!(issue(&issuer, now), step_0);
        assert_eq!(valid(check(&issuer, &step_0, now)).accepted_until.secs(), 59);
    }
    assert_eq!(check(&issuer, &step_0, UnixTime::from_secs(60)), NonceVerdict::Stale);

    let end = i64::from(u32::MAX) * 30 + 29;
    let last = issue(&issuer, UnixTime::from_secs(end));
    assert_eq!(valid(check(&issuer, &last, UnixTime::from_secs(end))).accepted_until.secs(), end);
    for beyond in [end + 1, i64::MAX] {
        let now = UnixTime::from_secs(beyond);
        assert_eq!(issuer.issue(ResourceServer, None, EPOCH, now), Err(IssueError::ClockOutOfRange));
        assert_eq!(check(&issuer, &last, now), NonceVerdict::Stale);
    }
}

/// A client that keeps every nonce it is handed is challenged once and never again, also across a key rotation.
#[test]
fn steady_state_has_no_challenge() {
    const ORIGIN: &str = "https://api.example.com";
    for pause in 1..=30 {
        let issuer = issuer().bound_to_thumbprint();
        let mut client = NonceCache::new();
        let (mut challenges, mut renewals) = (0, 0);
        for second in (0..600).step_by(pause) {
            let now = NOON.saturating_add(second);
            if second / 300 == 1 && issuer.keys.read(|keys| keys.current().id()) == 1 {
                issuer.rotate(key(2)).unwrap();
            }
            let sent = client.get(ORIGIN, ResourceServer, &PHONE).cloned();
            let handed_out = match sent.map(|nonce| check(&issuer, &nonce, now)) {
                Some(NonceVerdict::Valid(valid)) if valid.renew => {
                    renewals += 1;
                    Some(issue(&issuer, now))
                }
                Some(NonceVerdict::Valid(_)) => None,
                _ => {
                    challenges += 1;
                    Some(issue(&issuer, now))
                }
            };
            let fields = handed_out.as_ref().map(|nonce| nonce.as_str().as_bytes());
            client.observe(ORIGIN, ResourceServer, &PHONE, fields.as_slice()).unwrap();
        }
        assert_eq!(challenges, 1, "a call every {pause} s");
        // One in each of the twenty steps but the first, and one for the new key where it came within a step.
        assert!((19..=20).contains(&renewals), "{renewals} renewals, a call every {pause} s");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", NonceIssuer::new(&TestMac, NonceKeys::new(key(0xab)), "n"));
    assert!(!shown.contains("171, 171"), "{shown}");
    fn shared_between_threads(_: &(impl Send + Sync)) {}
    shared_between_threads(&issuer());
}
