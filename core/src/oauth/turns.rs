//! The attempts of one request at the nonce its server wants (RFC 9449 sections 8 and 9), beside other requests.
//!
//! Most servers accept a nonce until it expires, so that requests beside each other each use the one of their own answer. Some accept
//! only the newest that they gave, and each of their answers makes the nonces of the requests under way useless. Where a request is
//! challenged a second time, the requests to this server therefore take turns: by a lock of the host, across tasks and processes.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::binding::origin;
use super::client::Inner;
use super::error::FlowError;
use super::flow::Io;
use super::recent::Recent;
use super::renew::LEASE;
use crate::UnixTime;
use crate::jose::thumbprint::Thumbprint;
use crate::nonce::{Nonce, Role};

/// How often a request is sent because of nonces, at most.
const MAX_ATTEMPTS: u8 = 3;
/// For how long the requests to a server take turns after one was challenged a second time, in seconds.
const SERIAL: u64 = 60;
/// How long a request whose turn it is waits for those that were sent before requests took turns, in milliseconds: each time, and in all.
const PAUSE: u64 = 20;
const MAX_PAUSES: u8 = 100;

/// Whose nonces: those of a server, in one of its roles, for one key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    origin: String,
    role: Role,
    key: Thumbprint,
}

impl Place {
    pub(super) fn of(url: &str, role: Role, key: Thumbprint) -> Option<Self> {
        Some(Self { origin: origin(url)?, role, key })
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    fn lock(&self) -> String {
        let role = match self.role {
            Role::AuthorizationServer => "authorization_server",
            Role::ResourceServer => "resource_server",
        };
        ["nonce/", role, "/", &self.key.to_string(), "/", &self.origin].concat()
    }
}

/// What the requests of one client know of each other.
#[derive(Default)]
pub(super) struct Turns {
    /// How many requests wait for their answer.
    under_way: Vec<(Place, usize)>,
    /// Until when requests take turns.
    serial: Recent<Place, UnixTime>,
}

impl Turns {
    fn is_serial(&self, place: &Place, now: UnixTime) -> bool {
        // A clock that was set back ends it too.
        self.serial.get(place).is_some_and(|until| *until > now && until.since(now) <= SERIAL)
    }

    fn make_serial(&mut self, place: &Place, now: UnixTime) {
        self.serial.put(place.clone(), now.saturating_add(SERIAL));
    }

    fn is_busy(&self, place: &Place) -> bool {
        self.under_way.iter().any(|(known, _)| known == place)
    }

    fn sent(&mut self, place: &Place) {
        match self.under_way.iter_mut().find(|(known, _)| known == place) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.under_way.push((place.clone(), 1)),
        }
    }

    fn answered(&mut self, place: &Place) {
        if let Some((_, count)) = self.under_way.iter_mut().find(|(known, _)| known == place) {
            *count = count.saturating_sub(1);
        }
        self.under_way.retain(|(_, count)| *count > 0);
    }
}

/// A request that waits for its answer, until it is dropped.
pub(super) struct UnderWay<'a> {
    client: &'a Inner,
    place: Option<Place>,
}

impl UnderWay<'_> {
    /// The request has its answer, or will have none.
    pub(super) fn end(self) {}
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.client.shared.lock().memory.turns.answered(place);
        }
    }
}

/// The attempts of one request.
pub(super) struct NonceTries {
    challenges: u8,
    /// The nonce of the last challenge.
    given: Option<Nonce>,
    /// The name of the lock, while it is held.
    held: Option<String>,
}

impl NonceTries {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self { challenges: 0, given: None, held: None }
    }

    /// Begins an attempt. Where requests take turns, this waits for the turn; it lasts until [`end`](Self::end).
    pub(super) async fn begin<'a>(
        &mut self,
        io: &Io,
        client: &'a Inner,
        place: Option<Place>,
    ) -> Result<UnderWay<'a>, FlowError> {
        if let Some(place) = place.as_ref().filter(|_| self.held.is_none()) {
            let takes_turns = client.shared.lock().memory.turns.is_serial(place, io.now());
            if takes_turns {
                let lock = place.lock();
                io.lock(&lock, LEASE).await?;
                self.held = Some(lock);
                for _ in 0..MAX_PAUSES {
                    if !client.shared.lock().memory.turns.is_busy(place) {
                        break;
                    }
                    io.wait(PAUSE).await?;
                }
            }
        }
        if let Some(place) = &place {
            client.shared.lock().memory.turns.sent(place);
        }
        Ok(UnderWay { client, place })
    }

    /// The nonce of the request's own last answer, if the next proof is to carry that: in its turn, the newest of all answers counts.
    pub(super) fn own(&self) -> Option<&Nonce> {
        self.given.as_ref().filter(|_| self.held.is_none())
    }

    /// Takes notice of a challenge that gave this nonce: whether there is another attempt.
    pub(super) fn challenged(&mut self, client: &Inner, place: Option<&Place>, given: Nonce, now: UnixTime) -> bool {
        self.challenges = self.challenges.saturating_add(1);
        self.given = Some(given);
        if self.challenges >= MAX_ATTEMPTS {
            return false;
        }
        if let Some(place) = place.filter(|_| self.challenges > 1) {
            client.shared.lock().memory.turns.make_serial(place, now);
        }
        true
    }

    /// Ends the turn, if it was this request's, and what was challenged last.
    pub(super) async fn end(&mut self, io: &Io) {
        self.given = None;
        if let Some(lock) = self.held.take() {
            // A lock that cannot be given back makes no answer worse.
            drop(io.unlock(&lock).await);
        }
    }

    /// Forgets the challenges, where what comes is another request.
    pub(super) fn reset(&mut self) {
        (self.challenges, self.given) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::{Place, SERIAL, Turns};
    use crate::UnixTime;
    use crate::jose::thumbprint::Thumbprint;
    use crate::nonce::Role;
    use crate::oauth::recent::MAX;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn place(number: usize) -> Place {
        let url = format!("https://api{number}.example.com/items");
        Place::of(&url, Role::ResourceServer, Thumbprint::from_bytes([1; 32])).unwrap()
    }

    #[test]
    fn requests_take_turns_at_one_server_for_a_minute() {
        let mut turns = Turns::default();
        turns.make_serial(&place(0), NOW);
        assert!(turns.is_serial(&place(0), NOW) && !turns.is_serial(&place(1), NOW));
        assert!(turns.is_serial(&place(0), NOW.saturating_add(SERIAL - 1)));
        assert!(!turns.is_serial(&place(0), NOW.saturating_add(SERIAL)));
        assert!(!turns.is_serial(&place(0), NOW.saturating_sub(1)), "the clock was set back");
    }

    #[test]
    fn a_bounded_number_of_servers_is_remembered() {
        let mut turns = Turns::default();
        for number in (0..=MAX).chain([MAX]) {
            turns.make_serial(&place(number), NOW);
        }
        assert!(!turns.is_serial(&place(0), NOW), "the oldest makes room");
        assert!(turns.is_serial(&place(1), NOW) && turns.is_serial(&place(MAX), NOW));
    }
}
