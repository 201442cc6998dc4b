//! How far the clocks of servers are ahead, learned from answers that refuse a proof or an assertion.

use alloc::string::String;

use super::binding::origin;
use super::client::Inner;
use super::recent::Recent;
use crate::UnixTime;
use crate::http::date;
use crate::http::message::Response;

/// The largest clock offset that is believed, in seconds: a day, and what passes between the server's `Date` and the look at our clock.
const MAX_OFFSET: u64 = 86_400 + 300;
/// Smaller offsets than this are no reason to try again, in seconds.
const MIN_CORRECTION: u64 = 3;

/// How far each server's clock is ahead of ours, by origin, in seconds.
pub(super) type Clocks = Recent<String, i64>;

impl Inner {
    /// What the clock of the server at `url` shows, as far as it is known.
    pub(super) fn server_time(&self, url: &str, now: UnixTime) -> UnixTime {
        let offset =
            origin(url).map_or(0, |origin| self.shared.lock().clocks.get(&origin).copied().unwrap_or_default());
        UnixTime::from_secs(now.secs().saturating_add(offset))
    }

    /// Learns how far the server's clock is ahead, after it refused a request to `url` that names a time: true if that was news.
    pub(super) fn learn_clock(&self, url: &str, response: &Response, now: UnixTime) -> bool {
        // An answer with an age comes from a cache, and its date with it.
        if response.all("age").next().is_some() {
            return false;
        }
        let (Some(date), Some(origin)) = (response.text("date").and_then(date::parse), origin(url)) else {
            return false;
        };
        let offset = date.secs().saturating_sub(now.secs());
        let mut shared = self.shared.lock();
        let change = offset.saturating_sub(shared.clocks.get(&origin).copied().unwrap_or_default());
        if offset.unsigned_abs() > MAX_OFFSET || change.unsigned_abs() < MIN_CORRECTION {
            return false;
        }
        shared.clocks.put(origin, offset);
        true
    }
}
