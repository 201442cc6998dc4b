//! The guards of one server at work: what they have counted, and their clock.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use spin::Mutex;

use super::{Breaker, BreakerState, CAPACITY, Guards, Limit, LimitedBy, Limiter, Wait};
use crate::crypto::{RandomUnavailable, SecureRandom};
use crate::replay::{Inserted, Insertion};
use crate::server::Arrival;
use crate::verify::refusal::{RETRY_AFTER, Refusal};
use crate::{Thumbprint, UnixTime};

/// By how much a clock may seem to go back because requests overtake each other, in milliseconds. More is a clock that was set.
const OVERTAKING: u64 = 1_000;

/// The guards of one server. Clones share what they count; without guards nothing is allocated.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<Posts>>);

struct Posts {
    clock: Mutex<Clock>,
    addresses: Option<Mutex<Limiter>>,
    keys: Option<Mutex<Limiter>>,
    clients: Option<Mutex<Limiter>>,
    breaker: Option<Mutex<Breaker>>,
}

/// When a request arrived, by the clock of the guards.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watched(u64);

impl Watch {
    /// These guards, none of which has counted anything.
    pub(crate) fn new(guards: &Guards, random: &dyn SecureRandom) -> Result<Self, RandomUnavailable> {
        if *guards == Guards::new() {
            return Ok(Self::default());
        }
        let limiter = |limit: Option<Limit>| match limit {
            Some(limit) => Limiter::new(limit, CAPACITY, random).map(|limiter| Some(Mutex::new(limiter))),
            None => Ok(None),
        };
        Ok(Self(Some(Arc::new(Posts {
            clock: Mutex::default(),
            addresses: limiter(guards.addresses)?,
            keys: limiter(guards.keys)?,
            clients: limiter(guards.clients)?,
            breaker: guards.breaker.map(Breaker::new).map(Mutex::new),
        }))))
    }

    /// A request arrives: before anything of it is read, its address is charged.
    pub(crate) fn arrive(&self, arrival: &Arrival, now: UnixTime) -> Result<Watched, Refusal> {
        let Some(posts) = &self.0 else { return Ok(Watched::default()) };
        let at = Watched(posts.clock.lock().at(arrival.ticks, now));
        if let Some(addresses) = &posts.addresses {
            let (key, len) = address_key(arrival.peer);
            let taken = addresses.lock().take(key.get(..len).unwrap_or_default(), at.0);
            taken.map_err(|wait| Refusal::limited(LimitedBy::Address, wait))?;
        }
        Ok(at)
    }

    /// The signature is good, and the proof about to be used up: its key needs a token, and keeps it.
    pub(crate) fn look_at_key(&self, key: &Thumbprint, at: Watched) -> Result<(), Refusal> {
        let Some(keys) = self.0.as_ref().and_then(|posts| posts.keys.as_ref()) else { return Ok(()) };
        let looked = keys.lock().look(key.as_bytes(), at.0);
        looked.map_err(|wait| Refusal::limited(LimitedBy::Key, wait))
    }

    /// The proof was fresh.
    pub(crate) fn charge_key(&self, key: &Thumbprint, at: Watched) {
        if let Some(keys) = self.0.as_ref().and_then(|posts| posts.keys.as_ref()) {
            keys.lock().charge(key.as_bytes(), at.0);
        }
    }

    /// The request would be admitted: its client is charged.
    pub(crate) fn take_of_client(
        &self,
        issuer: Option<&str>,
        client_id: Option<&str>,
        at: Watched,
    ) -> Result<(), Refusal> {
        let Some(clients) = self.0.as_ref().and_then(|posts| posts.clients.as_ref()) else { return Ok(()) };
        // No text has the byte 0xff, so that the parts cannot be told otherwise.
        let mut key = Vec::from(issuer.unwrap_or_default());
        if let Some(client_id) = client_id {
            key.push(0xff);
            key.extend_from_slice(client_id.as_bytes());
        }
        let taken = clients.lock().take(&key, at.0);
        taken.map_err(|wait| Refusal::limited(LimitedBy::Client, wait))
    }

    /// Asks a store of the host's by `ask`, unless it is left alone: none then.
    pub(crate) async fn ask(&self, at: Watched, ask: impl Future<Output = Inserted>) -> Option<Inserted> {
        let Some(breaker) = self.0.as_ref().and_then(|posts| posts.breaker.as_ref()) else { return Some(ask.await) };
        let pass = breaker.lock().pass(at.0).ok()?;
        let inserted = ask.await;
        // What a store that works says is a verdict, whatever it is.
        match inserted.insertion {
            Insertion::Unavailable => breaker.lock().failed(pass, at.0),
            Insertion::Fresh | Insertion::Seen | Insertion::Full | Insertion::ShareFull | Insertion::BeforeFloor => {
                breaker.lock().answered(pass)
            }
        }
        Some(inserted)
    }

    /// After how many seconds a request may come back that was refused because the store did not answer: when the breaker next lets one
    /// through, if it is open.
    pub(crate) fn retry_after(&self) -> u64 {
        let wait = self.0.as_ref().and_then(|posts| {
            // Not when the request arrived: the breaker may have opened for one that arrived later.
            let now = posts.clock.lock().latest;
            posts.breaker.as_ref()?.lock().wait(now)
        });
        wait.map_or(RETRY_AFTER, Wait::seconds)
    }

    /// What the breaker does with the next request; none if there is no breaker.
    pub(crate) fn breaker_state(&self, ticks: Option<u64>, now: UnixTime) -> Option<BreakerState> {
        let posts = self.0.as_ref()?;
        let breaker = posts.breaker.as_ref()?;
        let at = posts.clock.lock().at(ticks, now);
        Some(breaker.lock().state(at))
    }
}

/// A clock that does not go back, made of one that should not.
#[derive(Default)]
struct Clock {
    latest: u64,
    /// What is added to the ticks that come, modulo 2^64.
    ahead: u64,
}

impl Clock {
    /// The moment of these ticks, or of the clock without any.
    fn at(&mut self, ticks: Option<u64>, now: UnixTime) -> u64 {
        self.steady(ticks.unwrap_or_else(|| u64::try_from(now.secs()).unwrap_or(0).saturating_mul(1_000)))
    }

    /// Without this, buckets would stay empty and a breaker open for as long as a clock was set back.
    fn steady(&mut self, ticks: u64) -> u64 {
        let now = ticks.wrapping_add(self.ahead);
        if self.latest.saturating_sub(now) > OVERTAKING {
            self.ahead = self.latest.wrapping_sub(ticks);
        }
        self.latest = self.latest.max(now);
        self.latest
    }
}

/// What an address is limited by: IPv4 whole, also where it is written as IPv6; IPv6 by the 64 bits that one subscriber has.
fn address_key(address: Option<IpAddr>) -> ([u8; 9], usize) {
    let mut key = [0; 9];
    let (kind, octets): (u8, &[u8]) = match address.map(|address| address.to_canonical()) {
        None => (0, &[]),
        Some(IpAddr::V4(address)) => (4, &address.octets()),
        Some(IpAddr::V6(address)) => (6, &address.octets()),
    };
    let octets = octets.iter().take(8);
    let len = octets.len().saturating_add(1);
    for (place, byte) in key.iter_mut().zip(core::iter::once(&kind).chain(octets)) {
        *place = *byte;
    }
    (key, len)
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(posts) = &self.0 else { return f.write_str("Watch") };
        f.debug_struct("Watch")
            .field("addresses", &posts.addresses.as_ref().map(|limiter| limiter.lock().len()))
            .field("keys", &posts.keys.as_ref().map(|limiter| limiter.lock().len()))
            .field("clients", &posts.clients.as_ref().map(|limiter| limiter.lock().len()))
            .field("breaker", &posts.breaker.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, address_key};
    use core::net::IpAddr;

    fn key(address: &str) -> ([u8; 9], usize) {
        address_key(Some(address.parse::<IpAddr>().unwrap()))
    }

    #[test]
    fn ipv6_counts_by_its_first_64_bits_and_mapped_addresses_as_ipv4() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        // Mapped addresses have 64 bits in common.
        assert_ne!(key("::ffff:192.0.2.1"), key("::ffff:192.0.2.2"));
        assert_ne!(key("::"), key("0.0.0.0"));
        assert_ne!(address_key(None), key("0.0.0.0"));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut clock = Clock::default();
        assert_eq!(clock.steady(1_000_000), 1_000_000);
        // One request overtakes another.
        assert_eq!(clock.steady(999_990), 1_000_000);
        assert_eq!(clock.steady(1_000_010), 1_000_010);
        // The clock is set back by a quarter of an hour, and time goes on from where it was.
        assert_eq!(clock.steady(100_000), 1_000_010);
        assert_eq!(clock.steady(105_000), 1_005_010);
        // It is set forward.
        assert_eq!(clock.steady(500_000), 1_400_010);
    }
}
