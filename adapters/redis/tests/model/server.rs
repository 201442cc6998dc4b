//! A small Redis: `SET`, `GET`, `GETEX` and `INFO`, absolute expiry by a clock of its own, and one replica at most.

use keybound::replay::redis::Reply;

/// The second in which a model starts.
pub const START: i64 = 1_700_000_000;

/// One server, as it is at one moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Server {
    /// Names the present run.
    pub run: u32,
    /// Names the replication history.
    pub replication: u32,
    pub role: Role,
    /// What it holds, in the order of writing.
    pub items: Vec<Item>,
    /// By how many seconds its clock is ahead of the true time.
    pub clock: i64,
    /// How many keys it has evicted in this run.
    pub evicted: u32,
    /// Whether it is older than version 7: INFO takes one section.
    pub is_old: bool,
}

/// What a server does for others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A primary without replicas.
    Alone,
    /// A primary whose replica follows it.
    Followed,
    /// A primary that still counts a replica which no longer follows it: the connection is dead, and that takes a minute to notice.
    Deserted,
    Replica,
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Item {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// The instant at which it is gone, by the server's clock.
    pub until: i64,
}

/// What a server answers; `INFO` as what it says, so that states stay small.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    Ok,
    Nil,
    Text(Vec<u8>),
    Integer(i64),
    Error(&'static str),
    AboutServer { run: u32, time: i64 },
    AboutReplication { is_primary: bool, replication: u32, replicas: u32 },
    AboutMemory,
    AboutPersistence,
    AboutStats { evicted: u32 },
    About(Vec<Self>),
}

impl Server {
    /// An empty one.
    pub fn new(run: u32) -> Self {
        Self { run, replication: 100 + run, role: Role::Alone, items: Vec::new(), clock: 0, evicted: 0, is_old: false }
    }

    /// Forgets what has expired. Redis does so at any time afterwards; at once is the worst case.
    pub fn expire(&mut self, time: i64) {
        let now = time + self.clock;
        self.items.retain(|item| item.until > now);
    }

    /// Runs one command, other than `WAIT`, at the true time `time`.
    pub fn run(&mut self, arguments: &[Vec<u8>], time: i64) -> Answer {
        let word = |index: usize| arguments.get(index).map_or(&b""[..], Vec::as_slice);
        match word(0) {
            b"SET" | b"GETEX" if self.role == Role::Replica => {
                Answer::Error("READONLY You can't write against a read only replica.")
            }
            b"SET" => self.set(arguments, time),
            b"GET" => self.item(word(1)).map_or(Answer::Nil, |item| Answer::Text(item.value.clone())),
            b"GETEX" => {
                let until = (word(2) == b"PX").then(|| self.until(word(3), time));
                let Some(item) = self.items.iter_mut().find(|item| item.key == word(1)) else { return Answer::Nil };
                item.until = until.unwrap_or(item.until);
                Answer::Text(item.value.clone())
            }
            b"INFO" if arguments.len() == 2 => self.info(word(1), time),
            b"INFO" if self.is_old => Answer::Error("ERR syntax error"),
            b"INFO" => Answer::About(arguments[1..].iter().map(|section| self.info(section, time)).collect()),
            other => panic!("the model knows no {}", String::from_utf8_lossy(other)),
        }
    }

    fn set(&mut self, arguments: &[Vec<u8>], time: i64) -> Answer {
        let [_, key, value, options @ ..] = arguments else { panic!("SET without a value") };
        let has = |name: &[u8]| options.iter().any(|option| option == name);
        let exists = self.item(key).is_some();
        if has(b"NX") && exists || has(b"XX") && !exists {
            return Answer::Nil;
        }
        let until = self.until(options.last().map_or(b"", Vec::as_slice), time);
        self.items.retain(|item| item.key != *key);
        self.items.push(Item { key: key.clone(), value: value.clone(), until });
        Answer::Ok
    }

    fn item(&self, key: &[u8]) -> Option<&Item> {
        self.items.iter().find(|item| item.key == key)
    }

    fn until(&self, milliseconds: &[u8], time: i64) -> i64 {
        let milliseconds: i64 = std::str::from_utf8(milliseconds).unwrap().parse().unwrap();
        time + self.clock + milliseconds / 1000
    }

    fn info(&self, section: &[u8], time: i64) -> Answer {
        match section {
            b"server" => Answer::AboutServer { run: self.run, time: time + self.clock },
            b"replication" => Answer::AboutReplication {
                is_primary: self.role != Role::Replica,
                replication: self.replication,
                replicas: u32::from(matches!(self.role, Role::Followed | Role::Deserted)),
            },
            b"memory" => Answer::AboutMemory,
            b"persistence" => Answer::AboutPersistence,
            b"stats" => Answer::AboutStats { evicted: self.evicted },
            other => panic!("the model has no section {}", String::from_utf8_lossy(other)),
        }
    }
}

impl Answer {
    /// Each section changed, where it is some of INFO; else all of it.
    pub fn map(self, change: &impl Fn(Self) -> Self) -> Self {
        match self {
            Self::About(sections) => Self::About(sections.into_iter().map(change).collect()),
            other => change(other),
        }
    }

    /// As a client hands it to the state machine.
    pub fn to_reply(&self) -> Reply {
        let text = match self {
            Self::Nil => return Reply::Nil,
            Self::Integer(number) => return Reply::Integer(*number),
            Self::Error(text) => return Reply::Error(text.as_bytes().to_vec()),
            Self::Text(text) => return Reply::Text(text.clone()),
            Self::Ok => "OK".to_owned(),
            Self::AboutServer { run, time } => {
                format!(
                    "redis_version:7.0.15\r\nrun_id:{run:040x}\r\nserver_time_usec:{}\r\n",
                    (START + time) * 1_000_000
                )
            }
            Self::AboutReplication { is_primary, replication, replicas } => {
                let role = if *is_primary { "master" } else { "slave" };
                format!("role:{role}\r\nconnected_slaves:{replicas}\r\nmaster_replid:{replication:040x}\r\n")
            }
            Self::AboutMemory => "maxmemory_policy:noeviction\r\n".to_owned(),
            Self::AboutPersistence => "loading:0\r\n".to_owned(),
            Self::AboutStats { evicted } => format!("evicted_keys:{evicted}\r\n"),
            Self::About(sections) => {
                let texts = sections.iter().map(|section| match section.to_reply() {
                    Reply::Text(text) => String::from_utf8(text).unwrap(),
                    other => panic!("{other:?} is no section"),
                });
                texts.collect::<Vec<_>>().join("\r\n")
            }
        };
        Reply::Text(text.into_bytes())
    }
}

/// Keys of the model are text, and those of entries the same byte sixteen times.
impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {} until {}", shown(&self.key), shown(&self.value), self.until)
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Integer(number) => number.fmt(f),
            Self::Error(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&shown(text)),
            other => match other.to_reply() {
                Reply::Text(text) => f.write_str(shown(&text).trim_end()),
                _ => Ok(()),
            },
        }
    }
}

/// Bytes for people.
pub fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '#' }).collect()
}
