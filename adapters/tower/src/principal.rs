//! The principal of an admitted request, as handlers see it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use keybound::server::resource::{self, ResourceServer};

use crate::answer::Refused;

/// Whom a request may be attributed to: see [`keybound::server::resource::Principal`] for what it tells.
///
/// With axum it is an extractor; in any service it is an extension of the request. Clones share their parts.
#[derive(Clone)]
pub struct Principal {
    known: Arc<resource::Principal>,
    server: ResourceServer,
}

impl Principal {
    pub(crate) fn new(known: resource::Principal, server: ResourceServer) -> Self {
        Self { known: Arc::new(known), server }
    }

    /// Refuses the request unless its token has all these scopes.
    ///
    /// ```
    /// use keybound_tower::{Principal, Refused};
    /// async fn delete(principal: Principal) -> Result<(), Refused> {
    ///     principal.require_scopes(&["items:write"])?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The answer: 403 with the scopes that are needed (RFC 6750 section 3.1).
    pub fn require_scopes(&self, scopes: &[&str]) -> Result<(), Refused> {
        self.server.require_scopes(&self.known, scopes).map_err(|refusal| Refused(Box::new(refusal)))
    }
}

impl Deref for Principal {
    type Target = resource::Principal;

    fn deref(&self) -> &Self::Target {
        &self.known
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known.fmt(f)
    }
}
