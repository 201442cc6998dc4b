//! The replay store in Redis: commands out, replies in. What sends them is the host's.

use std::sync::{Mutex, PoisonError};

use keybound::json::Value;
use keybound::replay::redis::{self, Exchange, Fault, Next, RedisReplay as Core, Reply};
use keybound::replay::{Inserted, ReplayEntry};
use keybound::{Crypto, Spelling, UnixTime};

use crate::error::{Error, Own};
use crate::plain::{Options, byte_string, bytes};
use crate::replay::Entry;
use crate::verify::{OPTIONS, policy};

/// How hosts drive a store, as JSON: at most `batch` entries at a time, `under_way` batches at once and `queue` entries that wait; a time-out of
/// `answer_ms` for an entry and for a pipeline's replies, of `connect_ms` for a connection, and of `opening_turns` answers for an opening as a whole; and how often one exchange follows a
/// namespace that moved within a cluster, `hops`.
pub fn redis_limits() -> String {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Value::object()
        .with("batch", count(redis::MAX_BATCH))
        .with("queue", count(redis::QUEUE))
        .with("under_way", count(redis::UNDER_WAY))
        .with("answer_ms", u64::from(redis::ANSWER_MS))
        .with("connect_ms", u64::from(redis::CONNECT_MS))
        .with("opening_turns", count(redis::OPENING_TURNS))
        .with("hops", count(redis::HOPS))
        .to_json()
}

/// Whether commands to this host have to be encrypted: to all but loopback, unless the program says otherwise.
pub fn redis_needs_tls(host: &str) -> bool {
    redis::needs_tls(host)
}

/// The store of one namespace, as one verifier sees it.
#[derive(Debug)]
pub struct RedisReplay(Core);

/// Entries to be inserted together.
#[derive(Debug, Default)]
pub struct Entries(Mutex<Vec<ReplayEntry>>);

/// What comes next: commands to send, or what all came to.
#[derive(Debug)]
pub struct RedisTurn {
    exchange: Mutex<Option<Exchange>>,
    commands: Option<String>,
    outcome: Option<Outcome>,
}

/// What all came to.
#[derive(Debug)]
struct Outcome {
    answers: Vec<Value>,
    fault: Option<Fault>,
}

impl RedisReplay {
    /// The store of `namespace` (1 to 32 characters of `a-z 0-9 . _ -`) for verifiers with these options. There may be besides:
    /// `clocks_within` (seconds), `wait_for_replicas` (how many), `replicas_within_ms`, `danger_accept_split_brain` and
    /// `danger_ignore_server_clock`.
    ///
    /// # Errors
    /// Misuse, if namespace or options cannot be used; the host's, if there is no randomness.
    pub fn new(namespace: &str, options: &str, crypto: &Crypto) -> Result<Self, Error> {
        let own = [
            "clocks_within",
            "wait_for_replicas",
            "replicas_within_ms",
            "danger_accept_split_brain",
            "danger_ignore_server_clock",
        ];
        let options = Options::parse(options, &[OPTIONS, &own].concat())?;
        let policy = policy(&options)?;
        let mut core = Core::for_policy(namespace, &policy, crypto)?;
        if let Some(seconds) = options.number("clocks_within")? {
            core = core.clocks_within(seconds)?;
        }
        let small = |name| {
            let number = options.number(name)?.map(u32::try_from).transpose();
            number.map_err(|_| Error::own(Own::WrongType, ["`", name, "` has to be below 2^32"].concat()))
        };
        if let Some(count) = small("wait_for_replicas")? {
            core = core.wait_for_replicas(count, small("replicas_within_ms")?.unwrap_or(redis::REPLICAS_MS));
        }
        if options.flag("danger_accept_split_brain")? {
            core = core.danger_accept_split_brain();
        }
        if options.flag("danger_ignore_server_clock")? {
            core = core.danger_ignore_server_clock();
        }
        Ok(Self(core))
    }

    /// Whether verifiers with these options can use this store: for servers that are built and verifiers that are made, before there is any proof.
    ///
    /// # Errors
    /// Misuse of the reason `store_disagreement`, if the store is opened with another policy and would refuse every proof; of another, if
    /// the options cannot be used.
    pub fn check_policy(&self, options: &str, crypto: &Crypto) -> Result<(), Error> {
        let policy = policy(&Options::parse(options, OPTIONS)?)?;
        Ok(policy.replay_agreement(crypto.digest).check_store(Some(self.0.agreement()))?)
    }

    /// Finds or founds the server's life. Its outcome has no answers.
    pub fn open(&self, now: i64) -> RedisTurn {
        RedisTurn::of(Next::Exchange(self.0.open(UnixTime::from_secs(now))))
    }

    /// Inserts entries, 1 to 256. It opens by itself where that is due.
    pub fn batch(&self, entries: &Entries, now: i64) -> RedisTurn {
        let entries = entries.0.lock().unwrap_or_else(PoisonError::into_inner);
        RedisTurn::of(self.0.batch(&entries, UnixTime::from_secs(now)))
    }

    /// Whether this store's policy is that of the verifier that the entry is from; if not, it is always answered `unavailable`.
    pub fn serves(&self, entry: &Entry) -> bool {
        self.0.serves(&entry.core)
    }

    /// What every key of this namespace begins with: a client for clusters finds the node by it.
    pub fn prefix(&self) -> String {
        byte_string(self.0.prefix())
    }

    /// The store's life as far as it is known, a number below 2^64 as text.
    pub fn epoch(&self) -> String {
        self.0.epoch().to_u64().to_string()
    }

    /// Whether a host with a task of its own should open now.
    pub fn check_is_due(&self, now: i64) -> bool {
        self.0.check_is_due(UnixTime::from_secs(now))
    }

    /// What is known of the server, as JSON: `epoch` and `floor` while it can be used, the last `fault`, `lives`.
    pub fn status(&self, spelling: Spelling) -> String {
        let status = self.0.status();
        let (epoch, floor) = status.life.map(|(epoch, floor)| (epoch.to_u64().to_string(), floor.secs())).unzip();
        Value::object()
            .with_some("epoch", epoch)
            .with_some("floor", floor)
            .with_some("fault", status.fault.as_ref().map(|fault| shown(fault, spelling)))
            .with("lives", status.lives)
            .to_json()
    }
}

impl Entries {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn add(&self, entry: &Entry) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry.core);
    }
}

impl RedisTurn {
    fn of(next: Next) -> Self {
        match next {
            Next::Exchange(exchange) => {
                let command = |arguments: &[Vec<u8>]| {
                    Value::from(arguments.iter().map(|argument| byte_string(argument).into()).collect::<Vec<Value>>())
                };
                let commands: Vec<_> = exchange.commands().iter().map(|sent| command(sent.arguments())).collect();
                let commands = Some(Value::from(commands).to_json());
                Self { exchange: Mutex::new(Some(exchange)), commands, outcome: None }
            }
            Next::Answers(answers) => Self::done(&answers, None),
            Next::Fault { fault, answers } => Self::done(&answers, Some(&fault)),
        }
    }

    fn done(answers: &[Inserted], fault: Option<&Fault>) -> Self {
        let answers = answers.iter().map(|answer| {
            let epoch = answer.epoch.to_u64().to_string();
            Value::object().with("insertion", answer.insertion.name()).with("epoch", epoch)
        });
        let outcome = Outcome { answers: answers.collect(), fault: fault.cloned() };
        Self { exchange: Mutex::default(), commands: None, outcome: Some(outcome) }
    }

    /// What to send, in one pipeline over one connection and never twice: a JSON array of arrays of byte strings. None, if all is done.
    pub fn commands(&self) -> Option<String> {
        self.commands.clone()
    }

    /// What all came to, as JSON: `answers` in the order of the entries, each with `insertion` and `epoch`, and `fault` with `name`,
    /// `message`, `is_configuration` and, for `moved`, `address`. None, if there are commands.
    pub fn outcome(&self, spelling: Spelling) -> Option<String> {
        let Outcome { answers, fault } = self.outcome.as_ref()?;
        let fault = fault.as_ref().map(|fault| shown(fault, spelling));
        Some(Value::object().with("answers", answers.clone()).with_some("fault", fault).to_json())
    }

    /// Goes on with the replies, one for each command, as byte strings: `+` and a text, `:` and an integer, `-` and an error, `_` for null;
    /// anything else for a reply that is none of these or did not come.
    ///
    /// # Errors
    /// Misuse, if this turn was resumed before.
    pub fn resume(&self, replies: &[String], now: i64) -> Result<Self, Error> {
        let replies = replies.iter().map(|reply| read(reply)).collect();
        Ok(Self::of(self.take()?.resume(replies, UnixTime::from_secs(now))))
    }

    /// Goes on without replies: the time was up, or the connection broke. Nothing is accepted.
    ///
    /// # Errors
    /// Misuse, if this turn was resumed before.
    pub fn lost(&self) -> Result<Self, Error> {
        Ok(Self::done(&self.take()?.lost(), Some(&Fault::Lost)))
    }

    fn take(&self) -> Result<Exchange, Error> {
        let exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take();
        let again = "a turn is resumed once; its outcome or its commands are in the turn that came of it";
        exchange.ok_or_else(|| Error::own(Own::ResumedTwice, again))
    }
}

fn read(reply: &str) -> Reply {
    let mut rest = reply.chars();
    let (kind, rest) = (rest.next(), rest.as_str());
    match (kind, bytes(rest)) {
        (Some('+'), Ok(text)) => Reply::Text(text),
        (Some('-'), Ok(text)) => Reply::Error(text),
        (Some('_'), _) => Reply::Nil,
        (Some(':'), _) => rest.parse().map_or(Reply::Missing, Reply::Integer),
        _ => Reply::Missing,
    }
}

fn shown(fault: &Fault, spelling: Spelling) -> Value {
    let address = match fault {
        Fault::Moved { address } => Some(address.as_str()),
        _ => None,
    };
    Value::object()
        .with("name", fault.name())
        .with("message", spelling.spelled(&fault.to_string()))
        .with("is_configuration", fault.is_configuration())
        .with_some("address", address)
}
