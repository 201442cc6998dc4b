//! What a request to an authorization server asks for, and which keys it may be bound to.

use crate::TargetUri;
use crate::http::form::Form;
use crate::jose::thumbprint::Thumbprint;
use crate::server::Arrival;
use crate::verify::refusal::Refusal;

/// Whether a client can keep a secret (OAuth 2.1 section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientType {
    /// It cannot: apps and pages. Its refresh tokens are bound to its key (RFC 9449 section 5).
    Public,
    /// It can, and was authenticated. Its refresh tokens are bound to its credentials, so it may change keys.
    Confidential,
}

/// What a request asks for, as the host looked it up.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Grant<'a> {
    /// A token for an authorization code.
    AuthorizationCode {
        /// The key that the authorization request announced by `dpop_jkt` or a proof (RFC 9449 section 10).
        dpop_jkt: Option<Thumbprint>,
    },
    /// A token for a refresh token.
    RefreshToken {
        /// The key that the refresh token is bound to, as [`Admitted::refresh_binding`](super::Admitted::refresh_binding) said.
        bound_to: Option<Thumbprint>,
    },
    /// A token for a device code (RFC 8628).
    DeviceCode {
        /// The key that the device request announced.
        bound_to: Option<Thumbprint>,
    },
    /// A token in the client's own name.
    ClientCredentials,
    /// A token for other tokens: token exchange (RFC 8693) and assertions (RFC 7523).
    Derived {
        /// The keys in `cnf` of the tokens shown: subject, actor, assertion. See [`confirmed_key`](crate::server::resource::confirmed_key).
        confirmed: &'a [Thumbprint],
        /// Whether policy names this confidential client for binding tokens anew to another key.
        may_rebind: bool,
    },
    /// No token yet: a pushed authorization request (RFC 9126) or a device authorization request (RFC 8628).
    ///
    /// The proof of a public client's announcement does not go into the replay store: anyone can send one, and it uses nothing up.
    Announcement {
        /// The parameter `dpop_jkt`, read by [`Grant::announcement`].
        dpop_jkt: Option<Thumbprint>,
    },
}

impl Grant<'_> {
    /// A pushed or device request with these parameters.
    ///
    /// # Errors
    /// The refusal to send if `dpop_jkt` is there and is not a thumbprint, or occurs twice (RFC 9449 section 10).
    pub fn announcement(form: &Form) -> Result<Self, Refusal> {
        dpop_jkt(form).map(|dpop_jkt| Self::Announcement { dpop_jkt })
    }
}

/// The parameter `dpop_jkt` of an authorization request (RFC 9449 section 10).
///
/// # Errors
/// The refusal to send if it is not a thumbprint or occurs twice.
pub(crate) fn dpop_jkt(form: &Form) -> Result<Option<Thumbprint>, Refusal> {
    let invalid =
        |_| Refusal::with_body(Refusal::DPOP_JKT_MALFORMED, "invalid_request", "dpop_jkt is not a thumbprint", None);
    match form.get("dpop_jkt") {
        Ok(None) => Ok(None),
        Ok(Some(text)) => Thumbprint::parse(text).map(Some).ok_or(()).map_err(invalid),
        Err(_) => Err(invalid(())),
    }
}

/// A request to an endpoint of the authorization server, as far as its proof is concerned.
#[derive(Clone, Copy)]
pub struct EndpointRequest<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a TargetUri,
    pub(super) proofs: &'a [&'a [u8]],
    pub(super) client: ClientType,
    pub(super) grant: Grant<'a>,
    pub(super) must_bind: bool,
    pub(super) arrival: Arrival,
}

impl<'a> EndpointRequest<'a> {
    /// A request of an authenticated or public client. `proofs` are the values of all `DPoP` fields, `target` the
    /// endpoint's own URL from configuration.
    pub const fn new(
        method: &'a str,
        target: &'a TargetUri,
        proofs: &'a [&'a [u8]],
        client: ClientType,
        grant: Grant<'a>,
    ) -> Self {
        Self { method, target, proofs, client, grant, must_bind: false, arrival: Arrival::unknown() }
    }

    /// The same of a client that is registered with `dpop_bound_access_tokens` (RFC 9449 section 5.2): without a proof it is
    /// refused.
    #[must_use]
    pub const fn must_bind(self, must_bind: bool) -> Self {
        Self { must_bind, ..self }
    }

    /// The same, from where and when, and in which life of the host's replay store.
    #[must_use]
    pub const fn arriving(self, arrival: Arrival) -> Self {
        Self { arrival, ..self }
    }

    /// Whether a stored grant, or a token that was shown, names the key that the proof has to be made with. What an announcement names
    /// its sender chose.
    pub(super) fn names_key(&self) -> bool {
        !matches!(self.grant, Grant::Announcement { .. }) && matches!(self.expected(), Ok(Some(_)))
    }

    /// The key that the proof has to be made with, if there is one; an error if keys contradict each other.
    pub(super) fn expected(&self) -> Result<Option<Thumbprint>, Contradiction> {
        match self.grant {
            Grant::AuthorizationCode { dpop_jkt } | Grant::Announcement { dpop_jkt } => Ok(dpop_jkt),
            Grant::DeviceCode { bound_to } => Ok(bound_to),
            Grant::RefreshToken { bound_to } => Ok(bound_to.filter(|_| self.client == ClientType::Public)),
            Grant::ClientCredentials => Ok(None),
            Grant::Derived { may_rebind: true, .. } if self.client == ClientType::Confidential => Ok(None),
            Grant::Derived { confirmed, .. } => match confirmed {
                [] => Ok(None),
                [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(Some(*first)),
                _ => Err(Contradiction),
            },
        }
    }
}

/// Tokens that are bound to different keys cannot be shown with one proof.
pub(super) struct Contradiction;
