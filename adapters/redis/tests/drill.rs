//! Random faults under load: no proof is accepted twice, whatever happens to the servers.
//!
//! A run is repeated with `KEYBOUND_DRILL_SEED`, and made longer with `KEYBOUND_DRILL_SECONDS`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keybound::replay::{AsyncReplayStore, Insertion, ReplayEntry};
use keybound::{Policy, UnixTime};
use keybound_redis::RedisReplayStore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::proofs::{NAMESPACE, made, present_at, until_answered};
use crate::support::random::Random;
use crate::support::{Kind, Relay, Server, faketime_library, on_both};

/// How many tasks present proofs.
const PRESENTERS: u64 = 8;
/// How many of the last accepted proofs are presented again and again.
const REMEMBERED: usize = 500;

on_both! {
    async fn nothing_is_accepted_twice(kind: Kind) {
        drill(Plan { kind, seed: seed().unwrap_or(1), verifiers: 4, seconds: seconds().unwrap_or(8), waits: true }).await;
        drill(Plan { kind, seed: seed().unwrap_or(2), verifiers: 4, seconds: seconds().unwrap_or(8), waits: false }).await;
    }

    #[ignore = "takes ten minutes: cargo xtask test --only drill"]
    async fn nothing_is_accepted_twice_by_eight(kind: Kind) {
        for seed in 10..15 {
            for waits in [true, false] {
                drill(Plan { kind, seed, verifiers: 8, seconds: seconds().unwrap_or(30), waits }).await;
            }
        }
    }
}

fn seed() -> Option<u64> {
    std::env::var("KEYBOUND_DRILL_SEED").ok()?.parse().ok()
}

fn seconds() -> Option<u64> {
    std::env::var("KEYBOUND_DRILL_SECONDS").ok()?.parse().ok()
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: Kind,
    seed: u64,
    verifiers: usize,
    seconds: u64,
    /// Whether verifiers wait for the replica, so that old primaries may live on.
    waits: bool,
}

/// What presenters share.
struct Load {
    verifiers: Vec<(RedisReplayStore, i64)>,
    next: AtomicU64,
    stopped: AtomicBool,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// How many times each proof was accepted, by its number.
    accepted: HashMap<u64, u32>,
    recent: Vec<(u64, ReplayEntry)>,
    answers: HashMap<&'static str, u64>,
}

impl Load {
    /// Presents a proof to one verifier and writes down what it says.
    async fn present(&self, verifier: usize, number: u64, entry: &ReplayEntry) {
        let (store, ahead) = &self.verifiers[verifier];
        let now = UnixTime::from_secs(UnixTime::now().secs() + ahead);
        let begun = Instant::now();
        let answer = present_at(store, entry, now).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1_000), "{took:?}");
        let mut ledger = self.ledger.lock().unwrap();
        *ledger.answers.entry(answer.name()).or_default() += 1;
        if answer == Insertion::Fresh {
            *ledger.accepted.entry(number).or_default() += 1;
            ledger.recent.push((number, *entry));
            if ledger.recent.len() > REMEMBERED {
                ledger.recent.remove(0);
            }
        }
    }

    /// Says what happened.
    ///
    /// # Panics
    /// If a proof was accepted twice, or next to none were accepted at all, which shows little.
    fn report(&self, plan: Plan, faults: &[&str]) {
        let ledger = self.ledger.lock().unwrap();
        let twice = ledger.accepted.values().filter(|count| **count > 1).count();
        let mut answers: Vec<_> = ledger.answers.iter().collect();
        answers.sort();
        let proofs = self.next.load(Ordering::Relaxed);
        println!("{plan:?}: {proofs} proofs, {answers:?}, {twice} accepted twice; {faults:?}");
        assert_eq!(twice, 0);
        assert!(ledger.accepted.len() > 50, "{}", ledger.accepted.len());
    }

    async fn keep_presenting(self: Arc<Self>, mut random: Random) {
        let count = self.verifiers.len();
        while !self.stopped.load(Ordering::Relaxed) {
            let seen = {
                let ledger = self.ledger.lock().unwrap();
                let place = random.below(ledger.recent.len().max(1));
                ledger.recent.get(place).copied().filter(|_| random.one_in(2))
            };
            let (number, entry) = seen.unwrap_or_else(|| {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let epoch = self.verifiers[random.below(count)].0.epoch();
                (number, made(number, UnixTime::now(), (!random.one_in(8)).then_some(epoch)))
            });
            // To some at the same time.
            let chosen: Vec<usize> = (0..=random.below(3)).map(|_| random.below(count)).collect();
            let mut asked = JoinSet::new();
            for verifier in chosen {
                let load = Arc::clone(&self);
                asked.spawn(async move { load.present(verifier, number, &entry).await });
            }
            asked.join_all().await;
            sleep(Duration::from_millis(random.number(4))).await;
        }
    }
}

/// Two servers and where the two halves of the verifiers find theirs.
struct World {
    plan: Plan,
    servers: [Server; 2],
    primary: usize,
    addresses: [Relay; 2],
    /// By how much the servers' clocks were turned, where they can be.
    ahead: Option<i64>,
    /// How long the primary's log of commands was some time ago.
    length: u64,
}

impl World {
    async fn new(plan: Plan) -> Self {
        let options = ["--appendonly", "yes", "--appendfsync", "always"];
        let has_own_clock = plan.kind == Kind::Valkey && faketime_library().is_some();
        let start =
            || if has_own_clock { Server::with_own_clock(&options) } else { Server::start(plan.kind, &options) };
        let servers = [start(), start()];
        servers[1].follow(&servers[0]);
        let addresses = [Relay::to(&servers[0]).await, Relay::to(&servers[0]).await];
        Self { plan, servers, primary: 0, addresses, ahead: has_own_clock.then_some(0), length: 0 }
    }

    async fn verifier(&self, place: usize, policy: &Policy) -> (RedisReplayStore, i64) {
        // Clocks differ a little, also among verifiers of one half.
        let ahead = [0, 1, -1, 0][place % 4];
        let builder = RedisReplayStore::builder(&self.addresses[place % 2].url(), NAMESPACE, policy);
        let builder = builder.clocks_within(3).clock(move || UnixTime::from_secs(UnixTime::now().secs() + ahead));
        let builder = if self.plan.waits { builder.wait_for_replicas(1) } else { builder.danger_accept_split_brain() };
        (builder.open().await.unwrap(), ahead)
    }

    fn primary(&self) -> &Server {
        &self.servers[self.primary]
    }

    fn other(&self) -> &Server {
        &self.servers[1 - self.primary]
    }

    /// Does something to the servers, and says what.
    async fn disturb(&mut self, random: &mut Random) -> &'static str {
        let pause = Duration::from_millis(100 + random.number(500));
        match random.below(8) {
            0 => {
                self.primary().try_order(&["FLUSHALL"]);
                "flushed"
            }
            1 => {
                let cut = random.one_in(2).then_some(self.length);
                let primary = &mut self.servers[self.primary];
                primary.kill();
                if let Some(length) = cut.filter(|length| *length < primary.log_length()) {
                    primary.cut_log(length);
                }
                sleep(pause / 2).await;
                primary.restart();
                "killed"
            }
            2 => {
                self.primary().pause();
                sleep(pause).await;
                self.primary().resume();
                "paused"
            }
            3 => {
                self.primary().say(&["CLIENT", "KILL", "TYPE", "normal"]);
                "cut off"
            }
            4 => {
                self.primary().try_order(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(pause).await;
                self.primary().try_order(&["CONFIG", "SET", "maxmemory", "0"]);
                "filled"
            }
            5 => match &mut self.ahead {
                Some(ahead) => {
                    *ahead += 200;
                    let ahead = *ahead;
                    self.servers.iter().for_each(|server| server.turn_clock(ahead));
                    "clock turned"
                }
                None => "left alone",
            },
            6 => {
                sleep(Duration::from_secs(2)).await;
                "left alone"
            }
            _ => self.fail_over(pause).await,
        }
    }

    /// Promotes the replica, which may lag, and turns the verifiers to it.
    async fn fail_over(&mut self, pause: Duration) -> &'static str {
        self.other().lose_sight();
        sleep(pause / 4).await;
        let said = if self.plan.waits {
            // Half of the verifiers stay with the old primary for a while.
            self.other().promote();
            self.addresses[0].turn_to(&self.servers[1 - self.primary]);
            sleep(pause).await;
            "split"
        } else {
            self.servers[self.primary].pause();
            self.servers[1 - self.primary].promote();
            "failed over"
        };
        for address in &self.addresses {
            address.turn_to(&self.servers[1 - self.primary]);
        }
        self.servers[self.primary].resume();
        self.primary = 1 - self.primary;
        self.length = 0;
        said
    }

    /// The other server is a replica again, as whoever watches over them sees to.
    fn tidy(&mut self) {
        self.other().follow(self.primary());
        self.length = self.primary().log_length();
    }
}

async fn drill(plan: Plan) {
    let mut world = World::new(plan).await;
    let policy = Policy::default();
    let mut verifiers = Vec::new();
    for place in 0..plan.verifiers {
        verifiers.push(world.verifier(place, &policy).await);
    }
    let mut random = Random::new(plan.seed);
    let ledger = Mutex::default();
    let load = Arc::new(Load { verifiers, next: AtomicU64::new(0), stopped: AtomicBool::new(false), ledger });
    let mut presenters = JoinSet::new();
    for number in 0..PRESENTERS {
        presenters.spawn(Arc::clone(&load).keep_presenting(Random::new(plan.seed ^ (number + 1) << 32)));
    }
    let (begun, mut faults) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(plan.seconds) {
        faults.push(world.disturb(&mut random).await);
        sleep(Duration::from_millis(100 + random.number(300))).await;
        world.tidy();
        sleep(Duration::from_millis(100 + random.number(300))).await;
    }
    load.stopped.store(true, Ordering::Relaxed);
    presenters.join_all().await;
    load.report(plan, &faults);
    // All of them serve again.
    for (store, _) in &load.verifiers {
        until_answered(store).await;
    }
}
