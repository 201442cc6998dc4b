//! What a protection may be given of the host's own: a replay store, and who knows keys and tokens.

use std::fmt;

use keybound::UnixTime;
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, Insertion, ReplayAgreement, ReplayEntry, StoreEpoch};

use crate::HostError;
use crate::metrics::{Meter, StoreFault};

/// Where the present keys of one issuer come from, if not over HTTPS.
pub trait FetchKeys: Send + Sync + 'static {
    /// The JWK Set (RFC 7517 section 5) as JSON, at most 256 KiB. It is asked for when it is needed, by one request at a time and not
    /// twice within ten seconds; what takes longer than ten seconds has failed.
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, HostError>>;
}

/// Says what a token is, if not the introspection endpoint of an authorization server.
pub trait Introspect: Send + Sync + 'static {
    /// The body of an introspection response (RFC 7662 section 2.2) as JSON, at most 64 KiB. Requests with one token that come at the
    /// same time share an answer; what takes longer than ten seconds has failed.
    ///
    /// The token is a secret: it belongs into the body of a request over TLS, and into no log.
    fn introspect<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Vec<u8>, HostError>>;
}

/// An asynchronous store whose error type is of no interest but for the log.
pub(crate) trait AnyStore: Send + Sync {
    fn insert_one<'a>(&'a self, entry: &'a ReplayEntry, now: UnixTime, meter: Meter) -> BoxFuture<'a, Inserted>;
    fn epoch_now(&self) -> StoreEpoch;
    fn agreed_on(&self) -> Option<ReplayAgreement>;
}

/// The answer where the store has none.
pub(crate) const fn unavailable(epoch: StoreEpoch) -> Inserted {
    Inserted::new(Insertion::Unavailable, epoch)
}

impl<S> AnyStore for S
where
    S: AsyncReplayStore,
    S::Error: fmt::Display,
{
    fn insert_one<'a>(&'a self, entry: &'a ReplayEntry, now: UnixTime, meter: Meter) -> BoxFuture<'a, Inserted> {
        Box::pin(async move {
            match self.insert(std::slice::from_ref(entry), now).await.as_deref() {
                Ok([inserted]) => {
                    if inserted.insertion == Insertion::Unavailable {
                        meter.store_failed(StoreFault::Unavailable(inserted.fault));
                    }
                    *inserted
                }
                Ok(answers) => {
                    meter.store_failed(StoreFault::Answers);
                    tracing::error!(target: "keybound", answers = answers.len(), "the replay store answered one question with this many answers");
                    unavailable(self.epoch())
                }
                Err(error) => {
                    meter.store_failed(StoreFault::Error);
                    tracing::error!(target: "keybound", %error, "the replay store failed");
                    unavailable(self.epoch())
                }
            }
        })
    }

    fn epoch_now(&self) -> StoreEpoch {
        self.epoch()
    }

    fn agreed_on(&self) -> Option<ReplayAgreement> {
        self.agreement()
    }
}
