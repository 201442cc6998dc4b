//! Stories over a server that is made up: its commands are few, its clock and its faults are ours.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Exchange, Fault, MAX_BATCH, Next, RedisReplay, Reply};
use crate::replay::Insertion::{self, BeforeFloor, Fresh, Full, Seen, Unavailable};
use crate::replay::{ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};
use crate::{Policy, RUSTCRYPTO, Thumbprint, UnixTime};

const START: i64 = 1_700_000_000;

/// As much of Redis as is used.
struct Server {
    now: i64,
    run: char,
    replication: char,
    role: &'static str,
    policy: &'static str,
    replicas: u32,
    acknowledge: i64,
    evicted: u64,
    loading: bool,
    /// Whether INFO takes several sections, as from version 7 on.
    takes_sections: bool,
    keys: BTreeMap<Vec<u8>, (Vec<u8>, i64)>,
    /// What a command is answered with instead.
    errors: Vec<(&'static str, &'static str)>,
}

impl Server {
    fn new() -> Self {
        Self {
            now: START,
            run: 'a',
            replication: 'b',
            role: "master",
            policy: "noeviction",
            replicas: 0,
            acknowledge: 0,
            evicted: 0,
            loading: false,
            takes_sections: true,
            keys: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    fn run_all(&mut self, exchange: &Exchange) -> Vec<Reply> {
        exchange.commands().iter().map(|command| self.run(command.arguments())).collect()
    }

    fn run(&mut self, arguments: &[Vec<u8>]) -> Reply {
        let text = |place: usize| core::str::from_utf8(&arguments[place]).unwrap();
        if let Some((_, error)) = self.errors.iter().find(|(name, _)| *name == text(0)) {
            return Reply::Error(error.as_bytes().to_vec());
        }
        let now = self.now * 1000;
        self.keys.retain(|_, (_, end)| *end > now);
        let value = |keys: &BTreeMap<_, (Vec<u8>, i64)>| {
            keys.get(&arguments[1]).map_or(Reply::Nil, |(value, _)| Reply::Text(value.clone()))
        };
        match text(0) {
            "INFO" if arguments.len() > 2 && !self.takes_sections => Reply::Error(b"ERR syntax error".to_vec()),
            "INFO" => {
                let sections: Vec<_> = (1..arguments.len()).map(|place| self.info(text(place))).collect();
                Reply::Text(sections.join("\r\n").into_bytes())
            }
            "GET" => value(&self.keys),
            "GETEX" => {
                if let (Some(entry), Some(end)) = (self.keys.get_mut(&arguments[1]), arguments.get(3)) {
                    entry.1 = now + core::str::from_utf8(end).unwrap().parse::<i64>().unwrap();
                }
                value(&self.keys)
            }
            "WAIT" => Reply::Integer(self.acknowledge),
            "SET" => {
                let options: Vec<_> = (3..arguments.len()).map(text).collect();
                let is_there = self.keys.contains_key(&arguments[1]);
                if (options.contains(&"NX") && is_there) || (options.contains(&"XX") && !is_there) {
                    return Reply::Nil;
                }
                let end = now + options.last().unwrap().parse::<i64>().unwrap();
                self.keys.insert(arguments[1].clone(), (arguments[2].clone(), end));
                Reply::Text(b"OK".to_vec())
            }
            other => panic!("{other}"),
        }
    }

    fn info(&self, section: &str) -> String {
        let name = |letter: char| letter.to_string().repeat(40);
        match section {
            "server" => format!(
                "redis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{}\r\nserver_time_usec:{}\r\n",
                name(self.run),
                self.now * 1_000_000
            ),
            "replication" => format!(
                "role:{}\r\nconnected_slaves:{}\r\nmaster_replid:{}\r\n",
                self.role,
                self.replicas,
                name(self.replication)
            ),
            "memory" => format!("maxmemory_policy:{}\r\n", self.policy),
            "persistence" => format!("loading:{}\r\n", u8::from(self.loading)),
            "stats" => format!("evicted_keys:{}\r\n", self.evicted),
            other => panic!("{other}"),
        }
    }
}

fn verifier() -> RedisReplay {
    RedisReplay::for_policy("api", &Policy::default(), &RUSTCRYPTO).unwrap()
}

fn finish(server: &mut Server, mut next: Next, now: i64) -> Result<Vec<Insertion>, Fault> {
    for _ in 0..32 {
        next = match next {
            Next::Exchange(exchange) => {
                let replies = server.run_all(&exchange);
                exchange.resume(replies, UnixTime::from_secs(now))
            }
            Next::Answers(answers) => return Ok(answers.into_iter().map(|answer| answer.insertion).collect()),
            Next::Fault { fault, answers } => {
                assert!(answers.iter().all(|answer| answer.insertion != Fresh));
                return Err(fault);
            }
        };
    }
    panic!("it does not end")
}

fn open(server: &mut Server, redis: &RedisReplay, now: i64) -> Result<(), Fault> {
    finish(server, Next::Exchange(redis.open(UnixTime::from_secs(now))), now).map(|answers| assert!(answers.is_empty()))
}

fn insert(
    server: &mut Server,
    redis: &RedisReplay,
    entries: &[ReplayEntry],
    now: i64,
) -> Result<Vec<Insertion>, Fault> {
    finish(server, redis.batch(entries, UnixTime::from_secs(now)), now)
}

fn one(server: &mut Server, redis: &RedisReplay, entry: ReplayEntry, now: i64) -> Result<Insertion, Fault> {
    insert(server, redis, &[entry], now).map(|answers| answers[0])
}

fn proof(number: u8, timed_at: i64, nonce_epoch: Option<StoreEpoch>) -> ReplayEntry {
    let policy = Policy::default();
    ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::from_bytes([number; 16]),
        thumbprint: Thumbprint::from_bytes([1; 32]),
        timed_at: UnixTime::from_secs(timed_at),
        max_ahead: policy.max_ahead(),
        expires_at: UnixTime::from_secs(timed_at + 60),
        store_margin: policy.store_margin(),
        nonce_epoch,
        agreement: policy.replay_agreement(RUSTCRYPTO.digest),
    })
}

/// A server and a verifier that has been there for 100 s, at the time of the answer.
fn begun() -> (Server, RedisReplay, i64) {
    let (mut server, redis) = (Server::new(), verifier());
    open(&mut server, &redis, START).unwrap();
    server.now += 100;
    let now = START + 100;
    assert_eq!(one(&mut server, &redis, proof(0, now, None), now), Ok(Fresh));
    (server, redis, now)
}

#[test]
fn a_proof_is_fresh_once_in_all_verifiers() {
    let (mut server, redis, now) = begun();
    let other = verifier();
    assert_eq!(one(&mut server, &other, proof(0, now, None), now), Ok(Seen), "it opens by itself");
    assert_eq!(other.epoch(), redis.epoch());
    let twins = [proof(1, now, None), proof(1, now, None), proof(0, now, None)];
    assert_eq!(insert(&mut server, &other, &twins, now), Ok([Fresh, Seen, Seen].to_vec()));
    let one_trip = redis.batch(&twins, UnixTime::from_secs(now));
    let Next::Exchange(exchange) = one_trip else { panic!("{one_trip:?}") };
    let names: Vec<_> = exchange.commands().iter().map(|command| command.arguments()[0].clone()).collect();
    assert_eq!(names, ["SET", "SET", "SET", "GETEX", "INFO"].map(|name| name.as_bytes().to_vec()));
}

#[test]
fn a_server_that_takes_one_section_at_a_time_is_asked_so() {
    let (mut server, redis) = (Server::new(), verifier());
    server.takes_sections = false;
    open(&mut server, &redis, START).unwrap();
    server.now += 100;
    let now = START + 100;
    for (number, wanted) in [(0, Fresh), (0, Seen), (1, Fresh)] {
        assert_eq!(one(&mut server, &redis, proof(number, now, None), now), Ok(wanted), "{number}");
    }
    let Next::Exchange(exchange) = redis.batch(&[proof(2, now, None)], UnixTime::from_secs(now)) else { panic!() };
    let names: Vec<_> = exchange.commands().iter().map(super::Command::name).collect();
    assert_eq!(names, ["SET", "GETEX", "INFO", "INFO"]);
    // Its successor is of another version, and the one after that of this one again.
    for takes_sections in [true, false] {
        server.takes_sections = takes_sections;
        server.run = char::from(server.run as u8 + 1);
        let later = now + 50 + i64::from(!takes_sections) * 50;
        server.now = later;
        let number = 3 + u8::from(takes_sections);
        let mut answers =
            (0..4).map(|_| one(&mut server, &redis, proof(number, later + 10, Some(redis.epoch())), later));
        assert!(answers.any(|answer| answer == Ok(Fresh)), "{takes_sections}");
    }
}

#[test]
fn entries_the_life_cannot_vouch_for_are_not_sent() {
    let (mut server, redis) = (Server::new(), verifier());
    open(&mut server, &redis, START).unwrap();
    let epoch = redis.epoch();
    // The floor is ten seconds after the founder's clock, and a proof may be ten seconds ahead.
    assert_eq!(one(&mut server, &redis, proof(1, START + 20, None), START + 5), Ok(BeforeFloor));
    assert_eq!(one(&mut server, &redis, proof(1, START + 20, Some(epoch)), START + 5), Ok(Fresh));
    assert_eq!(one(&mut server, &redis, proof(2, START + 21, None), START + 5), Ok(Fresh));
    let strange = StoreEpoch::from_u64(epoch.to_u64() ^ 1);
    assert_eq!(one(&mut server, &redis, proof(3, START, Some(strange)), START + 5), Ok(BeforeFloor));
    assert!(!server.keys.keys().any(|key| key.ends_with(&[3; 16])));
}

#[test]
fn what_the_server_forgot_is_not_accepted_again() {
    let flush = |server: &mut Server| server.keys.clear();
    let restart = |server: &mut Server| server.run = 'c';
    let failover = |server: &mut Server| {
        server.run = 'd';
        server.replication = 'e';
        server.keys.remove(&[b"{kb1:api}".as_slice(), &[0; 16]].concat());
    };
    let replaced = |server: &mut Server| {
        server.replication = 'f';
        server.keys.remove(&[b"{kb1:api}".as_slice(), &[0; 16]].concat());
    };
    for loss in [flush, restart, failover, replaced] as [fn(&mut Server); 4] {
        let (mut server, redis, now) = begun();
        let old = redis.epoch();
        loss(&mut server);
        let again = one(&mut server, &redis, proof(0, now, None), now);
        assert!(matches!(again, Ok(BeforeFloor | Seen)), "{again:?}");
        assert_eq!(one(&mut server, &redis, proof(9, now, None), now), Ok(BeforeFloor));
        assert_ne!(redis.epoch(), old);
        assert_eq!(one(&mut server, &redis, proof(5, now, Some(old)), now), Ok(BeforeFloor), "a nonce of the old life");
        assert_eq!(one(&mut server, &redis, proof(6, now, Some(redis.epoch())), now), Ok(Fresh), "one challenge");
        assert_eq!(redis.status().lives, 2);
    }
}

#[test]
fn two_verifiers_agree_on_the_new_epoch() {
    let (mut server, redis, now) = begun();
    let other = verifier();
    open(&mut server, &other, now).unwrap();
    server.keys.clear();
    assert_eq!(one(&mut server, &other, proof(1, now, None), now), Ok(BeforeFloor));
    let with_nonce = proof(2, now, Some(other.epoch()));
    assert_eq!(one(&mut server, &redis, with_nonce, now + 1), Ok(Fresh), "it had not noticed, and hears of it");
    assert_eq!(redis.epoch(), other.epoch());
    assert_eq!(one(&mut server, &redis, proof(3, now, Some(other.epoch())), now), Ok(Fresh));
}

#[test]
fn two_losses_in_one_second_cost_one_challenge_each() {
    let (mut server, redis, now) = begun();
    let other = verifier();
    open(&mut server, &other, now).unwrap();
    for number in [10, 20, 30] {
        server.keys.clear();
        assert_eq!(one(&mut server, &redis, proof(number, now, Some(redis.epoch())), now), Ok(BeforeFloor));
        assert_eq!(one(&mut server, &redis, proof(number + 1, now, Some(redis.epoch())), now), Ok(Fresh), "{number}");
        // Another verifier, which has not noticed yet.
        assert_eq!(one(&mut server, &other, proof(number + 2, now, Some(redis.epoch())), now), Ok(Fresh), "{number}");
    }
}

#[test]
fn a_server_that_will_not_do_is_named() {
    for (change, name) in [
        ((|server| server.role = "slave") as fn(&mut Server), "not_primary"),
        (|server| server.policy = "allkeys-lru", "evicts"),
        (|server| server.loading = true, "loading"),
        (|server| server.replicas = 1, "needs_replicas"),
        (|server| server.errors.push(("INFO", "NOPERM no")), "forbidden"),
        (|server| server.errors.push(("GETEX", "NOPERM no")), "forbidden"),
        (|server| server.errors.push(("SET", "OOM full")), "full"),
        (|server| server.errors.push(("GETEX", "ERR unknown command 'GETEX'")), "too_old"),
        (|server| server.errors.push(("SET", "MOVED 1 127.0.0.1:1")), "moved"),
    ] {
        let (mut server, redis) = (Server::new(), verifier());
        change(&mut server);
        assert_eq!(open(&mut server, &redis, START).unwrap_err().name(), name);
        assert_eq!(one(&mut server, &redis, proof(1, START, None), START), Ok(Unavailable));
        assert_eq!(redis.status().fault.map(|fault| fault.name()), Some(name));
        // It is tried again a second later.
        server = Server { now: server.now, ..Server::new() };
        assert_eq!(one(&mut server, &redis, proof(1, START + 30, None), START + 1), Ok(Fresh));
    }
}

#[test]
fn another_policy_refuses_to_start() {
    let (mut server, _, now) = begun();
    let other = RedisReplay::for_policy("api", &Policy::mcp(), &RUSTCRYPTO).unwrap();
    let fault = open(&mut server, &other, now).unwrap_err();
    assert!(matches!(fault, Fault::Disagrees { .. }) && fault.is_configuration());
    let elsewhere = RedisReplay::for_policy("api-2", &Policy::mcp(), &RUSTCRYPTO).unwrap();
    open(&mut server, &elsewhere, now).unwrap();
    server.now += 86_401;
    let now = server.now;
    open(&mut server, &other, now).unwrap();
}

#[test]
fn errors_of_an_insert_accept_nothing_and_close() {
    for (error, expected) in [("OOM full", Ok(Full)), ("READONLY no", Err(Fault::NotPrimary))] {
        let (mut server, redis, now) = begun();
        server.errors.push(("SET", error));
        assert_eq!(one(&mut server, &redis, proof(1, now, None), now), expected);
        assert_eq!(redis.status().life.is_some(), expected.is_ok());
    }
    // One reply too few, and one that never came.
    let (mut server, redis, now) = begun();
    for lose in [
        |exchange: Exchange, replies: Vec<Reply>, now| match exchange.resume(replies, now) {
            Next::Fault { answers, .. } => answers,
            next => panic!("{next:?}"),
        },
        |exchange: Exchange, _, _| exchange.lost(),
    ] as [fn(Exchange, Vec<Reply>, UnixTime) -> _; 2]
    {
        open(&mut server, &redis, now).unwrap();
        let Next::Exchange(exchange) = redis.batch(&[proof(1, now, None)], UnixTime::from_secs(now)) else { panic!() };
        let mut replies = server.run_all(&exchange);
        replies.pop();
        let answers = lose(exchange, replies, UnixTime::from_secs(now));
        assert_eq!(answers.iter().map(|answer| answer.insertion).collect::<Vec<_>>(), [Unavailable]);
        assert_eq!(redis.status().life, None);
    }
}

#[test]
fn too_few_acknowledgements_accept_nothing() {
    let (mut server, redis) = (Server { replicas: 2, acknowledge: 1, ..Server::new() }, verifier());
    let redis = redis.wait_for_replicas(2, 50);
    open(&mut server, &redis, START).unwrap();
    server.now += 60;
    let now = server.now;
    assert_eq!(one(&mut server, &redis, proof(1, now, None), now), Err(Fault::NotAcknowledged { needed: 2, found: 1 }));
    server.acknowledge = 2;
    open(&mut server, &redis, now).unwrap();
    assert_eq!(one(&mut server, &redis, proof(2, now, None), now), Ok(Fresh));
}

#[test]
fn eviction_ends_a_life_even_when_it_is_over() {
    let (mut server, redis, now) = begun();
    let old = redis.epoch();
    server.policy = "allkeys-lru";
    let later = now + 9;
    server.now = later;
    assert!(matches!(one(&mut server, &redis, proof(0, now, None), later), Err(Fault::Evicts { .. })));
    server.policy = "noeviction";
    open(&mut server, &redis, later).unwrap();
    assert_ne!(redis.epoch(), old, "it may have evicted");

    // Another verifier saw nothing of it but the count.
    let (old, other) = (redis.epoch(), verifier());
    server.evicted = 1;
    server.keys.remove(&[b"{kb1:api}".as_slice(), &[0; 16]].concat());
    open(&mut server, &other, later).unwrap();
    assert_ne!(other.epoch(), old);
    assert_eq!(one(&mut server, &redis, proof(0, now, None), later), Ok(BeforeFloor));
}

#[test]
fn a_server_whose_clock_steps_begins_a_new_life() {
    for step in [200, 25, -25, -5_000] {
        let (mut server, redis, now) = begun();
        let old = redis.epoch();
        server.now += step;
        let again = one(&mut server, &redis, proof(0, now, None), now);
        assert_eq!(again, Ok(if step == 200 { BeforeFloor } else { Seen }), "its entry may be gone");
        assert_ne!(redis.epoch(), old);
        assert_eq!(one(&mut server, &redis, proof(1, now, Some(redis.epoch())), now), Ok(Fresh), "{step}");
    }
}

#[test]
fn one_verifier_far_apart_does_not_stop_the_others() {
    let (mut server, redis, mut now) = begun();
    let wrong = verifier();
    for _ in 0..40 {
        for behind in [25, -25] {
            let fault = open(&mut server, &wrong, now - behind).unwrap_err();
            assert_eq!(fault, Fault::ClockApart { seconds: behind });
        }
        (now, server.now) = (now + 10, server.now + 10);
        open(&mut server, &redis, now).unwrap();
    }
    assert_eq!(redis.status().lives, 1);
    assert_eq!(one(&mut server, &redis, proof(1, now, None), now), Ok(Fresh));

    // A flush: it does not found the next life with a floor before what was accepted.
    let (mut server, redis, now) = begun();
    open(&mut server, &wrong, now - 25).unwrap_err();
    server.keys.clear();
    assert_eq!(open(&mut server, &wrong, now - 25), Err(Fault::ClockApart { seconds: 25 }));
    // Nobody comes; a minute later it does, by the others' clock.
    server.now += 70;
    open(&mut server, &wrong, now + 45).unwrap();
    assert_eq!(wrong.status().life.map(|(_, floor)| floor.secs()), Some(now + 45 + 25 + 10));
    drop(redis);
}

#[test]
fn a_founder_whose_clock_is_wrong_is_followed_by_one_with_the_servers_time() {
    let (mut server, wrong, right) = (Server::new(), verifier(), verifier());
    open(&mut server, &wrong, START - 100).unwrap();
    assert_eq!(open(&mut server, &right, START), Err(Fault::ClockApart { seconds: -100 }), "it is young");
    server.now += 100;
    open(&mut server, &wrong, START).unwrap();
    open(&mut server, &right, START + 100).unwrap();
    let fault = open(&mut server, &wrong, START).unwrap_err();
    assert_eq!(fault, Fault::ClockApart { seconds: 100 });
}

#[test]
fn a_founder_behind_the_last_one_takes_its_clock() {
    let (mut server, ahead, now) = begun();
    let (far_ahead, behind) = (verifier(), verifier());
    open(&mut server, &far_ahead, now + 10).unwrap();
    open(&mut server, &behind, now - 10).unwrap();
    let early = proof(1, now + 20, None);
    assert_eq!(
        one(&mut server, &far_ahead, early, now + 10),
        Ok(Fresh),
        "ten seconds ahead of a clock that is ten ahead"
    );
    server.keys.clear();
    open(&mut server, &behind, now - 10).unwrap();
    server.now += 20;
    assert_eq!(one(&mut server, &behind, early, now + 10), Ok(BeforeFloor));
    drop(ahead);
}

#[test]
fn verifiers_apart_by_less_than_the_margin_share_a_life() {
    let (mut server, redis, now) = begun();
    for apart in [10, -10] {
        let other = verifier();
        open(&mut server, &other, now + apart).unwrap();
        assert_eq!(other.epoch(), redis.epoch());
    }
}

#[test]
fn mistakes_are_refused() {
    let policy = Policy::default();
    for namespace in ["", "API", "a b", "a}", &"a".repeat(33)] {
        assert!(RedisReplay::for_policy(namespace, &policy, &RUSTCRYPTO).is_err(), "{namespace}");
    }
    assert!(verifier().clocks_within(0).is_err() && verifier().clocks_within(31).is_err());
    assert!(verifier().clocks_within(30).is_ok());
    let (mut server, redis, now) = begun();
    let many: Vec<_> = (0..=MAX_BATCH).map(|number| proof(u8::try_from(number % 256).unwrap(), now, None)).collect();
    assert_eq!(insert(&mut server, &redis, &many, now), Ok([Unavailable; MAX_BATCH + 1].to_vec()));
    assert_eq!(insert(&mut server, &redis, &[], now), Ok(Vec::new()));
    let stranger = ReplayEntry::from_parts(ReplayEntryParts {
        key: ReplayKey::from_bytes([7; 16]),
        thumbprint: Thumbprint::from_bytes([1; 32]),
        timed_at: UnixTime::from_secs(now),
        max_ahead: 10,
        expires_at: UnixTime::from_secs(i64::MAX),
        store_margin: 60,
        nonce_epoch: None,
        agreement: policy.replay_agreement(RUSTCRYPTO.digest),
    });
    assert_eq!(one(&mut server, &redis, stranger, now), Ok(Unavailable), "no policy keeps a proof for that long");
}

#[test]
fn debug_shows_nothing_that_names_a_proof() {
    let (_, redis, now) = begun();
    let shown = format!("{:?} {redis:?}", redis.batch(&[proof(77, now, None)], UnixTime::from_secs(now)));
    assert!(shown.contains("Command(SET)") && !shown.contains("77, 77") && !shown.contains("MMM"), "{shown}");
}
