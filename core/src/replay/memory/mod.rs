//! Replay protection in the memory of one process.
//!
//! What [`MemoryStore`] promises:
//!
//! - **One process.** A store knows nothing of other processes, machines or earlier runs. Where several
//!   workers serve one address, each accepts a proof once: use a networked store there.
//! - **A floor.** A store cannot vouch for proofs timed at or before its creation + `max_ahead`, unless they
//!   carry a nonce that holds the store's epoch; it answers [`Insertion::BeforeFloor`]. The clock of the
//!   present life is assumed not to be behind that of the life before by more than `max_ahead`; epochs need
//!   no such assumption.
//! - **Bounded.** At most `capacity` entries, then [`Insertion::Full`]. No live entry is ever evicted.
//!   Entries are spread over up to 1,024 shards of at least 16,384 by a keyed hash, so that the fullest shard
//!   can be full when the whole is at about 98 per cent.
//! - **Fair.** While the store is less than half full, no key is counted out. From then on one thumbprint holds at most 1/64 of the
//!   capacity (see below), and is answered [`Insertion::ShareFull`]; `with_shares` chooses another part.
//! - **Forgets in O(1)**, whole generations of 16 s at once, at most 15 s after an entry's
//!   [`keep_until`](super::ReplayEntry::keep_until). A dropped generation is never opened again, whatever the
//!   clock does: entries that fall into or before it are answered [`Insertion::BeforeFloor`].
//! - **Cost.** 10 to 16 bytes an entry, plus 16 KiB for each shard in use; memory grows with what is held.
//!   [`Insertion::Seen`] allocates nothing. Growth moves one small table at a time, and none under a steady
//!   load, so an insert costs the same at ten entries and at capacity.
//! - **Keyed.** Positions come from SipHash-1-3 under keys drawn at creation, so nobody can choose `jti`s that
//!   crowd into one place.
//! - **Exact where it matters.** Of each key a hash of 64 bits is kept. `Fresh` is never wrong by it; `Seen` is
//!   wrong by chance once in 2^64 for each entry of the same 16 seconds: at 10,000 proofs a second, for one
//!   proof in several hundred years. Without the hash keys nobody can bring that about.
//!
//! The same proof always has the same `keep_until`, and a lookup visits the generation of that instant only.
//! Two entries with one key and different `keep_until` cannot come from one proof; whether the second is
//! answered `Fresh` or `Seen` is not promised.
//!
//! # The share of one thumbprint
//!
//! A busy client is no attack: below half of the capacity there is room for everyone, and no share. From half on, one key that holds
//! 1/64 of the capacity gets no more, and others go on. That is decided shard by shard.
//!
//! Each shard counts entries by a keyed hash of the whole thumbprint in 256 rows, from the first entry on. A thumbprint's row differs
//! from shard to shard. Counting by rows overestimates and never underestimates: the rest of the row's content counts too, on
//! average 1/256 of what the shard holds, and entries count for up to 16 s after they were dropped.
//!
//! What a flood leaves to others, with 64 shares:
//! - One key takes half of the store and no more. Of the others' requests one in 256 meets its row and is refused.
//! - `n` keys take half of it together, in whatever way they divide it, and then `n`/64 at most. Even 32 keys leave 1/64 of the
//!   capacity that only others can have, 15,000 proofs of a million; if each takes the same, they leave half. They stand in the way
//!   of `n`/256 of the others' requests.
//! - Each of them needs a token of its own, or is a public client of an authorization server with a grant.
//!
//! What it means for honest clients: one key can send steadily about `capacity / 2 / (max_age + store_margin + 24 s)` proofs a second
//! while others send little: 3,400 at a capacity of 1,000,000 and 60 s each of age and margin. In a store that others fill beyond
//! half, it is a 32nd of that; one that uses half of its share is refused with a probability below 10^-9 a request, one that uses
//! three quarters of it with about 2 per cent. A gateway that signs everything with one key takes `with_shares(1)`, or twice the
//! capacity of what it sends within that time. Below a capacity of about 1,000 the share is so small (1 at 64, 15 at 1,000) that two
//! clients can be in each other's way once half is used.

mod birthplace;
mod generation;
mod lock;
mod settings;
mod shard;
mod sharded;
mod share;
mod table;

pub use sharded::MemoryStore;

#[cfg(doc)]
use super::Insertion;

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
