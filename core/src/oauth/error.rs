//! Why a flow ended without its result.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::failure::DiscoveryFailure;
use super::id_token::IdTokenDefect;
use super::post::is_passing;
use super::step::HostError;
use crate::Misuse;

mod from;
mod text;

/// Why a flow ended.
///
/// [`reason`](Self::reason) is stable and is what programs switch on; texts may change.
#[non_exhaustive]
pub enum FlowError {
    /// The calling program is wrong.
    Misuse(Misuse),
    /// The host's own error, untouched: a request that could not be sent, a store that failed.
    Host(HostError),
    /// The session's key does not exist any more. Log in again.
    KeyMissing,
    /// Under the key's name there is another key. Log in again.
    KeyChanged,
    /// The key exists and cannot be used now. Try again, or unlock it.
    KeyUnreadable(HostError),
    /// Metadata could not be found or believed.
    Discovery(Box<DiscoveryFailure>),
    /// An endpoint answered with something that is not the answer of its protocol.
    Answer(Endpoint, AnswerDefect),
    /// An endpoint refused, with an error of OAuth.
    Denied(Box<Denial>),
    /// The authorization response cannot be believed.
    Redirect(RedirectDefect),
    /// The ID token that came with the tokens cannot be believed; nothing was stored.
    IdToken(IdTokenDefect),
    /// Less protection than the session's level demands.
    Downgrade(Downgrade),
    /// The server's algorithms and ours have none in common (RFC 9449 section 5.1).
    NoCommonAlgorithm,
    /// No session is stored under this name.
    NoSession,
    /// What is stored is no session of this client: unreadable, of a newer version, or of another issuer, client, level or key.
    Stored(StoredDefect),
    /// Somebody else replaced the session while it was being changed, again and again.
    Contended,
    /// The session can only go on after a new login: its token is not valid any more and cannot be refreshed.
    LoginRequired,
    /// The same scopes were asked for and granted before, and the resource still refuses.
    StepUpExhausted,
    /// The tokens are for another account than was expected, or than the session had before a refresh; nothing was stored.
    SubjectMismatch,
    /// The server granted other details (RFC 9396) than the intent says, or than were granted before a refresh.
    IntentExceeded,
    /// Redirects lead round in circles.
    TooManyRedirects,
    /// The flow was resumed in a way that its types do not permit.
    Interrupted,
}

/// What a request was sent to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// Protected-resource metadata (RFC 9728) or authorization-server metadata (RFC 8414).
    Metadata,
    /// Dynamic client registration (RFC 7591).
    Registration,
    /// The authorization endpoint, whose answer is a redirect.
    Authorization,
    /// Pushed authorization requests (RFC 9126).
    PushedAuthorization,
    /// The token endpoint.
    Token,
    /// Device authorization (RFC 8628).
    DeviceAuthorization,
    /// Revocation (RFC 7009).
    Revocation,
    /// Introspection (RFC 7662).
    Introspection,
    /// The keys that an issuer signs with (RFC 7517 section 5).
    Keys,
    /// The protected resource.
    Resource,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AnswerDefect {
    /// The status is none that the protocol has, or an error without an error code.
    Status(u16),
    /// The body is not a JSON object.
    NotJson,
    /// A required member is missing or of the wrong type.
    Missing(&'static str),
    /// `DPoP-Nonce` occurs twice or is malformed (RFC 9449 section 8.1).
    Nonce,
    /// A nonce is demanded, but none was given (RFC 9449 section 8).
    NonceWithheld,
    /// A nonce is demanded again although the one just given was used.
    NonceLoop,
    /// A redirect, which this endpoint must not answer with.
    Redirect,
    /// A `token_type` that this client does not know (RFC 6749 section 7.1).
    TokenType,
}

/// What is wrong with metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DiscoveryDefect {
    /// There is none at any of the places where it may be.
    NotFound,
    /// A place where it may be cannot answer now. What it has is not known, so that no other place is asked.
    Unavailable,
    /// `resource` is not the resource that was asked for (RFC 9728 section 3.3).
    ResourceMismatch,
    /// `issuer` is not the issuer that was asked for (RFC 8414 section 3.3).
    IssuerMismatch,
    /// `issuer` is that of many tenants, with a gap for theirs.
    IssuerTemplate,
    /// The issuer is none of those the client accepts.
    IssuerNotAccepted,
    /// The resource names no authorization server.
    NoAuthorizationServer,
    /// A URL in it cannot be used: malformed, or `http` where encryption is required.
    Url(&'static str),
    /// The server has no such endpoint.
    NoEndpoint(Endpoint),
    /// The server does not offer PKCE with S256 (OAuth 2.1 section 4.1.1).
    NoPkce,
    /// The server offers no way for this client to register, and no client was given.
    NoRegistration,
    /// The server permits none of the ways this client can authenticate.
    NoAuthenticationMethod,
}

/// What is wrong with an authorization response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RedirectDefect {
    /// It is no URL of this client's redirect URI.
    Malformed,
    /// A parameter occurs twice.
    Repeated,
    /// `state` is missing.
    StateMissing,
    /// `state` belongs to no pending login: finished, forged, or of another browser.
    StateUnknown,
    /// The login was begun more than 10 minutes ago.
    Expired,
    /// `iss` is missing though the server announced it (RFC 9207 section 2.4).
    IssuerMissing,
    /// `iss` is another issuer: a mix-up (RFC 9207 section 2.4).
    IssuerMismatch,
    /// Neither `code` nor `error`.
    CodeMissing,
}

/// Less protection than demanded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Downgrade {
    /// The token is not bound: `token_type` is not DPoP (RFC 9449 section 5).
    TokenType,
    /// The stored session has a higher level.
    Level,
    /// The server has no pushed authorization requests, which the level requires.
    NoPushedRequests,
    /// The server does not announce `iss`, which the level requires.
    NoIssuerParameter,
    /// The server took a proof without a nonce, which the level forbids.
    NoServerNonce,
    /// The key lives where the level does not permit.
    KeyProtection,
    /// The level requires an intent.
    NoIntent,
    /// A token for an intent came with a refresh token.
    RefreshToken,
    /// A token for an intent came with a scope that was not asked for: it is good for more than the intent.
    IntentScope,
}

/// What is wrong with something stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum StoredDefect {
    /// It cannot be read.
    Malformed,
    /// It was written by a newer version of this library.
    Version,
    /// It belongs to a server on this machine, which is spoken to by `http`, and this client does not permit that.
    Loopback,
    /// It belongs to another issuer than configured.
    Issuer,
    /// It belongs to another client.
    Client,
    /// Its level is below the one configured.
    Level,
    /// It is bound to another key than configured.
    Key,
    /// Its key is for an algorithm that this client, its level or the server does not take.
    Algorithm,
}

/// An OAuth error that an endpoint answered with (RFC 6749 section 5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// Who refused.
    pub endpoint: Endpoint,
    /// The status; 0 if the error came in a redirect.
    pub status: u16,
    /// `error`: at most 100 visible ASCII characters, others replaced by `?`.
    pub error: String,
    /// `error_description`: at most 300 visible ASCII characters and spaces, others replaced by `?`.
    pub description: Option<String>,
}

impl Denial {
    pub(super) fn new(endpoint: Endpoint, status: u16, error: &str, description: Option<&str>) -> Self {
        let description = description.map(|text| shown(text, 300));
        Self { endpoint, status, error: shown(error, 100), description }
    }

    /// Whether the server said this for good. A gateway that is overloaded may repeat any error.
    pub(super) fn is_final(&self, error: &str) -> bool {
        self.error == error && !is_passing(self.status)
    }
}

/// A server's text, safe for a terminal or a log: its first `limit` characters, of which those that are not visible ASCII or a space
/// are replaced by `?`, and backticks by apostrophes. [`Denial`] and [`DiscoveryFailure`](super::DiscoveryFailure) show texts so.
pub fn shown(text: &str, limit: usize) -> String {
    text.chars()
        .take(limit)
        .map(|c| match c {
            '`' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

impl FlowError {
    /// Whether a server said that it does not know the client. Keycloak says `invalid_request` of pushed requests, with the 401 that
    /// only a failed authentication has (RFC 6749 section 5.2).
    pub(super) fn is_unknown_client(&self) -> bool {
        let Self::Denied(denial) = self else { return false };
        let is_pushed = denial.endpoint == Endpoint::PushedAuthorization;
        denial.is_final("invalid_client") || (is_pushed && denial.status == 401 && denial.error == "invalid_request")
    }

    /// Whether a server refused a pushed request for its redirect URI, in one of the ways that servers say that.
    pub(super) fn refuses_redirect_uri(&self) -> bool {
        let Self::Denied(denial) = self else { return false };
        let named = || denial.description.as_ref().is_some_and(|text| text.contains("redirect_uri"));
        denial.endpoint == Endpoint::PushedAuthorization
            && (denial.error == "invalid_redirect_uri" || (denial.error == "invalid_request" && named()))
    }

    /// Whether an endpoint that metadata names is not there: a redirect, 404 or 405; or not for this client: 401 without an OAuth
    /// error, as Spring answers the pushed requests of public clients.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            Self::Answer(_, defect) => matches!(defect, AnswerDefect::Redirect | AnswerDefect::Status(401 | 404 | 405)),
            Self::Denied(denial) => matches!(denial.status, 300..=399 | 404 | 405) && !self.is_unknown_client(),
            _ => false,
        }
    }

    /// Whether only a new login helps: there is no usable session any more, or its key is lost or another one.
    pub const fn needs_login(&self) -> bool {
        match self {
            Self::KeyMissing
            | Self::KeyChanged
            | Self::NoSession
            | Self::Stored(_)
            | Self::LoginRequired
            | Self::SubjectMismatch => true,
            Self::Misuse(_)
            | Self::Host(_)
            | Self::KeyUnreadable(_)
            | Self::Discovery(_)
            | Self::Answer(..)
            | Self::Denied(_)
            | Self::Redirect(_)
            | Self::IdToken(_)
            | Self::Downgrade(_)
            | Self::NoCommonAlgorithm
            | Self::Contended
            | Self::StepUpExhausted
            | Self::IntentExceeded
            | Self::TooManyRedirects
            | Self::Interrupted => false,
        }
    }

    /// Every [`reason`](Self::reason) but those of [`Misuse`].
    pub fn reasons() -> impl Iterator<Item = &'static str> {
        let defects = [
            DiscoveryDefect::REASONS,
            AnswerDefect::REASONS,
            RedirectDefect::REASONS,
            IdTokenDefect::REASONS,
            Downgrade::REASONS,
            StoredDefect::REASONS,
        ];
        Self::REASONS.iter().copied().chain(defects.into_iter().flatten().copied())
    }
}

reasons!(FlowError {
    Self::Host(_) => "host",
    Self::KeyMissing => "key_missing",
    Self::KeyChanged => "key_changed",
    Self::KeyUnreadable(_) => "key_unreadable",
    Self::Denied(_) => "denied",
    Self::NoCommonAlgorithm => "no_common_algorithm",
    Self::NoSession => "no_session",
    Self::Contended => "contended",
    Self::LoginRequired => "login_required",
    Self::StepUpExhausted => "step_up_exhausted",
    Self::SubjectMismatch => "subject_mismatch",
    Self::IntentExceeded => "intent_exceeded",
    Self::TooManyRedirects => "too_many_redirects",
    Self::Interrupted => "interrupted",
} else {
    Self::Misuse(error) => error.reason(),
    Self::Discovery(failure) => failure.defect.reason(),
    Self::Answer(_, defect) => defect.reason(),
    Self::Redirect(defect) => defect.reason(),
    Self::IdToken(defect) => defect.reason(),
    Self::Downgrade(defect) => defect.reason(),
    Self::Stored(defect) => defect.reason(),
});

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Misuse(error) => return error.fmt(f),
            Self::Host(error) => return error.fmt(f),
            Self::KeyMissing => "the session's key does not exist any more; log in again",
            Self::KeyChanged => "the key stored for the session is another key; log in again",
            Self::KeyUnreadable(error) => return write!(f, "the session's key cannot be used now: {error}"),
            Self::Discovery(failure) => return failure.fmt(f),
            Self::Answer(endpoint, defect) => return write!(f, "{endpoint} {defect}"),
            Self::Denied(denial) => return denial.fmt(f),
            Self::Redirect(defect) => return defect.fmt(f),
            Self::IdToken(defect) => return defect.fmt(f),
            Self::Downgrade(defect) => return defect.fmt(f),
            Self::NoCommonAlgorithm => {
                "the server accepts none of this client's signature algorithms; permit one that it names"
            }
            Self::NoSession => "no session is stored under this name; log in first",
            Self::Stored(defect) => return defect.fmt(f),
            Self::Contended => "the session was changed by others again and again; try again",
            Self::LoginRequired => "the session has ended and cannot be refreshed; log in again",
            Self::StepUpExhausted => {
                "the scopes the resource asks for were granted, and it still refuses; ask its operator"
            }
            Self::SubjectMismatch => {
                "the tokens are for another account than was expected; nothing was stored; log in with that account"
            }
            Self::IntentExceeded => {
                "the server granted something else than was asked for or granted before; nothing was accepted"
            }
            Self::TooManyRedirects => "the resource redirects in circles",
            Self::Interrupted => "the flow was resumed in a way it does not permit; begin it again",
        })
    }
}

impl core::error::Error for FlowError {}
debug_as_text!(FlowError, with_reason);

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.endpoint, self.error)?;
        match &self.description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the metadata document",
            Self::Registration => "the registration endpoint",
            Self::Authorization => "the authorization endpoint",
            Self::PushedAuthorization => "the pushed authorization request endpoint",
            Self::Token => "the token endpoint",
            Self::DeviceAuthorization => "the device authorization endpoint",
            Self::Revocation => "the revocation endpoint",
            Self::Introspection => "the introspection endpoint",
            Self::Keys => "the address of the issuer's keys",
            Self::Resource => "the resource",
        })
    }
}

defects!(AnswerDefect {
    Status => "answer_status", "answered with a status that its protocol does not have";
    NotJson => "answer_not_json", "answered with something that is not a JSON object";
    Missing => "answer_incomplete", "left out a required member";
    Nonce => "answer_nonce_malformed", "gave two nonces or a malformed one";
    NonceWithheld => "nonce_withheld", "demands a nonce and gives none; behind a browser, its CORS headers must expose DPoP-Nonce";
    NonceLoop => "nonce_loop", "demands a nonce again although the one just given was used";
    TokenType => "token_type_unknown", "issued a token of a type that this client cannot use";
    Redirect => "answer_redirect", "answered with a redirect, which is not followed with credentials";
});

defects!(DiscoveryDefect {
    NotFound => "metadata_not_found", "no metadata was found at the places where it may be";
    Unavailable => "metadata_unavailable", "the metadata cannot be read now; try again later";
    ResourceMismatch => "resource_mismatch", "the metadata's resource is not the one that was asked for";
    IssuerTemplate => "issuer_template", "the metadata is for many tenants; name yours with `entra_tenant`, or its own issuer";
    IssuerMismatch => "issuer_mismatch", "the metadata's issuer is not the one that was asked for";
    IssuerNotAccepted => "issuer_not_accepted", "the resource names an authorization server that this client does not accept";
    NoAuthorizationServer => "no_authorization_server", "the resource names no authorization server";
    Url => "metadata_url", "a URL in the metadata cannot be used; it must be https, or http on loopback where that is permitted";
    NoEndpoint => "no_endpoint", "the server does not have what this flow needs";
    NoPkce => "no_pkce", "the server does not announce PKCE with S256, without which codes can be stolen";
    NoRegistration => "no_registration", "no credentials are given for this issuer, and this client cannot register with it; give the client's identifier, for this issuer as it is written";
    NoAuthenticationMethod => "no_authentication_method", "the server permits none of the ways this client can authenticate";
});

defects!(RedirectDefect {
    Malformed => "redirect_malformed", "the authorization response is not a URL of this client's redirect URI";
    Repeated => "redirect_repeated", "a parameter of the authorization response occurs twice";
    StateMissing => "state_missing", "the authorization response has no state";
    StateUnknown => "state_unknown", "the authorization response belongs to no login of this client that is pending";
    Expired => "login_expired", "the login was begun more than 10 minutes ago; begin again";
    IssuerMissing => "iss_missing", "the authorization response lacks the iss that the server announced";
    IssuerMismatch => "iss_mismatch", "the authorization response comes from another issuer than was asked";
    CodeMissing => "code_missing", "the authorization response has neither a code nor an error";
});

defects!(IdTokenDefect {
    Malformed => "id_token_malformed", "the ID token is not a signed JWT that can be read here; encrypted ones cannot: have the server sign it alone";
    Algorithm => "id_token_algorithm", "the ID token is unsigned, signed with the client's secret (HS256) or with an unknown algorithm; set the client's id_token_signed_response_alg at the server to ES256, RS256, PS256 or EdDSA";
    Claim => "id_token_claim_invalid", "the ID token lacks a claim, or has one of the wrong type";
    Issuer => "id_token_issuer_mismatch", "the ID token is from another issuer than was asked";
    Audience => "id_token_audience_mismatch", "the ID token is not for this client, or for others too without azp naming this one";
    AuthorizedParty => "id_token_azp_mismatch", "the ID token was issued to another client (azp)";
    Expired => "id_token_expired", "the ID token has expired; check this machine's clock";
    NotYetValid => "id_token_not_yet_valid", "the ID token was issued in the future; check this machine's clock";
    Nonce => "id_token_nonce_mismatch", "the ID token is not from this login: its nonce is not the one that was sent; begin again";
    AccessToken => "id_token_at_hash_mismatch", "the ID token belongs to another access token than it came with (at_hash)";
    KeysUnavailable => "id_token_keys_unavailable", "the ID token cannot be checked, because the issuer's keys cannot be read now; log in again later";
    KeyUnknown => "id_token_key_unknown", "the key that signed the ID token is not among the issuer's keys";
    Signature => "id_token_signature_invalid", "the signature of the ID token does not verify";
});

defects!(Downgrade {
    TokenType => "token_not_bound", "the server issued a token that is not bound to the key; it was discarded";
    Level => "level_lowered", "the stored session has a higher security level; end it first if a lower one is meant";
    NoPushedRequests => "no_pushed_requests", "the level requires pushed authorization requests, which the server does not have";
    NoIssuerParameter => "no_iss_parameter", "the level requires iss in authorization responses, which the server does not announce";
    NoServerNonce => "no_server_nonce", "the level requires server nonces, and the server took a proof without giving one";
    KeyProtection => "key_protection", "the key does not live where the level requires it; use a key in hardware or an HSM";
    NoIntent => "no_intent", "the level requires an intent";
    RefreshToken => "intent_refresh_token", "the server issued a refresh token for an intent; nothing was accepted";
    IntentScope => "intent_scope", "the server granted a scope beside the intent that was not asked for; nothing was accepted";
});

defects!(StoredDefect {
    Malformed => "stored_malformed", "what is stored cannot be read; log in again";
    Version => "stored_version", "what is stored was written by a newer version; update this program or log in again";
    Loopback => "stored_loopback", "the stored session belongs to a server on this machine (http on loopback); set `allow_loopback` to open it";
    Issuer => "stored_issuer", "the stored session belongs to another issuer than configured";
    Client => "stored_client", "the stored session belongs to another client than configured";
    Level => "stored_level", "the stored session has a lower level than configured; log in again";
    Key => "stored_key", "the stored session is bound to another key than configured";
    Algorithm => "stored_algorithm", "the stored session's key is for an algorithm that is not permitted here; log in again";
});
