//! Why a server is not used, and what to do about it.

use alloc::string::String;
use core::fmt;

use super::command::Reply;

/// Why a server is not used at the moment. Until it is, every proof is answered `Unavailable`.
///
/// It holds no proof and no password; texts of the server's are cut to 64 visible characters.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The server is a replica, or read-only: what it stores is not what others ask.
    NotPrimary,
    /// The server is loading its data.
    Loading,
    /// The server evicts keys when its memory is full, and with them proofs that are still good.
    Evicts {
        /// Its `maxmemory-policy`, or `unknown`.
        policy: String,
    },
    /// Other verifiers use this namespace with another policy or another version of the format.
    Disagrees {
        /// What the server holds: the number of the format and the agreement.
        found: String,
        /// What this verifier has.
        expected: String,
    },
    /// The server asks for a password, or does not take the one it was given.
    NotAuthenticated,
    /// The server is a Sentinel, which knows where the primary is and stores nothing.
    Sentinel,
    /// The user may not run a command, or not on these keys.
    Forbidden {
        /// The command.
        command: &'static str,
    },
    /// The clock of this machine is too far from that of the other verifiers, as compared with the server's.
    ClockApart {
        /// By how many seconds this machine's clock is behind the others'; negative if it is ahead.
        seconds: i64,
    },
    /// The namespace is on another node of the cluster.
    Moved {
        /// The node, as `host:port`.
        address: String,
    },
    /// Redis before 6.2, or Valkey before 7.2.
    TooOld,
    /// The server has replicas or is part of a cluster, and too few of them are waited for.
    NeedsReplicas {
        /// How many must acknowledge each write.
        needed: u32,
    },
    /// The server's memory is full before a first proof was stored.
    Full,
    /// A reply that is missing or is not what the command answers.
    Malformed,
    /// Another error of the server.
    Refuses {
        /// Its code, such as `MISCONF`.
        code: String,
    },
    /// What the server holds changed several times while it was being opened.
    Unsteady,
    /// Too few replicas acknowledged the last proofs in time.
    NotAcknowledged {
        /// How many must.
        needed: u32,
        /// How many did.
        found: i64,
    },
    /// There was no reply in time, or the connection broke.
    Lost,
}

impl Fault {
    /// Whether someone has to change a configuration: a program that starts with such a fault had better stop.
    pub const fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::NotPrimary
                | Self::Evicts { .. }
                | Self::Disagrees { .. }
                | Self::NotAuthenticated
                | Self::Sentinel
                | Self::Forbidden { .. }
                | Self::Moved { .. }
                | Self::TooOld
                | Self::NeedsReplicas { .. }
        )
    }

    /// What an error means that the server answered to `command`.
    pub(super) fn of_error(error: &[u8], command: &'static str) -> Self {
        let text = core::str::from_utf8(error).unwrap_or_default();
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        match code {
            "READONLY" => Self::NotPrimary,
            "LOADING" => Self::Loading,
            "OOM" => Self::Full,
            "NOPERM" => Self::Forbidden { command },
            "NOAUTH" | "WRONGPASS" => Self::NotAuthenticated,
            "MOVED" => match rest.split_once(' ') {
                Some((_, address)) => Self::Moved { address: shown(address) },
                None => Self::Malformed,
            },
            // Redis before 6.2 has no GETEX.
            "ERR" if rest.starts_with("unknown command") => Self::TooOld,
            _ => Self::Refuses { code: shown(code) },
        }
    }

    /// The text that a reply is, or what is wrong with it.
    pub(super) fn unless_text<'r>(reply: &'r Reply, command: &'static str) -> Result<&'r [u8], Self> {
        reply.text().ok_or_else(|| Self::of_reply(reply, command))
    }

    /// What is wrong with a reply that should have been a text.
    pub(super) fn of_reply(reply: &Reply, command: &'static str) -> Self {
        match reply {
            Reply::Error(error) => Self::of_error(error, command),
            _ => Self::Malformed,
        }
    }
}

/// A text of the server's for people: visible ASCII alone, without the backticks of names, at most 64 characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' }).take(64).collect()
}

/// Writes the names and the list of them.
macro_rules! names {
    ($($pattern:pat => $name:literal,)*) => {
        impl Fault {
            /// All that [`name`](Self::name) can return.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// Stable name, for logs and metrics.
            pub const fn name(&self) -> &'static str {
                match self { $($pattern => $name,)* }
            }
        }
    };
}

names! {
    Fault::NotPrimary => "not_primary",
    Fault::Loading => "loading",
    Fault::Evicts { .. } => "evicts",
    Fault::Disagrees { .. } => "disagrees",
    Fault::NotAuthenticated => "not_authenticated",
    Fault::Sentinel => "sentinel",
    Fault::Forbidden { .. } => "forbidden",
    Fault::ClockApart { .. } => "clock_apart",
    Fault::Moved { .. } => "moved",
    Fault::TooOld => "too_old",
    Fault::NeedsReplicas { .. } => "needs_replicas",
    Fault::Full => "full",
    Fault::Malformed => "malformed",
    Fault::Refuses { .. } => "refuses",
    Fault::Unsteady => "unsteady",
    Fault::NotAcknowledged { .. } => "not_acknowledged",
    Fault::Lost => "lost",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrimary => f.write_str("the Redis server is a replica: connect to the primary"),
            Self::Loading => f.write_str("the Redis server is loading its data"),
            Self::Evicts { policy } => write!(
                f,
                "the Redis server's maxmemory-policy is {policy}, so it forgets proofs that are still good: \
                 run `CONFIG SET maxmemory-policy noeviction`, or use a server of its own for replay protection"
            ),
            Self::Disagrees { found, expected } => write!(
                f,
                "other verifiers use this namespace with other settings (found {found}, expected {expected}): give all of them the \
                 same `max_age`, `max_ahead`, `store_margin` and time source, or give this one another namespace"
            ),
            Self::NotAuthenticated => f.write_str(
                "the Redis server wants a user and a password, or refuses those it was given: check the URL, and `ACL LIST` on the server",
            ),
            Self::Sentinel => {
                f.write_str("this is a Redis Sentinel, which stores nothing: give the address of the primary")
            }
            Self::Forbidden { command } => write!(
                f,
                "the Redis user may not run {command} here: give it `+set +get +getex +info +wait` and the keys `~{{kb1:NAMESPACE}}*`"
            ),
            Self::ClockApart { seconds } => {
                let (by, side) = (seconds.unsigned_abs(), if *seconds > 0 { "behind" } else { "ahead of" });
                write!(f, "the clock of this machine is {by} s {side} that of the other verifiers: synchronise it")
            }
            Self::Moved { address } => {
                write!(f, "this namespace is on another node of the Redis cluster, {address}: switch cluster mode on")
            }
            Self::TooOld => f.write_str("the server is too old: Redis 6.2 or Valkey 7.2 is needed"),
            Self::NeedsReplicas { needed } => write!(
                f,
                "the Redis server has replicas or is part of a cluster, so a failover could accept a proof twice: wait for {needed} \
                 of them with each proof (`wait_for_replicas`), or set `danger_accept_split_brain`"
            ),
            Self::Full => f.write_str("the Redis server's memory is full"),
            Self::Malformed => f.write_str("the Redis server's reply is missing or malformed"),
            Self::Refuses { code } => write!(f, "the Redis server answers {code}"),
            Self::Unsteady => f.write_str("the Redis server's data changed while it was being opened"),
            Self::NotAcknowledged { needed, found } => write!(
                f,
                "{found} replicas of the Redis server acknowledged a proof in time, and `wait_for_replicas` asks for {needed}: \
                 are there so many?"
            ),
            Self::Lost => f.write_str("the Redis server did not reply in time, or the connection broke"),
        }
    }
}

impl core::error::Error for Fault {}
debug_as_text!(Fault);

#[cfg(test)]
mod tests {
    use super::Fault;
    use alloc::string::ToString;

    #[test]
    fn errors_are_told_apart_by_their_code() {
        for (error, name) in [
            ("READONLY You can't write against a read only replica.", "not_primary"),
            ("LOADING Redis is loading the dataset in memory", "loading"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
            ("NOPERM this user has no permissions to run the 'info' command", "forbidden"),
            ("NOAUTH Authentication required.", "not_authenticated"),
            ("MOVED 3999 127.0.0.1:6381", "moved"),
            ("MOVED", "malformed"),
            ("ERR unknown command 'GETEX', with args beginning with:", "too_old"),
            ("MISCONF Redis is configured to save RDB snapshots", "refuses"),
            ("", "refuses"),
        ] {
            assert_eq!(Fault::of_error(error.as_bytes(), "GETEX").name(), name, "{error}");
        }
        assert_eq!(Fault::of_error(b"MOVED 1 a\r\nb", "SET"), Fault::Moved { address: "a??b".to_string() });
    }

    #[test]
    fn a_clock_is_said_to_be_behind_or_ahead() {
        let text = |seconds| Fault::ClockApart { seconds }.to_string();
        assert!(text(25).contains("25 s behind") && text(-25).contains("25 s ahead of"));
    }
}
