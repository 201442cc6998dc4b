//! What is asked of INFO and read of it: strict and bounded.

use alloc::vec::Vec;
use core::str::FromStr;

use super::command::{Command, Reply};
use super::fault::Fault;
use crate::UnixTime;

pub(super) const INFO: &str = "INFO";
/// A section is about 2 kB; servers with many replicas or modules have more.
const MAX_TEXT_LEN: usize = 64 * 1024;
/// How long the names are that servers draw for themselves.
pub(super) const NAME_LEN: usize = 40;

/// The name of a run or of a replication history: 40 hexadecimal digits.
pub(super) type Name = [u8; NAME_LEN];

/// What a server calls itself at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) run: Name,
    pub(super) replication: Name,
}

/// How sections are asked for: Redis before 7 takes one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sections {
    /// In one command. It costs the server half as much.
    Together,
    /// Each in a command of its own.
    Apart,
}

impl Sections {
    /// The commands that ask for sections.
    pub(super) fn asked(self, sections: &[&str]) -> Vec<Command> {
        let command = |sections: &[&str]| {
            Command::new(&[&[INFO], sections].concat().into_iter().map(str::as_bytes).collect::<Vec<_>>())
        };
        match self {
            Self::Together => alloc::vec![command(sections)],
            Self::Apart => sections.iter().map(|section| command(&[section])).collect(),
        }
    }

    /// The text in which each of the sections is.
    pub(super) fn read<const COUNT: usize>(self, replies: &[Reply]) -> Result<[&[u8]; COUNT], Fault> {
        let texts = replies.iter().map(|reply| Fault::unless_text(reply, INFO));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        match (self, &*texts) {
            (Self::Together, [all]) => Ok([all; COUNT]),
            (Self::Apart, each) => each.try_into().map_err(|_| Fault::Malformed),
            (Self::Together, _) => Err(Fault::Malformed),
        }
    }

    /// Whether a server that did not answer with these sections may do so if it is asked for one at a time.
    pub(super) fn are_too_many(self, fault: &Fault) -> bool {
        let is_unknown = match fault {
            Fault::Malformed => true,
            Fault::Refuses { code } => code == "ERR",
            _ => false,
        };
        self == Self::Together && is_unknown
    }
}

/// Sections of INFO: lines of `name:value`. No name is in two of those that are asked for.
#[derive(Clone, Copy)]
struct Section<'a>(&'a str);

impl<'a> Section<'a> {
    fn read(text: &'a [u8]) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT_LEN {
            return Err(Fault::Malformed);
        }
        core::str::from_utf8(text).map(Self).map_err(|_| Fault::Malformed)
    }

    /// The value of a field that is there at most once.
    fn optional(self, name: &str) -> Result<Option<&'a str>, Fault> {
        let lines = self.0.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(known, _)| *known == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Fault::Malformed),
        }
    }

    fn text(self, name: &str) -> Result<&'a str, Fault> {
        self.optional(name)?.ok_or(Fault::Malformed)
    }

    fn number<N: FromStr>(self, name: &str) -> Result<N, Fault> {
        self.text(name)?.parse().map_err(|_| Fault::Malformed)
    }

    fn name(self, name: &str) -> Result<Name, Fault> {
        let text = self.text(name)?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        text.as_bytes().try_into().ok().filter(|_| digits).ok_or(Fault::Malformed)
    }
}

/// `INFO server`.
pub(super) struct ServerSection {
    pub(super) run: Name,
    /// The server's clock.
    pub(super) time: UnixTime,
    pub(super) is_clustered: bool,
    version: (u32, u32),
}

impl ServerSection {
    pub(super) fn read(text: &[u8]) -> Result<Self, Fault> {
        let section = Section::read(text)?;
        // Valkey says `server_mode` and states the Redis version that it is compatible with.
        let mode = section.optional("redis_mode")?.or(section.optional("server_mode")?);
        if mode == Some("sentinel") {
            return Err(Fault::Sentinel);
        }
        let version = section.text("redis_version")?;
        let mut numbers = version.split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Err(Fault::Malformed) };
        let microseconds: i64 = section.number("server_time_usec")?;
        Ok(Self {
            run: section.name("run_id")?,
            time: UnixTime::from_secs(microseconds.div_euclid(1_000_000)),
            is_clustered: mode == Some("cluster"),
            version: (major, minor),
        })
    }

    /// Refuses a server that is too old for what is asked of it.
    pub(super) fn check_version(&self) -> Result<(), Fault> {
        if self.version < (6, 2) { Err(Fault::TooOld) } else { Ok(()) }
    }
}

/// `INFO replication`, of a primary.
pub(super) struct ReplicationSection {
    pub(super) replication: Name,
    pub(super) replicas: u32,
}

impl ReplicationSection {
    pub(super) fn read(text: &[u8]) -> Result<Self, Fault> {
        let section = Section::read(text)?;
        match section.text("role")? {
            "master" | "primary" => {}
            _ => return Err(Fault::NotPrimary),
        }
        let replicas = section.optional("connected_slaves")?.or(section.optional("connected_replicas")?);
        let replicas = replicas.and_then(|number| number.parse().ok()).ok_or(Fault::Malformed)?;
        Ok(Self { replication: section.name("master_replid")?, replicas })
    }
}

/// Whether `INFO memory` says that nothing is evicted.
pub(super) fn check_memory(text: &[u8]) -> Result<(), Fault> {
    match Section::read(text)?.optional("maxmemory_policy")? {
        Some("noeviction") => Ok(()),
        Some(policy) => Err(Fault::Evicts { policy: super::fault::shown(policy) }),
        None => Err(Fault::Evicts { policy: "unknown".into() }),
    }
}

/// Whether `INFO persistence` says that everything is loaded.
pub(super) fn check_persistence(text: &[u8]) -> Result<(), Fault> {
    let section = Section::read(text)?;
    let loaded = section.text("loading")? == "0" && section.optional("async_loading")?.is_none_or(|state| state == "0");
    if loaded { Ok(()) } else { Err(Fault::Loading) }
}

/// How many keys were evicted in this run, by `INFO stats`.
pub(super) fn evicted(text: &[u8]) -> Result<u64, Fault> {
    Section::read(text)?.number("evicted_keys")
}

#[cfg(test)]
mod tests {
    use super::{ReplicationSection, ServerSection, check_memory, check_persistence, evicted};
    use crate::replay::redis::fault::Fault;
    use alloc::format;
    use alloc::string::String;

    fn server(lines: &str) -> Result<ServerSection, Fault> {
        let text =
            format!("# Server\r\nredis_version:7.0.15\r\nrun_id:{:a<40}\r\nserver_time_usec:5000001\r\n{lines}", "");
        ServerSection::read(text.as_bytes())
    }

    #[test]
    fn fields_are_read_once_and_strictly() {
        assert_eq!(
            server("redis_mode:standalone\r\n").map(|server| (server.time.secs(), server.is_clustered)).ok(),
            Some((5, false))
        );
        assert_eq!(server("server_mode:cluster\r\n").map(|server| server.is_clustered).ok(), Some(true));
        assert_eq!(server("redis_mode:sentinel\r\n").err(), Some(Fault::Sentinel));
        assert_eq!(server("run_id:bbbb\r\n").err(), Some(Fault::Malformed), "twice");
        assert_eq!(ServerSection::read(&[b'a'; 70_000]).err(), Some(Fault::Malformed));
        assert_eq!(ServerSection::read(&[0xff]).err(), Some(Fault::Malformed));
        let old = format!("redis_version:6.0.9\r\nrun_id:{:a<40}\r\nserver_time_usec:1\r\n", "");
        assert_eq!(
            ServerSection::read(old.as_bytes()).and_then(|server| server.check_version()).err(),
            Some(Fault::TooOld)
        );
    }

    #[test]
    fn only_a_primary_that_keeps_everything_will_do() {
        let replication = |role: &str| format!("role:{role}\r\nconnected_slaves:2\r\nmaster_replid:{:0<40}\r\n", "");
        let read = |role: &str| ReplicationSection::read(replication(role).as_bytes()).map(|read| read.replicas);
        assert_eq!((read("master"), read("slave"), read("")), (Ok(2), Err(Fault::NotPrimary), Err(Fault::NotPrimary)));

        assert_eq!(check_memory(b"maxmemory_policy:noeviction\r\n"), Ok(()));
        let evicts = |policy: &str| Err(Fault::Evicts { policy: String::from(policy) });
        assert_eq!(check_memory(b"maxmemory_policy:allkeys-lru\r\n"), evicts("allkeys-lru"));
        assert_eq!(check_memory(b"used_memory:1\r\n"), evicts("unknown"));

        assert_eq!(check_persistence(b"loading:0\r\nasync_loading:0\r\n"), Ok(()));
        assert_eq!(check_persistence(b"loading:1\r\n"), Err(Fault::Loading));
        assert_eq!(check_persistence(b"loading:0\r\nasync_loading:1\r\n"), Err(Fault::Loading));
        assert_eq!((evicted(b"evicted_keys:7\r\n"), evicted(b"evicted_keys:\r\n")), (Ok(7), Err(Fault::Malformed)));
    }
}
