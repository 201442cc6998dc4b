//! What a client did, as audit records: tokens issued and renewed, keys replaced, refusals.

use super::client::Inner;
use super::credentials::Credentials;
use super::session::Session;
use crate::UnixTime;

/// What a record is about.
#[cfg_attr(not(feature = "audit"), allow(dead_code, reason = "nothing looks at it then"))]
#[derive(Clone, Copy)]
pub(super) enum Deed {
    Issue,
    Refresh,
    Rotation,
    Request,
}

/// Whose it is. Nothing is copied unless records are kept.
pub(super) struct Who(#[cfg(feature = "audit")] crate::audit::Facts);

#[cfg(not(feature = "audit"))]
impl Inner {
    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn asks(&self, _: &Credentials, _: Option<&super::binding::Binding>) -> Option<Who> {
        None
    }

    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn of_session(&self, _: &Session) -> Option<Who> {
        None
    }

    #[allow(clippy::unused_self, reason = "as with the feature")]
    pub(super) const fn note(&self, _: Option<&Who>, _: Deed, _: Option<&'static str>, _: UnixTime) {}
}

#[cfg(feature = "audit")]
mod kept {
    use alloc::vec::Vec;

    use super::{Credentials, Deed, Inner, Session, UnixTime, Who};
    use crate::audit::{AuditRecord, Facts, Occasion, Operation};
    use crate::oauth::binding::Binding;
    use crate::oauth::client::Client;

    /// How many records are kept until they are taken. Those beyond it are lost.
    const MAX_KEPT: usize = 1_024;

    impl Client {
        /// Keeps a record of each token issued or renewed, each key replaced, and each refusal, from now on: see
        /// [`take_records`](Self::take_records). They name the client and the key of the session, and no token.
        pub fn keep_records(&self) {
            self.0.shared.lock().records.get_or_insert_default();
        }

        /// The records since the last call, the oldest first: 1,024 at most.
        pub fn take_records(&self) -> Vec<AuditRecord> {
            self.0.shared.lock().records.as_mut().map(core::mem::take).unwrap_or_default()
        }
    }

    impl Inner {
        pub(in crate::oauth) fn asks(&self, credentials: &Credentials, binding: Option<&Binding>) -> Option<Who> {
            let is_kept = self.shared.lock().records.is_some();
            is_kept.then(|| Who(Facts::of_client(credentials.client_id(), binding.map(Binding::thumbprint))))
        }

        pub(in crate::oauth) fn of_session(&self, session: &Session) -> Option<Who> {
            let binding = session.0.live.lock().state.binding.clone();
            self.asks(&session.0.credentials, binding.as_ref())
        }

        /// Keeps a record of what was done, or of what it was refused for.
        pub(in crate::oauth) fn note(
            &self,
            who: Option<&Who>,
            deed: Deed,
            refused: Option<&'static str>,
            now: UnixTime,
        ) {
            if let Some(Who(facts)) = who {
                self.keep(AuditRecord::of_client(&occasion(deed, now), refused, facts));
            }
        }

        fn keep(&self, record: AuditRecord) {
            if let Some(records) = &mut self.shared.lock().records
                && records.len() < MAX_KEPT
            {
                records.push(record);
            }
        }
    }

    const fn occasion(deed: Deed, now: UnixTime) -> Occasion<'static> {
        Occasion::new(
            match deed {
                Deed::Issue => Operation::Issue,
                Deed::Refresh => Operation::Refresh,
                Deed::Rotation => Operation::Rotation,
                Deed::Request => Operation::Request,
            },
            now,
        )
    }
}
