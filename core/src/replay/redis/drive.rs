//! How a host drives a store: numbers and a rule that are the same in every language.

use crate::http::url::Url;

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
/// How often one exchange follows a namespace that [moved](super::Fault::Moved) within a cluster.
pub const HOPS: usize = 3;

/// Whether commands to this host have to be encrypted: to all but loopback, unless the program says otherwise.
pub fn needs_tls(host: &str) -> bool {
    let host = if host.contains(':') { alloc::format!("[{host}]") } else { host.into() };
    !Url::parse(&alloc::format!("http://{host}/")).is_ok_and(|url| url.is_loopback())
}
