//! A host that says what tokens are, requests that bring them, and a fake clock.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{AT_A_TIME, CAPACITY, Introspector, MAX_KEPT_LEN, MAX_WAITING, Unavailable};
use crate::flow::Flow;
use crate::flow::step::{Ask, Share, Step};
use crate::server::resource::Introspection;
use crate::{RUSTCRYPTO, UnixTime};

const ACTIVE: &str = r#"{"active":true,"exp":1700000030}"#;
const INACTIVE: &str = r#"{"active":false}"#;

/// What was said of a request's token.
type Found = Result<String, Unavailable>;

struct World(Arc<Introspector>);

fn world(remembered_for: u64) -> World {
    let introspection = Introspection::by_host().remembered_for(remembered_for).unwrap();
    World(Introspector::new(introspection, &RUSTCRYPTO).unwrap())
}

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(1_700_000_000_i64.saturating_add(seconds))
}

impl World {
    fn begin(&self, token: &str, now: i64) -> Step<Found> {
        let (introspector, token) = (Arc::clone(&self.0), token.to_string());
        let flow = Flow::start(at(now), move |io| async move {
            let said = introspector.find(&io, &token).await;
            Ok(said.map(|said| String::from_utf8_lossy(&said).into_owned()))
        });
        flow.unwrap()
    }

    /// A request that has its answer at once.
    fn known(&self, token: &str, now: i64) -> Found {
        self.begin(token, now).finished().expect("nothing is asked")
    }

    /// A request whose question is asked now, and answered so.
    fn asks(&self, token: &str, now: i64, said: Option<&str>) -> Found {
        let (share, ask) = self.turn(token, now);
        assert_eq!(ask.subject(), token);
        answer(ask, said, now);
        share.resume((), at(now)).unwrap().finished().expect("the question has ended")
    }

    fn turn(&self, token: &str, now: i64) -> (Share<Found>, Ask<()>) {
        let mut share = shared(self.begin(token, now));
        let ask = begun(&mut share, now).expect("its turn");
        (share, ask)
    }

    fn waiting(&self) -> usize {
        self.0.state.lock().waiting
    }
}

fn shared(step: Step<Found>) -> Share<Found> {
    match step {
        Step::Share(share) => share,
        other => panic!("{other:?}"),
    }
}

/// The question, if it is this request's to ask.
fn begun(share: &mut Share<Found>, now: i64) -> Option<Ask<()>> {
    match share.take_task(at(now))?.unwrap() {
        Step::Ask(ask) => Some(ask),
        other => panic!("{other:?}"),
    }
}

fn answer(ask: Ask<()>, said: Option<&str>, now: i64) {
    let said = said.map(|said| said.as_bytes().to_vec()).ok_or_else(|| "no one answers".into());
    let _ = ask.resume(said, at(now));
}

#[test]
fn one_question_for_each_token_at_a_time() {
    let world = world(0);
    let (leader, ask) = world.turn("t", 0);
    let mut follower = shared(world.begin("t", 0));
    assert!(begun(&mut follower, 0).is_none());
    assert_eq!(follower.name(), leader.name());
    assert!(!follower.name().contains('t') || follower.name().len() > 40, "the name is a hash");
    // The leader hangs up, and the question goes on.
    drop(leader);
    answer(ask, Some(ACTIVE), 1);
    assert_eq!(follower.resume((), at(1)).unwrap().finished().unwrap().unwrap(), ACTIVE);
    // An active token is asked about anew: it may have been revoked.
    assert_eq!(world.asks("t", 1, Some(INACTIVE)).unwrap(), INACTIVE);
    assert_eq!(world.waiting(), 0);
}

#[test]
fn an_inactive_token_is_remembered_for_ten_seconds() {
    let world = world(0);
    assert_eq!(world.asks("t", 0, Some(INACTIVE)).unwrap(), INACTIVE);
    assert_eq!(world.known("t", 9).unwrap(), INACTIVE);
    assert_eq!(world.asks("t", 10, Some(ACTIVE)).unwrap(), ACTIVE);
    // One with a long answer is not.
    let long = format!(r#"{{"active":false,"why":"{}"}}"#, "x".repeat(MAX_KEPT_LEN));
    assert_eq!(world.asks("u", 10, Some(&long)).unwrap(), long);
    assert_eq!(world.asks("u", 10, Some(INACTIVE)).unwrap(), INACTIVE);
}

#[test]
fn an_active_token_is_remembered_where_that_is_wanted_and_not_beyond_its_end() {
    let world = world(60);
    assert_eq!(world.asks("t", 0, Some(ACTIVE)).unwrap(), ACTIVE);
    assert_eq!(world.known("t", 29).unwrap(), ACTIVE);
    assert_eq!(world.asks("t", 30, Some(INACTIVE)).unwrap(), INACTIVE);
    let endless = r#"{"active":true}"#;
    assert_eq!(world.asks("u", 0, Some(endless)).unwrap(), endless);
    assert_eq!(world.known("u", 59).unwrap(), endless);
    assert_eq!(world.asks("u", 60, Some(INACTIVE)).unwrap(), INACTIVE);
}

#[test]
fn what_is_no_answer_says_nothing_and_is_not_remembered() {
    let world = world(60);
    for said in [None, Some("no JSON"), Some("[]"), Some("{}"), Some(r#"{"active":"true"}"#)] {
        assert!(world.asks("t", 0, said).is_err(), "{said:?}");
    }
    let long = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(super::MAX_ANSWER_LEN));
    assert!(world.asks("t", 0, Some(&long)).is_err());
    assert_eq!(world.asks("t", 0, Some(ACTIVE)).unwrap(), ACTIVE);
}

#[test]
fn a_question_that_is_given_up_frees_its_token() {
    let world = world(0);
    let (leader, ask) = world.turn("t", 0);
    let leader = shared(leader.resume((), at(9)).unwrap());
    let follower = shared(world.begin("t", 9));
    assert!(leader.resume((), at(10)).unwrap().finished().unwrap().is_err(), "ten seconds are over");
    drop(ask);
    assert!(follower.resume((), at(11)).unwrap().finished().unwrap().is_err());
    assert_eq!(world.asks("t", 11, Some(ACTIVE)).unwrap(), ACTIVE);
}

#[test]
fn questions_behind_the_most_there_are_wait_each_for_another_one() {
    let world = world(0);
    let mut asking: Vec<_> = (0..AT_A_TIME).map(|token| world.turn(&format!("t{token}"), 0)).collect();
    let mut queue: Vec<_> = (0..AT_A_TIME).map(|token| shared(world.begin(&format!("q{token}"), 0))).collect();
    for share in &mut queue {
        assert!(begun(share, 0).is_none(), "no more questions at a time");
    }
    let names = |shares: &[Share<Found>]| {
        let mut names: Vec<_> = shares.iter().map(|share| share.name().to_string()).collect();
        names.sort_unstable();
        names
    };
    let mut underway: Vec<_> = asking.iter().map(|(share, _)| share.name().to_string()).collect();
    underway.sort_unstable();
    assert_eq!(names(&queue), underway, "one behind each: one that hangs holds up one");
    // One ends, and the one behind it asks.
    let (share, ask) = asking.pop().unwrap();
    let ended = share.name().to_string();
    answer(ask, Some(INACTIVE), 1);
    let place = queue.iter().position(|share| share.name() == ended).unwrap();
    let mut next = shared(queue.swap_remove(place).resume((), at(1)).unwrap());
    answer(begun(&mut next, 1).expect("its turn"), Some(ACTIVE), 1);
    assert_eq!(next.resume((), at(1)).unwrap().finished().unwrap().unwrap(), ACTIVE);
    // All others hang, and no one waits for them longer than for an answer.
    let _newest = world.turn("r", 9);
    let late = shared(queue.pop().unwrap().resume((), at(9)).unwrap());
    assert!(late.resume((), at(10)).unwrap().finished().unwrap().is_err());
}

#[test]
fn those_who_wait_are_bounded() {
    let world = world(0);
    let (leader, ask) = world.turn("t", 0);
    let mut waiting: Vec<_> = (1..MAX_WAITING).map(|_| shared(world.begin("t", 0))).collect();
    assert!(world.known("t", 0).is_err(), "one more is refused at once");
    assert!(world.known("u", 0).is_err(), "whatever its token");
    drop(waiting.pop());
    let last = shared(world.begin("t", 0));
    answer(ask, Some(ACTIVE), 0);
    for share in waiting.into_iter().chain([leader, last]) {
        assert_eq!(share.resume((), at(0)).unwrap().finished().unwrap().unwrap(), ACTIVE);
    }
    assert_eq!(world.waiting(), 0);
}

#[test]
fn what_is_remembered_is_bounded() {
    let world = world(0);
    for token in 0..=CAPACITY {
        assert!(world.asks(&format!("{token}"), 0, Some(INACTIVE)).is_ok());
    }
    assert_eq!(world.0.state.lock().inactive.0.len(), CAPACITY);
    assert!(world.known("0", 1).is_ok());
    // Those that are over make room.
    assert!(world.asks("new", 10, Some(INACTIVE)).is_ok());
    assert_eq!(world.0.state.lock().inactive.0.len(), 1);
}
