//! A verifier: the real state machine, rebuilt from what happened to it.
//!
//! Clones of [`RedisReplay`] share their state, and a model needs many futures of one past. So a verifier is its history, and where a new
//! one begins the machine is made anew and led through all of it. Verifiers with equal histories are equal, whatever the machine holds.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use keybound::crypto::rustcrypto::with_random;
use keybound::crypto::{Crypto, RandomUnavailable, SecureRandom};
use keybound::replay::redis::{Exchange, Next, RedisReplay};
use keybound::replay::{Inserted, ReplayAgreement, ReplayEntry, ReplayEntryParts, ReplayKey, StoreEpoch};
use keybound::{Policy, Thumbprint, UnixTime};

use crate::server::{Answer, START};

/// One proof as verifiers see it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Proof {
    pub number: u8,
    /// When it was made, by the client.
    pub iat: i64,
    /// The epoch in its nonce.
    pub nonce: Option<u64>,
}

/// What happened to a verifier, by its own clock.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    Open,
    Batch(Vec<Proof>),
    Replies(Vec<Answer>),
    Lost,
}

/// Everything that happened to a verifier.
#[derive(Clone)]
pub struct History(Arc<Moment>);

/// The last thing that happened, and what came of it.
struct Moment {
    before: Option<History>,
    now: i64,
    lane: usize,
    event: Option<Event>,
    /// Of all that happened.
    digest: u64,
    outcome: Outcome,
    epoch: u64,
    /// The machine as it is then, for the next moment; unless it is remembered what comes next.
    live: Mutex<Option<Live>>,
}

/// What is known already: equal pasts are led through the machine once. None where few come again, as in random walks.
pub type Memory = Option<Arc<Mutex<HashMap<u64, History>>>>;

impl History {
    /// That of a new verifier.
    pub fn new(number: u64, settings: Settings) -> Self {
        let mut hasher = DefaultHasher::new();
        (number, settings).hash(&mut hasher);
        let epoch = Live::new(number, settings, 0).redis.epoch().to_u64();
        let (before, event, outcome) = (None, None, Outcome::Answers(Vec::new()));
        Self(Arc::new(Moment {
            before,
            now: 0,
            lane: 0,
            event,
            digest: hasher.finish(),
            outcome,
            epoch,
            live: Mutex::default(),
        }))
    }

    /// This and what happens next. `number`, `settings` and `lanes` are always the same for one verifier.
    pub fn then(
        &self,
        memory: &Memory,
        (number, settings, lanes): (u64, Settings, usize),
        now: i64,
        lane: usize,
        event: Event,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.0.digest, now, lane, &event).hash(&mut hasher);
        let digest = hasher.finish();
        if let Some(known) = memory.as_ref().and_then(|memory| memory.lock().unwrap().get(&digest).cloned()) {
            return known;
        }
        let mut live = self.0.live.lock().unwrap().take().unwrap_or_else(|| {
            let mut live = Live::new(number, settings, lanes);
            live.repeat(self);
            live
        });
        let outcome = live.take(now, lane, &event);
        let epoch = live.redis.epoch().to_u64();
        let before = Some(self.clone());
        let live = Mutex::new(memory.is_none().then_some(live));
        let history = Self(Arc::new(Moment { before, now, lane, event: Some(event), digest, outcome, epoch, live }));
        if let Some(memory) = memory {
            memory.lock().unwrap().insert(digest, history.clone());
        }
        history
    }

    pub fn outcome(&self) -> &Outcome {
        &self.0.outcome
    }

    /// The epoch of the verifier's nonces.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for History {}

impl Hash for History {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(before) = &self.0.before {
            before.fmt(f)?;
        }
        writeln!(f, "at {} in lane {}: {:?}", self.0.now, self.0.lane, self.0.event)
    }
}

/// How verifiers are made.
#[derive(Clone, Copy, Hash, Debug)]
pub struct Settings {
    pub clocks_within: u64,
    /// Whether one replica is waited for; otherwise split brains are accepted.
    pub waits: bool,
    /// Whether all verifiers draw the same numbers.
    pub draws_the_same: bool,
}

/// Commands of one pipeline, each as its words.
pub type Commands = Arc<Vec<Vec<Vec<u8>>>>;

/// Where an exchange has come to.
pub enum Outcome {
    /// Commands to send.
    Commands(Commands),
    /// Answers, none if nothing was asked.
    Answers(Vec<Inserted>),
}

/// The machine, and its exchanges under way.
struct Live {
    redis: RedisReplay,
    exchanges: Vec<Option<Exchange>>,
    agreement: ReplayAgreement,
    seed: u64,
    drawn: u64,
}

impl Live {
    fn new(number: u64, settings: Settings, lanes: usize) -> Self {
        let seed = if settings.draws_the_same { 0 } else { number + 1 };
        DRAWS.set((seed, 0));
        let policy = policy();
        let redis =
            RedisReplay::for_policy("m", &policy, &CRYPTO).unwrap().clocks_within(settings.clocks_within).unwrap();
        let redis = if settings.waits { redis.wait_for_replicas(1, 100) } else { redis.danger_accept_split_brain() };
        let agreement = policy.replay_agreement(CRYPTO.digest);
        let exchanges = (0..lanes).map(|_| None).collect();
        Self { redis, exchanges, agreement, seed, drawn: DRAWS.get().1 }
    }

    /// Lets everything happen that has happened before.
    fn repeat(&mut self, history: &History) {
        let mut moments = Vec::new();
        let mut next = Some(history);
        while let Some(History(moment)) = next {
            moments.push(moment);
            next = moment.before.as_ref();
        }
        for moment in moments.iter().rev() {
            if let Some(event) = &moment.event {
                let _ = self.take(moment.now, moment.lane, event);
            }
        }
    }

    /// Lets something happen.
    fn take(&mut self, now: i64, lane: usize, event: &Event) -> Outcome {
        DRAWS.set((self.seed, self.drawn));
        let now = at(now);
        let next = match event {
            Event::Open => Next::Exchange(self.redis.open(now)),
            Event::Batch(proofs) => {
                let entries: Vec<_> = proofs.iter().map(|proof| self.entry(proof)).collect();
                self.redis.batch(&entries, now)
            }
            Event::Replies(answers) => {
                let replies = answers.iter().map(Answer::to_reply).collect();
                self.exchanges[lane].take().unwrap().resume(replies, now)
            }
            Event::Lost => Next::Answers(self.exchanges[lane].take().unwrap().lost()),
        };
        self.drawn = DRAWS.get().1;
        match next {
            Next::Exchange(exchange) => {
                let commands = exchange.commands().iter().map(|command| command.arguments().to_vec()).collect();
                self.exchanges[lane] = Some(exchange);
                Outcome::Commands(Arc::new(commands))
            }
            Next::Answers(answers) | Next::Fault { answers, .. } => Outcome::Answers(answers),
        }
    }

    fn entry(&self, proof: &Proof) -> ReplayEntry {
        let policy = policy();
        ReplayEntry::from_parts(ReplayEntryParts {
            key: ReplayKey::from_bytes([b'A' + proof.number; 16]),
            thumbprint: Thumbprint::from_bytes([1; 32]),
            timed_at: at(proof.iat),
            max_ahead: policy.max_ahead(),
            expires_at: at(expires_at(proof)),
            store_margin: policy.store_margin(),
            nonce_epoch: proof.nonce.map(StoreEpoch::from_u64),
            agreement: self.agreement,
        })
    }
}

/// Proofs are good for 60 s, may be 10 s ahead, and are kept for 60 s more.
fn policy() -> Policy {
    Policy::default()
}

/// The last second in which a proof is accepted, by the clock of who accepts it.
pub fn expires_at(proof: &Proof) -> i64 {
    proof.iat + i64::try_from(policy().max_age()).unwrap()
}

/// Whether a verifier asks its store about a proof at all at `now`, and whether it accepts it with the answer of the store.
pub fn is_timely(proof: &Proof, now: i64) -> bool {
    proof.iat <= now + i64::try_from(policy().max_ahead()).unwrap() && now <= expires_at(proof)
}

fn at(time: i64) -> UnixTime {
    UnixTime::from_secs(START + time)
}

static CRYPTO: Crypto = with_random(&Draws);

thread_local! {
    /// The seed and how many numbers were drawn from it.
    static DRAWS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Numbers that differ from draw to draw and from verifier to verifier, and are the same when a history is repeated.
struct Draws;

impl SecureRandom for Draws {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        let (seed, drawn) = DRAWS.get();
        DRAWS.set((seed, drawn + 1));
        out.fill(0);
        let number = if seed == 0 { 7 } else { (seed << 32) + drawn + 1 };
        out.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        Ok(())
    }
}
