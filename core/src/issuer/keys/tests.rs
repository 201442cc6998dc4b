//! An issuer whose keys the host knows, requests that need them, and a fake clock.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{IssuerKeys, KeySource, KeysUnavailable, MAX_WAITING, WantedKey};
use crate::flow::Flow;
use crate::flow::step::{Ask, Share, Step};
use crate::jose::algorithm::Algorithm::Ed25519;
use crate::{RUSTCRYPTO, UnixTime};

const ONE: &str =
    r#"{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const OTHER: &str =
    r#"{"keys":[{"kid":"b","kty":"OKP","crv":"Ed25519","x":"dPGkWMh1Yk6PwFDrwuOoDHPFaPFzYQgRzzFSNCKNrZs"}]}"#;

/// Whether a request has keys that know its `kid`.
type Found = Result<bool, KeysUnavailable>;

struct World(Arc<IssuerKeys>);

fn world() -> World {
    let keys = IssuerKeys::new("https://as.example.com", KeySource::Host, RUSTCRYPTO.random);
    World(keys.unwrap())
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(1_700_000_000_i64.saturating_add(seconds))
}

impl World {
    /// A request whose token names this key.
    fn begin(&self, kid: &'static str, now: i64) -> Step<Found> {
        let keys = Arc::clone(&self.0);
        let wanted = WantedKey { kid: Some(kid), algorithm: Ed25519 };
        let flow = Flow::start(at(now), move |io| async move {
            Ok(keys.find(&io, wanted).await.map(|set| set.has_key_for(wanted.kid, wanted.algorithm)))
        });
        flow.unwrap()
    }

    /// The same, which has its answer at once.
    fn known(&self, kid: &'static str, now: i64) -> Found {
        self.begin(kid, now).finished().expect("nothing is fetched")
    }

    /// The same, which has the turn to fetch: the answer is `set`, or none.
    fn fetches(&self, kid: &'static str, now: i64, set: Option<&str>) -> Found {
        let (share, ask) = self.turn(kid, now);
        answer(ask, set, now);
        share.resume((), at(now)).unwrap().finished().expect("the fetch has ended")
    }

    fn turn(&self, kid: &'static str, now: i64) -> (Share<Found>, Ask<()>) {
        let mut share = shared(self.begin(kid, now));
        let task = share.take_task(at(now)).expect("the turn").unwrap();
        let Step::Ask(ask) = task else { panic!("the host is asked") };
        (share, ask)
    }
}

fn shared(step: Step<Found>) -> Share<Found> {
    match step {
        Step::Share(share) => share,
        other => panic!("{other:?}"),
    }
}

fn answer(ask: Ask<()>, set: Option<&str>, now: i64) {
    let set = set.map(|set| set.as_bytes().to_vec()).ok_or_else(|| "no one answers".into());
    let _ = ask.resume(set, at(now));
}

#[test]
fn keys_are_fetched_once_and_again_after_ten_minutes() {
    let world = world();
    assert!(world.fetches("a", 0, Some(ONE)).unwrap());
    assert!(world.known("a", 599).unwrap());
    assert!(world.fetches("a", 600, Some(ONE)).unwrap());
    assert!(world.known("a", 1_199).unwrap());
}

#[test]
fn an_unknown_key_is_looked_for_but_not_twice_within_ten_seconds() {
    let world = world();
    assert!(world.fetches("a", 0, Some(ONE)).unwrap());
    assert!(!world.known("b", 9).unwrap(), "judged with what is known");
    assert!(world.fetches("b", 10, Some(OTHER)).unwrap(), "the keys were rotated");
    // A flood of invented names.
    for second in 11..20 {
        assert!(!world.known("c", second).unwrap());
    }
    assert!(!world.fetches("c", 20, Some(OTHER)).unwrap());
}

#[test]
fn keys_outlive_an_outage_for_a_day() {
    let world = world();
    assert!(world.fetches("a", 0, Some(ONE)).unwrap());
    assert!(world.fetches("a", 600, None).unwrap(), "the old ones count");
    assert!(world.known("a", 609).unwrap(), "nothing is asked for again within ten seconds");
    assert!(world.fetches("a", 610, Some("no set")).unwrap(), "an answer that is no set is none");
    assert!(world.fetches("a", 86_399, None).unwrap());
    assert!(world.fetches("a", 86_410, None).is_err(), "a day after they were fetched");
    assert!(world.fetches("b", 86_420, Some(OTHER)).unwrap(), "and back");
}

#[test]
fn without_keys_a_failed_fetch_is_not_repeated_within_ten_seconds() {
    let world = world();
    assert!(world.fetches("a", 0, None).is_err());
    let mut share = shared(world.begin("a", 9));
    assert!(share.take_task(at(9)).is_none());
    assert!(share.resume((), at(9)).unwrap().finished().unwrap().is_err());
    assert!(world.fetches("a", 10, Some(ONE)).unwrap());
}

#[test]
fn many_requests_wait_for_one_fetch_and_none_of_them_owns_it() {
    let world = world();
    let (leader, ask) = world.turn("a", 0);
    let mut follower = shared(world.begin("a", 1));
    assert!(follower.take_task(at(1)).is_none(), "one fetch at a time");
    assert_eq!(follower.name(), leader.name());
    // The leader hangs up, and the fetch goes on.
    drop(leader);
    let follower = shared(follower.resume((), at(2)).unwrap());
    answer(ask, Some(ONE), 3);
    assert!(follower.resume((), at(3)).unwrap().finished().unwrap().unwrap());
    assert!(world.known("a", 3).unwrap());
}

#[test]
fn a_request_waits_ten_seconds_and_a_fetch_that_is_given_up_makes_room() {
    let world = world();
    let (leader, ask) = world.turn("a", 0);
    let leader = shared(leader.resume((), at(9)).unwrap());
    assert!(leader.resume((), at(10)).unwrap().finished().unwrap().is_err());
    let mut next = shared(world.begin("a", 11));
    assert!(next.take_task(at(11)).is_none(), "it is still under way");
    drop(ask);
    assert!(next.resume((), at(11)).unwrap().finished().unwrap().is_err());
    assert!(world.fetches("a", 12, Some(ONE)).unwrap());
}

#[test]
fn those_who_wait_are_bounded() {
    let world = world();
    let (leader, ask) = world.turn("a", 0);
    let mut waiting: Vec<_> = (1..MAX_WAITING).map(|_| shared(world.begin("a", 0))).collect();
    assert!(world.known("a", 0).is_err(), "one more is refused at once");
    drop(waiting.pop());
    let last = shared(world.begin("a", 0));
    answer(ask, Some(ONE), 0);
    for share in waiting.into_iter().chain([leader, last]) {
        assert!(share.resume((), at(0)).unwrap().finished().unwrap().unwrap());
    }
    assert_eq!(world.0.state.lock().waiting, 0);
}

#[test]
fn a_clock_that_was_set_back_says_nothing_about_the_age_of_keys() {
    let world = world();
    assert!(world.fetches("a", 0, Some(ONE)).unwrap());
    assert!(world.fetches("a", -5, Some(ONE)).unwrap());
    assert!(world.known("a", -4).unwrap());
}

#[test]
fn given_keys_cost_no_step() {
    let set = super::JwkSet::parse(ONE.as_bytes()).unwrap();
    let world = World(IssuerKeys::new("https://as.example.com", KeySource::Given(set), RUSTCRYPTO.random).unwrap());
    assert!(world.known("a", 0).unwrap());
    assert!(!world.known("b", 1_000_000).unwrap());
    assert!(
        IssuerKeys::new("https://as.example.com", KeySource::At("http://evil.example".into()), RUSTCRYPTO.random)
            .is_err()
    );
}
