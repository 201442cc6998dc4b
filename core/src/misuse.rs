//! The caller is wrong: errors about arguments and configuration, each saying what to do instead.

use core::fmt;

use crate::crypto::RandomUnavailable;
use crate::http::uri::UriError;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::JwkError;
use crate::jose::signature::SignatureError;

/// A mistake of the calling program, as opposed to one of the peer ([`Rejection`](crate::Rejection)) or of the host.
///
/// It holds no secret and nothing from the peer.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The URL given for the request is no absolute `http` or `https` URI.
    Target(UriError),
    /// The URL given for an option of a resource server, named first, is not an absolute `http` or `https` URL.
    Url(&'static str, UriError),
    /// The address of metadata was given for an issuer.
    IssuerMetadata,
    /// The method is empty or no token (RFC 9110 section 9.1).
    Method,
    /// The access token is empty or holds characters a header cannot carry (RFC 9110 section 11.2).
    AccessToken,
    /// The nonce is empty or holds characters outside NQCHAR (RFC 9449 section 8.1).
    Nonce,
    /// The `jti` is empty or longer than 512 bytes.
    Jti,
    /// The time lies before 1970.
    Time,
    /// A caller's claim or header parameter has a name that the proof itself uses.
    ReservedName,
    /// A caller's claim or header parameter has the same name as another.
    DuplicateName,
    /// The proof would have more claims or header parameters than verifiers read: 64 of each, and 256 values in all.
    TooManyMembers,
    /// The text given for a claim or header parameter is not one JSON value within the limits.
    Json,
    /// The finished proof would be longer than 16 KiB, which no verifier has to take.
    ProofTooLong,
    /// The key's type does not fit the algorithm.
    AlgorithmKey(Algorithm),
    /// This build's crypto provider has no such algorithm, or cannot sign with it in this process.
    AlgorithmUnavailable(Algorithm),
    /// The signature is of another algorithm than the proof it should complete.
    SignatureAlgorithm,
    /// The signature has a wrong length or encoding.
    Signature(SignatureError),
    /// The signature does not verify with the key that was announced: wrong key, hash or encoding at the signer.
    SignatureDoesNotVerify,
    /// The key is not usable.
    Key(JwkError),
    /// The private key is malformed, or its public part is not the one given with it.
    PrivateKey,
    /// A text that is not a private key in PEM; it says what the text is, and what to do.
    PrivateKeyForm(&'static str),
    /// A private key of a kind that proofs are not signed with; the text names the kind.
    PrivateKeyKind(&'static str),
    /// A JWK without a member that private keys of its type have; the name says which.
    JwkMember(&'static str),
    /// A number of the policy is outside its bounds; the text names it, between backticks, with its bounds.
    PolicyBound(&'static str),
    /// The policy permits no algorithm.
    NoAlgorithms,
    /// A fixed profile's set of algorithms cannot be widened.
    ProfileAlgorithms,
    /// The policy requires nonces, but the verifier has no nonce issuer.
    NonceIssuerMissing,
    /// Nonces for public clients alone, and a policy by which every client needs one.
    NoncesOfSome,
    /// A protected resource without issuer and without introspection, which accepts no token.
    NoIssuer,
    /// A replay store that is made for another policy than that of the verifier that is to use it.
    StoreDisagreement(StoreDifference),
    /// The source of randomness failed.
    Random,
    /// A URL that is neither `https` nor, where that is permitted, `http` on loopback.
    InsecureUrl,
    /// The URL given for an option of a resource server, which is named, is neither `https` nor `http` on loopback.
    NotHttps(&'static str),
    /// A redirect URI that is not an absolute URI without fragment (OAuth 2.1 section 2.3), or `http` elsewhere than on loopback.
    RedirectUri,
    /// The flow needs a redirect URI, and the client has none.
    RedirectUriMissing,
    /// A target that lies neither under the session's resource nor in an origin the client was given.
    OutsideResource,
    /// The request carries a field that the flow sets itself: `Authorization` or `DPoP`.
    ReservedField,
    /// The level binds tokens, and this build has no DPoP.
    LevelNeedsDpop,
    /// The key that proofs are made with and the one the client authenticates with are the same key.
    SameKey,
    /// The host made a key for an algorithm that was not asked for.
    KeyAlgorithm,
    /// An empty name, or one longer than 256 bytes.
    Name,
    /// The session cannot be extended in this way: it has no user who could be asked.
    NoUser,
    /// A realm or scope with characters that a header field cannot hold.
    FieldValue,
    /// An intent at a level that binds no tokens.
    IntentUnbound,
    /// An intent of a client that would also take an unbound token.
    IntentAcceptsBearer,
    /// A path for intents that is no absolute path in normal form.
    IntentPath,
    /// A lifetime of an intent outside 1 to 3,600 seconds, or one without an intent.
    IntentLifetime,
    /// `without_pushed_request` for a request that has to be pushed; the text says why it has to.
    PushedRequest(&'static str),
    /// A session whose key cannot be replaced; the text says why not, and what to do.
    Rekey(&'static str),
    /// An option of [`Cors`](crate::server::cors::Cors) that cannot be used; the text says what to write.
    Cors(&'static str),
    /// A tenant of Entra ID that is not a GUID.
    EntraTenant,
    /// An expected subject that is empty or longer than 2,048 bytes.
    SubjectLength,
    /// A provisional session that would have to be renewed: it is not kept yet.
    Provisional,
    /// A session that another client made or opened.
    ForeignSession,
    /// A client at [`SecurityLevel::Maximum`](crate::SecurityLevel::Maximum) that would take unbound tokens.
    BearerAtMaximum,
    /// No crypto provider was chosen, and this build has no default.
    CryptoMissing,
    /// An authorization server that is to limit its clients, which the host authenticates.
    ClientLimit,
    /// Addresses are limited behind proxies that do not say from which address a request came.
    LimitBehindProxies,
    /// A resource server has to ask authorization servers, and has nothing to ask them by.
    TransportMissing,
}

/// What a replay store and a verifier that is to use it do not agree on: the first setting that differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StoreDifference {
    /// Of one of them the digest alone is known.
    Unknown,
    /// A number of seconds.
    Seconds {
        /// Its name in a policy.
        name: &'static str,
        /// That of the store.
        store: u64,
        /// That of the verifier.
        verifier: u64,
    },
    /// What times a proof: its nonce or its `iat`.
    TimeSource {
        /// Whether it is the nonce for the store, and `iat` for the verifier.
        store_by_nonce: bool,
    },
}

reasons!(Misuse {
    Self::Target(_) | Self::Url(..) | Self::IssuerMetadata => "target_unusable",
    Self::Method => "method_unusable",
    Self::AccessToken => "access_token_unusable",
    Self::Nonce => "nonce_unusable",
    Self::Jti => "jti_unusable",
    Self::Time => "time_unusable",
    Self::ReservedName => "reserved_name",
    Self::DuplicateName => "duplicate_name",
    Self::TooManyMembers => "too_many_members",
    Self::Json => "not_json",
    Self::ProofTooLong => "proof_too_long",
    Self::AlgorithmKey(_) => "algorithm_key",
    Self::AlgorithmUnavailable(_) => "algorithm_unavailable",
    Self::SignatureAlgorithm => "signature_algorithm",
    Self::Signature(_) => "signature_malformed",
    Self::SignatureDoesNotVerify => "signature_does_not_verify",
    Self::Key(_) => "key_unusable",
    Self::PrivateKey | Self::PrivateKeyKind(_) => "private_key_unusable",
    Self::PrivateKeyForm(_) => "private_key_form",
    Self::JwkMember(_) => "jwk_member_missing",
    Self::PolicyBound(_) => "policy_bound",
    Self::NoAlgorithms => "no_algorithms",
    Self::ProfileAlgorithms => "profile_algorithms",
    Self::NonceIssuerMissing => "nonce_issuer_missing",
    Self::NoncesOfSome => "nonces_of_some",
    Self::NoIssuer => "no_issuer",
    Self::StoreDisagreement(_) => "store_disagreement",
    Self::Random => "random",
    Self::InsecureUrl | Self::NotHttps(_) => "insecure_url",
    Self::RedirectUri => "redirect_uri_unusable",
    Self::RedirectUriMissing => "redirect_uri_missing",
    Self::OutsideResource => "outside_resource",
    Self::ReservedField => "reserved_field",
    Self::LevelNeedsDpop => "level_needs_dpop",
    Self::SameKey => "same_key",
    Self::KeyAlgorithm => "key_algorithm",
    Self::Name => "session_name",
    Self::NoUser => "no_user",
    Self::FieldValue => "field_value",
    Self::IntentUnbound => "intent_unbound",
    Self::IntentAcceptsBearer => "intent_accepts_bearer",
    Self::IntentPath => "intent_path",
    Self::IntentLifetime => "intent_lifetime",
    Self::PushedRequest(_) => "pushed_request_required",
    Self::Rekey(_) => "key_not_replaceable",
    Self::EntraTenant => "entra_tenant",
    Self::SubjectLength => "subject_length",
    Self::Provisional => "provisional_session",
    Self::ForeignSession => "foreign_session",
    Self::BearerAtMaximum => "bearer_at_maximum",
    Self::Cors(_) => "cors_unusable",
    Self::CryptoMissing => "crypto_missing",
    Self::ClientLimit => "client_limit",
    Self::LimitBehindProxies => "limit_behind_proxies",
    Self::TransportMissing => "transport_missing",
});

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => write!(f, "the request's URL cannot be used: {error}"),
            Self::Url(option, error) => write!(f, "the URL of `{option}` cannot be used: {error}"),
            Self::IssuerMetadata => f.write_str(
                "`issuer` is the address of metadata; give the issuer that is named there, the part without /.well-known/…",
            ),
            Self::Method => f.write_str("the method is not a token; give it as sent, for example GET"),
            Self::AccessToken => {
                f.write_str("the access token is empty or holds characters outside visible ASCII; give it without its scheme")
            }
            Self::Nonce => f.write_str("the nonce is empty or holds characters a DPoP-Nonce cannot; give the field's value as received"),
            Self::Jti => f.write_str("the jti is empty or longer than 512 bytes; use 16 random bytes as base64url"),
            Self::Time => f.write_str("the time lies before 1970; give seconds since then"),
            Self::ReservedName => f.write_str("this claim or header parameter belongs to the proof itself; choose another name"),
            Self::DuplicateName => f.write_str("this claim or header parameter was given twice"),
            Self::TooManyMembers => f.write_str("the proof would have more than 64 claims or header parameters, or more than 256 values in them; add fewer"),
            Self::Json => f.write_str("the value is not one JSON value; quote strings, or use the method for text"),
            Self::ProofTooLong => f.write_str("the proof would be longer than 16 KiB; add fewer or shorter claims"),
            Self::AlgorithmKey(algorithm) => write!(f, "the key's type does not fit {algorithm}"),
            Self::AlgorithmUnavailable(algorithm) => write!(
                f,
                "this build cannot do {algorithm}; RSA signing needs keybound-aws-lc, ML-DSA the feature ml-dsa"
            ),
            Self::SignatureAlgorithm => f.write_str("the signature is of another algorithm than the proof"),
            Self::Signature(error) => error.fmt(f),
            Self::SignatureDoesNotVerify => f.write_str(
                "the signer's signature does not verify with its public key; check which key it used, that it signed the \
                 message or its digest as offered, and whether it gives DER or R and S side by side",
            ),
            Self::Key(error) => error.fmt(f),
            Self::PrivateKey => f.write_str("the private key is malformed or does not belong to the public part beside it"),
            Self::PrivateKeyForm(what) => write!(f, "the private key cannot be read: {what}"),
            Self::PrivateKeyKind(kind) => write!(
                f,
                "the private key is {kind}, and proofs are not signed with it; take a key of P-256, P-384, P-521, Ed25519 or RSA (2,048 to 8,192 bits)"
            ),
            Self::JwkMember(name) => write!(f, "the JWK has no member {name}, which private keys of its type have; a public key cannot sign"),
            Self::PolicyBound(which) => write!(f, "{which} is outside its bounds"),
            Self::NoAlgorithms => f.write_str("the policy permits no algorithm; name at least one"),
            Self::ProfileAlgorithms => f.write_str("this profile's set of algorithms cannot be widened; start from the default policy"),
            Self::NonceIssuerMissing => f.write_str("the policy requires nonces, and the verifier makes none; give it keys for nonces"),
            Self::NoncesOfSome => f.write_str(
                "`nonces_for_public_clients` gives confidential clients no nonce, and this policy refuses every proof without one; leave \
                 `nonces_for_public_clients` out, or take a policy that neither requires nonces nor times proofs by them",
            ),
            Self::NoIssuer => f.write_str(
                "no token would be accepted; name the authorization servers that are trusted as `issuer`s, for example https://as.example.com, \
                 or give `introspection`",
            ),
            Self::StoreDisagreement(difference) => {
                write!(f, "{difference}; the store would refuse every proof: make it with the verifier's policy")
            }
            Self::Random => RandomUnavailable.fmt(f),
            Self::InsecureUrl => f.write_str("the URL is not https, or wss for a WebSocket; http and ws are for loopback, with `allow_loopback`"),
            Self::NotHttps(option) => {
                write!(f, "the URL of `{option}` is not https; http is for loopback alone, such as 127.0.0.1")
            }
            Self::RedirectUri => f.write_str(
                "`redirect_uri` cannot be used; give an absolute URI without fragment: https, a custom scheme, or http on \
                 loopback, such as http://127.0.0.1/callback",
            ),
            Self::RedirectUriMissing => f.write_str("this flow needs a redirect URI; give the client one with `redirect_uri`"),
            Self::OutsideResource => f.write_str(
                "the target lies outside the session's resource, so it does not get its token; name its origin with \
                 `also_origin` if it is meant",
            ),
            Self::ReservedField => f.write_str("the request has a field that the session sets itself; leave Authorization and DPoP out"),
            Self::LevelNeedsDpop => f.write_str("this build has no DPoP; enable the feature dpop or use the level standard"),
            Self::SameKey => f.write_str("one key signs proofs and authenticates the client; use two"),
            Self::KeyAlgorithm => f.write_str("the host made a key for an algorithm that was not asked for; the request to make a key lists those that are"),
            Self::Name => f.write_str("a session's name has 1 to 256 bytes"),
            Self::IntentUnbound => f.write_str("an intent is bound to a key; ask for it at the level enhanced or maximum"),
            Self::IntentAcceptsBearer => {
                f.write_str("an intent is never unbound; use a client without `danger_accept_bearer` for it")
            }
            Self::IntentPath => f.write_str(
                "a path whose handler carries out intents begins with a slash and has no query, no dot segments and no needless \
                 percent-encoding, for example /payments or /payments/*",
            ),
            Self::IntentLifetime => f.write_str("`intent_lifetime` is 1 to 3,600 seconds, of an intent; give both, or leave it out"),
            Self::PushedRequest(why) => write!(f, "`without_pushed_request` has no place {why}; leave it out"),
            Self::Rekey(why) => write!(f, "the session keeps its key: {why}"),
            Self::Cors(what) => write!(f, "cors cannot be used: {what}"),
            Self::EntraTenant => f.write_str(
                "`entra_tenant` is the GUID of a tenant, for example 00000000-0000-0000-0000-000000000001; a domain's is shown in its overview",
            ),
            Self::SubjectLength => f.write_str("`expect_subject` is the sub of an account, of 1 to 2,048 bytes"),
            Self::Provisional => f.write_str(
                "a provisional session is not renewed; call `keep` with it once its subject is verified, or `end`",
            ),
            Self::ForeignSession => f.write_str(
                "another client made or opened this session, and its store holds it; use it with that client, or open it by name with this one",
            ),
            Self::BearerAtMaximum => {
                f.write_str("`danger_accept_bearer` has no effect at the level maximum; leave it out, or use enhanced")
            }
            Self::CryptoMissing => f.write_str(
                "no crypto provider was chosen; call .crypto(&keybound::RUSTCRYPTO), or enable the feature aws-lc",
            ),
            Self::TransportMissing => f.write_str(
                "keys or answers of authorization servers have to be fetched, and nothing here does that; enable the feature fetch, give \
                 .transport(…), or give the keys with .issuer_with_keys(…)",
            ),
            Self::ClientLimit => f.write_str(
                "an authorization server does not know which client asks; limit clients where they are authenticated, and addresses and keys here",
            ),
            Self::LimitBehindProxies => f.write_str(
                "the proxies do not say from which address a request came, so that all would share one limit; let them set X-Forwarded-For, and \
                 say so by `client_addresses`",
            ),
            Self::FieldValue => f.write_str("the text for a challenge has characters that a field cannot hold; use printable ASCII"),
            Self::NoUser => f.write_str("this session was not made by a login, so no user can grant more; ask for the scope at its beginning"),
        }
    }
}

impl fmt::Display for StoreDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "this policy has another `max_age`, `max_ahead`, `store_margin` or time source than that of its replay store",
            ),
            Self::Seconds { name, store, verifier } => {
                write!(f, "`{name}` is {verifier} s in this policy and {store} s in that of its replay store")
            }
            Self::TimeSource { store_by_nonce } => {
                let by = |nonce| if nonce { "their nonce" } else { "their iat" };
                let (verifier, store) = (by(!store_by_nonce), by(*store_by_nonce));
                write!(f, "this policy times proofs by {verifier}, and that of its replay store by {store}")
            }
        }
    }
}

impl core::error::Error for Misuse {}
debug_as_text!(Misuse, with_reason);

impl From<RandomUnavailable> for Misuse {
    fn from(_: RandomUnavailable) -> Self {
        Self::Random
    }
}

impl From<SignatureError> for Misuse {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}

impl From<JwkError> for Misuse {
    fn from(error: JwkError) -> Self {
        Self::Key(error)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::{Misuse, StoreDifference};
    use crate::http::uri::UriError;
    use crate::jose::algorithm::Algorithm;
    #[cfg(feature = "oauth")]
    use crate::oauth::FlowError;

    /// Other languages show these texts. Those of [`Misuse::CryptoMissing`] and [`Misuse::TokenSourceMissing`] only a program in Rust sees.
    #[test]
    fn no_text_names_an_item_of_rust() {
        for misuse in [
            Misuse::Url("issuer", UriError::Origin),
            Misuse::IssuerMetadata,
            Misuse::NotHttps("resource"),
            Misuse::Method,
            Misuse::AccessToken,
            Misuse::Nonce,
            Misuse::Jti,
            Misuse::Time,
            Misuse::ReservedName,
            Misuse::DuplicateName,
            Misuse::TooManyMembers,
            Misuse::Json,
            Misuse::ProofTooLong,
            Misuse::AlgorithmKey(Algorithm::Ps256),
            Misuse::AlgorithmUnavailable(Algorithm::Ps256),
            Misuse::SignatureAlgorithm,
            Misuse::SignatureDoesNotVerify,
            Misuse::PrivateKey,
            Misuse::PrivateKeyForm("it is a public key"),
            Misuse::PrivateKeyKind("a key of X25519"),
            Misuse::JwkMember("d"),
            Misuse::PolicyBound("`max_age` (1 to 300 seconds)"),
            Misuse::NoAlgorithms,
            Misuse::ProfileAlgorithms,
            Misuse::NonceIssuerMissing,
            Misuse::NoncesOfSome,
            Misuse::NoIssuer,
            Misuse::StoreDisagreement(StoreDifference::Unknown),
            Misuse::Random,
            Misuse::InsecureUrl,
            Misuse::RedirectUri,
            Misuse::RedirectUriMissing,
            Misuse::OutsideResource,
            Misuse::ReservedField,
            Misuse::LevelNeedsDpop,
            Misuse::SameKey,
            Misuse::KeyAlgorithm,
            Misuse::Name,
            Misuse::NoUser,
            Misuse::FieldValue,
            Misuse::IntentUnbound,
            Misuse::IntentAcceptsBearer,
            Misuse::IntentPath,
            Misuse::IntentLifetime,
            Misuse::PushedRequest("max_age"),
            Misuse::Rekey("its tokens are not bound to a key"),
            Misuse::Cors("without an origin no page may call"),
            Misuse::EntraTenant,
            Misuse::SubjectLength,
            Misuse::Provisional,
            Misuse::ForeignSession,
            Misuse::BearerAtMaximum,
            Misuse::ClientLimit,
            Misuse::LimitBehindProxies,
        ] {
            let text = misuse.to_string();
            assert!(!text.contains("::") && !text.contains("with_"), "{text}");
            assert!(!crate::Spelling::Snake.spelled(&text).contains('`'), "{text}");
        }
    }

    /// What a program shows whose `main` returns an error: neither the name of a variant nor what it holds.
    #[test]
    fn debug_of_an_error_is_its_text() {
        let insecure = format!("{:?}", Misuse::InsecureUrl);
        assert_eq!(insecure, format!("{} (insecure_url)", Misuse::InsecureUrl));
        let target = Misuse::Target(UriError::NotAbsolute);
        assert_eq!(format!("{target:?}"), format!("{target} (target_unusable)"));
        assert_eq!(format!("{:?}", UriError::Port), UriError::Port.to_string());
        #[cfg(feature = "oauth")]
        for error in [FlowError::LoginRequired, FlowError::Misuse(target), FlowError::Host("no route".into())] {
            assert_eq!(format!("{error:?}"), format!("{error} ({})", error.reason()));
        }
    }
}
