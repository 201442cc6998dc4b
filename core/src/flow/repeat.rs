//! When a request is sent again because the network failed, and after which pause.

use super::Io;
use super::step::FetchFailed;
use crate::UnixTime;
use crate::crypto::SecureRandom;
use crate::oauth::FlowError;

/// How often a request is sent again.
const MOST: u32 = 2;
/// The least pause before the first repetition, in milliseconds. The longest is three times as long, and the pause after it begins there.
const LEAST: u64 = 100;
/// For how long after the first attempt another one may begin, in seconds: so long that one whose time ran out is repeated once, and so
/// short that a refresh with all its attempts (a nonce, a clock) ends within the lease of its lock.
const WINDOW: u64 = 20;

/// Which failures a request is sent again after.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Any: the request is a question, and asking twice changes nothing.
    AnyFailure,
    /// Only one that says that nothing was sent. A server may have carried out a request whose answer was lost, and an attacker on the
    /// way who drops answers would have it carried out once more, with a fresh proof each time.
    NotSent,
}

/// The attempts at one request.
pub(crate) struct Attempts {
    after: After,
    repeated: u32,
    until: UnixTime,
}

impl Attempts {
    pub(crate) fn new(io: &Io, after: After) -> Self {
        Self { after, repeated: 0, until: io.now().saturating_add(WINDOW) }
    }

    /// For how many milliseconds to wait before the next attempt; the failure, if there is none.
    ///
    /// The pause is random, so that clients which one outage stopped at once do not all come back at once.
    pub(crate) fn pause(&mut self, io: &Io, random: &dyn SecureRandom, failed: FetchFailed) -> Result<u64, FlowError> {
        let permitted = self.after == After::AnyFailure || matches!(failed, FetchFailed::NotSent(_));
        if !permitted || self.repeated >= MOST || io.now() > self.until {
            return Err(failed.into());
        }
        let least = LEAST.saturating_mul(3_u64.saturating_pow(self.repeated));
        self.repeated = self.repeated.saturating_add(1);
        let mut drawn = [0; 2];
        random.fill(&mut drawn)?;
        let more = least.saturating_mul(2).saturating_mul(u16::from_le_bytes(drawn).into());
        Ok(least.saturating_add(more >> 16))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{After, Attempts};
    use crate::flow::Flow;
    use crate::flow::step::{FetchFailed, Fetching, Step};
    use crate::http::message::Request;
    use crate::{RUSTCRYPTO, UnixTime};

    type Failure = fn() -> FetchFailed;

    fn not_sent() -> FetchFailed {
        FetchFailed::NotSent("refused".into())
    }

    fn lost() -> FetchFailed {
        FetchFailed::Lost("reset".into())
    }

    /// The pauses between attempts that all fail, each after `takes` seconds.
    fn pauses(after: After, failure: Failure, takes: u64) -> Vec<u64> {
        let mut now = UnixTime::from_secs(0);
        let mut step = Flow::<()>::start(now, |io| async move {
            let mut attempts = Attempts::new(&io, after);
            loop {
                let request = Request::new("GET", "https://api.example.com/");
                let failed = io.fetch(Fetching { request, max_body: Some(0), timeout: None }).await?;
                io.wait(attempts.pause(&io, RUSTCRYPTO.random, failed.expect_err("all fail"))?).await?;
            }
        });
        let mut pauses = Vec::new();
        loop {
            step = match step {
                Ok(Step::Fetch(step)) => {
                    now = now.saturating_add(takes);
                    step.resume(Err(failure()), now)
                }
                Ok(Step::Wait(step)) => {
                    pauses.push(step.milliseconds());
                    step.resume((), now)
                }
                Ok(_) => panic!("it only fetches and waits"),
                Err(_) => return pauses,
            }
        }
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        for _ in 0..64 {
            let pauses = pauses(After::AnyFailure, lost, 0);
            assert!(matches!(*pauses, [100..=300, 300..=900]), "{pauses:?}");
        }
        let mut first: Vec<u64> =
            (0..64).filter_map(|_| pauses(After::NotSent, not_sent, 0).first().copied()).collect();
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 8, "they are random: {first:?}");
    }

    #[test]
    fn what_was_lost_is_repeated_only_where_it_is_a_question() {
        assert_eq!(pauses(After::NotSent, lost, 0).len(), 0);
        assert_eq!(pauses(After::NotSent, not_sent, 0).len(), 2);
        assert_eq!(pauses(After::AnyFailure, not_sent, 0).len(), 2);
    }

    #[test]
    fn an_attempt_does_not_begin_long_after_the_first() {
        // 20 seconds is the time that an authorization server has for its answer.
        assert_eq!(pauses(After::AnyFailure, lost, 20).len(), 1);
        assert_eq!(pauses(After::AnyFailure, lost, 21).len(), 0);
    }
}
