//! The inserts, the reads that vouch for them, the verdicts.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::command::{Command, Reply};
use super::fault::Fault;
use super::info::{Identity, ReplicationSection, ServerSection};
use super::life::OpenLife;
use super::open::{GETEX, LIFE_KEPT, Purpose};
use super::{Exchange, Next, RedisReplay, Stage, life};
use crate::replay::{Insertion, ReplayEntry};
use crate::time::UnixTime;

pub(super) const SET: &str = "SET";
pub(super) const WAIT: &str = "WAIT";
/// Longer than any policy makes an entry live, in seconds.
const MAX_LIFETIME: u64 = 86_400;
/// The life, INFO in one command or two, and what replicas acknowledged before and after the first of them.
const READS: usize = 5;

/// A batch whose inserts were sent.
pub(super) struct Inserting {
    /// The life that was open by then.
    pub(super) life: Arc<OpenLife>,
    /// What was answered without asking; none for entries that were sent.
    pub(super) settled: Vec<Option<Insertion>>,
}

/// What a reply to `SET … NX` says.
enum Set {
    /// It was not there, and now is.
    Stored,
    Answered(Insertion),
    Failed(Fault),
}

impl Set {
    fn of(reply: &Reply) -> Self {
        match reply {
            reply if reply.is_ok() => Self::Stored,
            Reply::Nil => Self::Answered(Insertion::Seen),
            other => match Fault::of_reply(other, SET) {
                Fault::Full => Self::Answered(Insertion::Full),
                fault => Self::Failed(fault),
            },
        }
    }
}

impl RedisReplay {
    /// Sends entries to a server in this life.
    pub(super) fn insert(&self, life: Arc<OpenLife>, entries: &[ReplayEntry], now: UnixTime) -> Next {
        let settled: Vec<_> = entries.iter().map(|entry| self.answered_without(&life, entry, now)).collect();
        let sent = entries.iter().zip(&settled).filter(|(_, settled)| settled.is_none()).map(|(entry, _)| entry);
        let prefix = self.settings.prefix.as_slice();
        let mut commands = Vec::with_capacity(entries.len().saturating_add(READS + 1));
        for entry in sent {
            let key = [prefix, entry.key().as_bytes()].concat();
            let lifetime = format!("{}", entry.lifetime(now).saturating_mul(1000));
            commands.push(Command::new(&[SET.as_bytes(), &key, b"1", b"NX", b"PX", lifetime.as_bytes()]));
        }
        if commands.is_empty() {
            // Nothing was sent, so nothing stands for what was sent.
            return Next::Answers(self.answers(&settled, Insertion::Unavailable));
        }
        // The order is the proof: what is read after the inserts says which life they were in. GETEX counts as a write, so that a replica
        // does not answer it, where a client sends reads to replicas.
        let key = life::key(prefix, &life.identity);
        match self.settings.quorum {
            // WAIT vouches for what its own connection has written, on a new connection for nothing. A client that reconnects in the
            // middle and sends the rest again does that at one place: one of the two is then behind a write of the same connection.
            Some((count, milliseconds)) => {
                let (count, milliseconds) = (format!("{count}"), format!("{milliseconds}"));
                let wait = Command::new(&[WAIT.as_bytes(), count.as_bytes(), milliseconds.as_bytes()]);
                commands.push(wait.clone());
                commands.push(Command::new(&[GETEX.as_bytes(), &key, b"PX", LIFE_KEPT]));
                commands.push(wait);
            }
            None => commands.push(Command::new(&[GETEX.as_bytes(), &key])),
        }
        commands.extend(life.sections.asked(&["server", "replication"]));
        Next::Exchange(Exchange { redis: self.clone(), commands, stage: Stage::Insert(Inserting { life, settled }) })
    }

    /// The answer to an entry that the server need not be asked about.
    fn answered_without(&self, open: &OpenLife, entry: &ReplayEntry, now: UnixTime) -> Option<Insertion> {
        if !self.serves(entry) || entry.lifetime(now) > MAX_LIFETIME {
            return Some(Insertion::Unavailable);
        }
        (!open.life.vouching().vouches_for(entry)).then_some(Insertion::BeforeFloor)
    }

    /// Takes the replies to the inserts and to the reads after them.
    pub(super) fn inserted(&self, replies: &[Reply], inserting: Inserting, now: UnixTime) -> Next {
        let Inserting { life, mut settled } = inserting;
        let mut replies = replies.iter();
        let mut fault = None;
        // What was stored stays without an answer until it is known in which life.
        for answer in settled.iter_mut().filter(|answer| answer.is_none()) {
            match Set::of(replies.next().unwrap_or(&Reply::Missing)) {
                Set::Stored => {}
                Set::Answered(insertion) => *answer = Some(insertion),
                Set::Failed(defect) => {
                    *answer = Some(Insertion::Unavailable);
                    fault = fault.or(Some(defect));
                }
            }
        }
        let reads = match (self.settings.quorum, replies.as_slice()) {
            (Some((needed, _)), [before, life, after, reads @ ..]) => {
                fault = fault.or(not_acknowledged(before, needed)).or(not_acknowledged(after, needed));
                (life, reads)
            }
            (None, [life, reads @ ..]) => (life, reads),
            _ => (&Reply::Missing, &[][..]),
        };
        match (fault, self.is_within(&life, reads, now)) {
            (None, Ok(true)) => Next::Answers(self.answers(&settled, Insertion::Fresh)),
            // Until the next life is open the old one stays: each batch finds out by itself, and is answered with a challenge.
            (None, Ok(false)) => Next::Exchange(self.inspect(Purpose::Answer(settled))),
            (Some(fault), _) | (None, Err(fault)) => {
                self.close(fault.clone(), Some(&life));
                Next::Fault { fault, answers: self.answers(&settled, Insertion::Unavailable) }
            }
        }
    }

    /// Whether the life and the sections after it are those of `open`: the inserts before them happened within it.
    fn is_within(&self, open: &OpenLife, (text, sections): (&Reply, &[Reply]), now: UnixTime) -> Result<bool, Fault> {
        let is_same_text = match text {
            Reply::Text(text) => *text == open.text,
            Reply::Nil => false,
            other => return Err(Fault::of_reply(other, GETEX)),
        };
        let [server, replication] = open.sections.read(sections)?;
        let server = ServerSection::read(server)?;
        let replication = ReplicationSection::read(replication)?.replication;
        let is_same_server = Identity { run: server.run, replication } == open.identity;
        let apart = self.apart(self.offset(&server, now), &open.life);
        Ok(is_same_text && is_same_server && apart == 0)
    }
}

/// What is wrong with the reply to a `WAIT` for so many replicas.
fn not_acknowledged(reply: &Reply, needed: u32) -> Option<Fault> {
    match reply {
        Reply::Integer(count) if *count >= i64::from(needed) => None,
        Reply::Integer(count) => Some(Fault::NotAcknowledged { needed, found: *count }),
        other => Some(Fault::of_reply(other, WAIT)),
    }
}
