//! Finding or founding the life.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::batch::SET;
use super::command::{Command, Reply};
use super::fault::Fault;
use super::info::{Identity, ReplicationSection, Sections, ServerSection, check_memory, check_persistence, evicted};
use super::life::{self, Life, OpenLife};
use super::{Exchange, Next, RedisReplay, Stage};
use crate::replay::{Inserted, Insertion, ReplayEntry, StoreEpoch};
use crate::time::UnixTime;

pub(super) const GET: &str = "GET";
pub(super) const GETEX: &str = "GETEX";
/// What is read of a server before it is used.
const INSPECTED: [&str; 5] = ["server", "replication", "memory", "persistence", "stats"];
/// How long a life is kept without a verifier: 24 h, in milliseconds.
pub(super) const LIFE_KEPT: &[u8] = b"86400000";
/// How long the word of a verifier counts whose clock agrees with the life, in seconds: for others of this life, and for newcomers.
const VOUCHED_FOR: u64 = 20;
const VOUCHED_FOR_NEWCOMERS: u64 = 900;
/// How long it is kept: as long as it counts, in milliseconds.
const VOUCH_KEPT: &[u8] = b"900000";
/// How old a life is before a verifier whose clock does not agree with it may end it, in seconds. Younger ones tell of proofs that were
/// accepted just before.
const RIPE: u64 = 60;
/// How long a verifier remembers the clock of a founder: as long as a proof can count that was accepted by then, in seconds.
const REMEMBERED: u64 = 1_000;
/// How often the life may change while it is being opened.
const TRIES: u32 = 3;

/// What a life is opened for.
pub(super) enum Purpose {
    /// For what comes later.
    Open,
    /// For these entries.
    Batch(Vec<ReplayEntry>),
    /// To answer a batch that met another life than was known: what was stored meanwhile has no answer yet.
    Answer(Vec<Option<Insertion>>),
}

/// A look at a server.
pub(super) struct Inspecting {
    pub(super) purpose: Purpose,
    pub(super) sections: Sections,
    /// How often its life changed meanwhile.
    pub(super) tries: u32,
}

/// What is known of a server whose life is asked for.
pub(super) struct Claiming {
    pub(super) purpose: Purpose,
    server: Server,
    tries: u32,
    /// Whether the first command sets the life.
    sets: bool,
    /// Whether it replaces another: whatever stands there then counts.
    replaces: bool,
}

/// What a server said of itself.
#[derive(Clone, Copy)]
struct Server {
    identity: Identity,
    sections: Sections,
    /// Its clock less this machine's.
    offset: i64,
    evicted: u64,
}

impl Server {
    /// Its clock.
    const fn time(&self, now: UnixTime) -> i64 {
        now.secs().saturating_add(self.offset)
    }
}

/// What a server holds.
enum Found {
    Usable(Life),
    /// It is over. The next one has at least this floor.
    Over(UnixTime),
    Nothing,
}

/// The look at a server.
pub(super) fn inspection(sections: Sections) -> Vec<Command> {
    sections.asked(&INSPECTED)
}

impl RedisReplay {
    /// The server's clock less this machine's, in seconds.
    pub(super) fn offset(&self, server: &ServerSection, now: UnixTime) -> i64 {
        if self.settings.ignores_server_clock { 0 } else { server.time.secs().saturating_sub(now.secs()) }
    }

    /// By how many seconds the clocks of a life's verifiers are ahead of this machine's, if that is more than they may be; else 0.
    pub(super) fn apart(&self, offset: i64, life: &Life) -> i64 {
        let apart = offset.saturating_sub(life.offset);
        let is_within = self.settings.ignores_server_clock || apart.unsigned_abs() <= self.settings.clocks_within;
        if is_within { 0 } else { apart }
    }

    /// By how many seconds other verifiers' clocks are ahead of this machine's, if they were more than they may be a moment ago.
    fn apart_by(&self, now: UnixTime) -> Option<i64> {
        self.known().ahead(now, RIPE).filter(|ahead| ahead.unsigned_abs() > self.settings.clocks_within)
    }

    /// Takes what a server says of itself, and asks for its life.
    pub(super) fn inspected(&self, replies: &[Reply], inspecting: Inspecting, now: UnixTime) -> Next {
        let Inspecting { purpose, sections, tries } = inspecting;
        let server = match self.server(replies, sections, now) {
            Ok(server) => server,
            Err(fault) if sections.are_too_many(&fault) => {
                let inspecting = Inspecting { purpose, sections: Sections::Apart, tries };
                return Next::Exchange(Exchange::inspect(self.clone(), inspecting));
            }
            Err(fault) => return self.refused(fault, purpose),
        };
        // If the founder of the last life had a clock ahead of this one, that counts: within that life proofs were accepted which this
        // verifier takes for future ones, by those ahead of the founder too.
        let ahead = self.known().ahead(now, REMEMBERED).and_then(|ahead| u64::try_from(ahead).ok());
        let founded = match self.begun(&server, now.saturating_add(ahead.unwrap_or(0))) {
            Ok(founded) => founded,
            Err(fault) => return self.refused(fault, purpose),
        };
        let prefix = self.settings.prefix.as_slice();
        let key = life::key(prefix, &server.identity);
        let mut commands = Vec::with_capacity(4);
        // A verifier whose clock was wrong a moment ago does not set a floor for others.
        let sets = self.apart_by(now).is_none();
        if sets {
            commands.push(set_life(&key, &founded, "NX"));
        }
        commands.extend(self.reads(&key));
        let known = self.known().life.clone();
        let is_agreeing =
            |open: &OpenLife| open.identity == server.identity && self.apart(server.offset, &open.life) == 0;
        // Not in a round trip of its own: a life that was just found is vouched for at the next look, before it is old enough to be ended.
        if let Some(open) = known.filter(|open| is_agreeing(open)) {
            commands.push(self.heartbeat(open.life.epoch, &server, now));
        }
        let claiming = Claiming { purpose, server, tries, sets, replaces: false };
        Next::Exchange(Exchange { redis: self.clone(), commands, stage: Stage::Claim(claiming) })
    }

    fn server(&self, replies: &[Reply], sections: Sections, now: UnixTime) -> Result<Server, Fault> {
        let [server, replication, memory, persistence, stats] = sections.read(replies)?;
        let server = ServerSection::read(server)?;
        server.check_version()?;
        check_persistence(persistence)?;
        let replication = ReplicationSection::read(replication)?;
        check_memory(memory)?;
        self.check_replicas(&server, &replication)?;
        let identity = Identity { run: server.run, replication: replication.replication };
        Ok(Server { identity, sections, offset: self.offset(&server, now), evicted: evicted(stats)? })
    }

    /// Where a failover is possible, a majority of the replicas must be waited for.
    fn check_replicas(&self, server: &ServerSection, replication: &ReplicationSection) -> Result<(), Fault> {
        if self.settings.accepts_split_brain || (replication.replicas == 0 && !server.is_clustered) {
            return Ok(());
        }
        let needed = replication.replicas.div_euclid(2).saturating_add(1);
        match self.settings.quorum {
            Some((count, _)) if count >= needed => Ok(()),
            _ => Err(Fault::NeedsReplicas { needed }),
        }
    }

    /// A life that begins now, for verifiers whose clocks are not later than `clock` by more than they may be.
    fn begun(&self, server: &Server, clock: UnixTime) -> Result<Life, Fault> {
        Ok(Life {
            agreement: self.settings.agreement,
            epoch: self.draw_epoch()?,
            floor: clock.saturating_add(self.settings.clocks_within),
            offset: server.offset,
            evicted: server.evicted,
        })
    }

    fn reads(&self, key: &[u8]) -> [Command; 2] {
        let vouched = life::vouched_key(&self.settings.prefix);
        let asked = [GETEX.as_bytes(), key, b"PX", LIFE_KEPT];
        [Command::new(&asked), Command::new(&[GET.as_bytes(), &vouched])]
    }

    /// Says that this verifier's clock agrees with a life, and when by the server's clock.
    fn heartbeat(&self, epoch: StoreEpoch, server: &Server, now: UnixTime) -> Command {
        let key = life::vouched_key(&self.settings.prefix);
        let text = format!("{} {}", life::epoch_text(epoch), server.time(now));
        Command::new(&[SET.as_bytes(), &key, text.as_bytes(), b"PX", VOUCH_KEPT])
    }

    /// Takes what a server says of its life.
    pub(super) fn claimed(&self, replies: &[Reply], claiming: Claiming, now: UnixTime) -> Next {
        match self.found(replies, &claiming, now) {
            Ok(Found::Usable(life)) => self.take(life, claiming, now),
            Ok(_) if claiming.tries >= TRIES => self.refused(Fault::Unsteady, claiming.purpose),
            Ok(Found::Over(least)) => self.replace(claiming, least, now),
            // It was there and is gone, or is another server's: look again.
            Ok(Found::Nothing) => {
                let Claiming { purpose, server, tries, .. } = claiming;
                let inspecting = Inspecting { purpose, sections: server.sections, tries: tries.saturating_add(1) };
                Next::Exchange(Exchange::inspect(self.clone(), inspecting))
            }
            Err(fault) => self.refused(fault, claiming.purpose),
        }
    }

    fn found(&self, replies: &[Reply], claiming: &Claiming, now: UnixTime) -> Result<Found, Fault> {
        let (set, reads) = match replies {
            [set, reads @ ..] if claiming.sets => (Some(set), reads),
            reads => (None, reads),
        };
        let [life, vouched, ..] = reads else { return Err(Fault::Malformed) };
        let is_full = match set {
            None | Some(Reply::Nil) => false,
            Some(reply) if reply.is_ok() => false,
            Some(reply) => match Fault::of_reply(reply, SET) {
                Fault::Full => true,
                fault => return Err(fault),
            },
        };
        // What verifiers say of their clocks can be missing, and must not be kept from this one.
        if let Reply::Error(_) = vouched {
            return Err(Fault::of_reply(vouched, GET));
        }
        let life = match life {
            Reply::Text(text) => Life::read(text, self.settings.agreement)?,
            Reply::Nil if is_full => return Err(Fault::Full),
            Reply::Nil => {
                let apart = if claiming.sets { None } else { self.apart_by(now) };
                return apart.map_or(Ok(Found::Nothing), |seconds| Err(Fault::ClockApart { seconds }));
            }
            other => return Err(Fault::of_reply(other, GETEX)),
        };
        if life.evicted != claiming.server.evicted || self.known().ended == Some(life.epoch) {
            return Ok(Found::Over(life.floor));
        }
        let apart = self.apart(claiming.server.offset, &life);
        if apart == 0 {
            return Ok(Found::Usable(life));
        }
        self.known().ahead = Some((apart, now));
        if !claiming.replaces && self.may_end(&life, vouched, &claiming.server, now) {
            return Ok(Found::Over(life.floor));
        }
        Err(Fault::ClockApart { seconds: apart })
    }

    /// Whether a verifier whose clock does not agree with a life may end it: not while it is young, and not while another one's clock agrees,
    /// as long as the server's does not step. Where the server's clock agrees with this one's and not with the founder's, it may.
    fn may_end(&self, life: &Life, vouched: &Reply, server: &Server, now: UnixTime) -> bool {
        let founder = life.floor.saturating_sub(self.settings.clocks_within).secs();
        // By the server's clock. Below zero it was set back.
        let age = server.time(now).saturating_sub(founder.saturating_add(life.offset));
        let is_ripe = age.unsigned_abs() > RIPE;
        let agrees = |offset: i64| offset.unsigned_abs() <= self.settings.clocks_within;
        let is_founder_wrong = agrees(server.offset) && !agrees(life.offset);
        let was_within = {
            let known = self.known();
            known.lives > 0 && known.epoch == life.epoch
        };
        let counts = if was_within { VOUCHED_FOR } else { VOUCHED_FOR_NEWCOMERS };
        is_ripe && (is_founder_wrong || !is_vouched(vouched, life.epoch, server.time(now), counts))
    }

    /// Writes a life down in place of one that is over. Whatever stands there then counts.
    fn replace(&self, claiming: Claiming, least: UnixTime, now: UnixTime) -> Next {
        let Claiming { purpose, server, tries, .. } = claiming;
        // Floors never go back: a proof that the last life could not vouch for, this one cannot either.
        let next = match self.begun(&server, now) {
            Ok(next) => Life { floor: next.floor.max(least), ..next },
            Err(fault) => return self.refused(fault, purpose),
        };
        let key = life::key(&self.settings.prefix, &server.identity);
        let mut commands = alloc::vec![set_life(&key, &next, "XX")];
        commands.extend(self.reads(&key));
        let tries = tries.saturating_add(1);
        let claiming = Claiming { purpose, server, tries, sets: true, replaces: true };
        Next::Exchange(Exchange { redis: self.clone(), commands, stage: Stage::Claim(claiming) })
    }

    /// Takes a life for the present one.
    fn take(&self, life: Life, claiming: Claiming, now: UnixTime) -> Next {
        let Claiming { purpose, server, .. } = claiming;
        let open = Arc::new(OpenLife {
            text: life.to_text().into_bytes(),
            identity: server.identity,
            sections: server.sections,
            life,
        });
        let mut known = self.known();
        if known.lives == 0 || known.epoch != life.epoch {
            known.lives = known.lives.saturating_add(1);
            let last = known.epoch;
            known.hear_of(last);
        }
        known.life = Some(Arc::clone(&open));
        known.epoch = life.epoch;
        known.looked_at = Some(now);
        known.ahead = Some((server.offset.saturating_sub(life.offset), now));
        drop(known);
        match purpose {
            Purpose::Open => Next::Answers(Vec::new()),
            Purpose::Batch(entries) => self.insert(open, &entries, now),
            Purpose::Answer(settled) => Next::Answers(self.answers(&settled, Insertion::BeforeFloor)),
        }
    }

    /// The server cannot be used.
    fn refused(&self, fault: Fault, purpose: Purpose) -> Next {
        self.close(fault.clone(), None);
        Next::Fault { fault, answers: self.failed(purpose) }
    }

    /// The answers where no life could be opened.
    pub(super) fn failed(&self, purpose: Purpose) -> Vec<Inserted> {
        match purpose {
            Purpose::Open => Vec::new(),
            Purpose::Batch(entries) => self.all(Insertion::Unavailable, entries.len()),
            Purpose::Answer(settled) => self.answers(&settled, Insertion::Unavailable),
        }
    }
}

/// Whether some verifier said, within so many seconds by the server's clock, that its own agrees with this life.
fn is_vouched(reply: &Reply, epoch: StoreEpoch, server_time: i64, within: u64) -> bool {
    let text = reply.text().and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default();
    let (of, at) = text.split_once(' ').unwrap_or_default();
    // After a step of the server's clock, what was said before it does not count.
    let is_recent = |at: i64| server_time.abs_diff(at) <= within;
    of == life::epoch_text(epoch) && at.parse().is_ok_and(is_recent)
}

fn set_life(key: &[u8], life: &Life, condition: &str) -> Command {
    let text = life.to_text();
    Command::new(&[SET.as_bytes(), key, text.as_bytes(), condition.as_bytes(), b"PX", LIFE_KEPT])
}
