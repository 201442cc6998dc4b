//! The servers, the verifiers and their connections at one moment.

use std::hash::{Hash, Hasher};

use crate::server::{Answer, Role, Server};
use crate::verifier::{Commands, History, Proof};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub time: i64,
    pub servers: Vec<Server>,
    /// Names given to runs and replication histories.
    pub names: u32,
    pub verifiers: Vec<Verifier>,
    pub lanes: Vec<Lane>,
    pub proofs: Vec<Option<Proof>>,
    pub accepted: Vec<u8>,
    pub faults: u8,
    pub presentations: u8,
    pub opens: u8,
    pub reconnects: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Verifier {
    pub history: History,
    /// What it last read of a life; for a verifier that does not read it again.
    pub seen: Option<Vec<Answer>>,
}

/// A connection, and the exchange that uses it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lane {
    pub server: usize,
    /// Whether something was written over it that the replica does not have. `WAIT` asks for the writes of its own connection alone.
    pub wrote: bool,
    pub flight: Option<Flight>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Flight {
    pub proofs: Vec<Proof>,
    pub commands: Commands,
    pub replies: Vec<Answer>,
}

impl Hash for Flight {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest follows from the history of its verifier.
        self.replies.hash(state);
    }
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let commands: Vec<_> = self.commands.iter().map(|words| crate::server::shown(&words.join(&b' '))).collect();
        f.debug_struct("Flight").field("commands", &commands).field("replies", &self.replies).finish_non_exhaustive()
    }
}

impl World {
    /// The primary that is followed, and its replica.
    pub fn pair(&self) -> Option<(usize, usize)> {
        let find = |role| self.servers.iter().position(|server| server.role == role);
        find(Role::Followed).zip(find(Role::Replica))
    }

    /// A name for a run or a replication history.
    pub fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }
}
