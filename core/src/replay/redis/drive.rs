//! How a host drives a store: numbers and a rule that are the same in every language.

use core::net::IpAddr;

/// How many entries one batch holds at most.
pub const MAX_BATCH: usize = 256;
/// How many batches are under way at most. What is asked meanwhile shares the next one: that makes batches without a timer.
pub const UNDER_WAY: usize = 2;
/// How many entries wait at most while others are under way, unless told otherwise. Further ones are
/// [`Unavailable`](crate::replay::Insertion::Unavailable).
pub const QUEUE: usize = 4_096;
/// How long a pipeline's replies, and with them an entry, are waited for, unless told otherwise: in milliseconds.
pub const ANSWER_MS: u32 = 250;
/// How long a connection may take, unless told otherwise: in milliseconds.
pub const CONNECT_MS: u32 = 1_000;
/// How long replicas are waited for, unless told otherwise: in milliseconds, less than [`ANSWER_MS`].
pub const REPLICAS_MS: u32 = 150;
/// Where a host bounds an opening as a whole: how many answers it has time for, beside the connection.
pub const OPENING_TURNS: usize = 8;
/// How often one exchange follows a namespace that [moved](super::Fault::Moved) within a cluster.
pub const HOPS: usize = 3;

/// Whether commands to this host have to be encrypted: to all but loopback, unless the program says otherwise.
pub fn needs_tls(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    !(bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback))
}
