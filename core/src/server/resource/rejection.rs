//! Why a request is refused for its credentials or its access token: one value for each defect.

use core::fmt;

macro_rules! rejections {
    ($($(#[$doc:meta])* $variant:ident = $reason:literal, $wire:ident, $meaning:literal;)*) => {
        /// The request is refused for its credentials or its access token, and this is the defect. What is wrong with a proof
        /// is a [`Rejection`](crate::Rejection).
        ///
        /// It holds nothing from the peer. The texts go into `error_description`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum TokenRejection { $($(#[$doc])* $variant,)* }

        impl TokenRejection {
            /// Every rejection.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// A stable name for machines, in snake case.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)* }
            }

            const fn wire(self) -> Wire {
                match self { $(Self::$variant => Wire::$wire,)* }
            }

            const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

/// How a rejection is answered (RFC 6750 section 3.1).
#[derive(Clone, Copy)]
enum Wire {
    /// 401 without `error`: nothing was sent that could be wrong.
    Nothing,
    /// 400 `invalid_request`.
    Request,
    /// 401 `invalid_token`.
    Token,
    /// 403 `insufficient_scope`.
    Scope,
}

impl TokenRejection {
    /// The HTTP status it is answered with: 400, 401 or 403.
    pub const fn status(self) -> u16 {
        match self.wire() {
            Wire::Request => 400,
            Wire::Nothing | Wire::Token => 401,
            Wire::Scope => 403,
        }
    }

    /// The `error` it is answered with (RFC 6750 section 3.1); none where no credentials were sent.
    pub const fn error(self) -> Option<&'static str> {
        match self.wire() {
            Wire::Nothing => None,
            Wire::Request => Some("invalid_request"),
            Wire::Token => Some("invalid_token"),
            Wire::Scope => Some("insufficient_scope"),
        }
    }
}

rejections! {
    /// The request has no `Authorization` field, or one with a scheme that is not used here.
    CredentialsMissing = "credentials_missing", Nothing, "the request has no access token";
    /// The request has more than one `Authorization` field, or one that holds several credentials.
    CredentialsRepeated = "credentials_repeated", Request, "the request has more than one set of credentials";
    /// The request's target is no URI that a proof could be for.
    TargetMalformed = "target_malformed", Request, "the request's target is malformed";
    /// The request states another mount point than configured, or a path other than the one it was sent to.
    MountPathMismatch = "mount_path_mismatch", Request, "the request states another mount point than this server has";
    /// The token is empty, or holds characters that a token cannot (RFC 9110 section 11.2), or is no signed JWT.
    TokenMalformed = "token_malformed", Token, "the access token is malformed";
    /// The token is longer than 16 KiB.
    TokenTooLarge = "token_too_large", Token, "the access token is too long";
    /// The token came with the scheme Bearer, which is not used here.
    SchemeNotAccepted = "scheme_not_accepted", Token, "access tokens are accepted with the DPoP scheme only";
    /// The token's `alg` is `none`, a MAC, or not permitted.
    TokenAlgNotPermitted = "token_alg_not_permitted", Token, "the access token is signed with an algorithm that is not accepted";
    /// The token's header asks for an extension that is not understood.
    TokenCritUnsupported = "token_crit_unsupported", Token, "the access token asks for an extension that is not understood";
    /// The token's `typ` is not `at+jwt` (RFC 9068 section 4), or what its issuer's [`IssuerProfile`](super::IssuerProfile) has instead.
    TokenTypMismatch = "token_typ_mismatch", Token, "the typ of the token is not one that access tokens of its issuer have";
    /// The token lacks what its issuer's access tokens have, or has what only ID tokens and others have: see
    /// [`IssuerProfile`](super::IssuerProfile).
    NotAccessToken = "not_access_token", Token, "the token is not an access token of its issuer";
    /// A claim that is needed is missing or of the wrong type.
    TokenClaimInvalid = "token_claim_invalid", Token, "the access token lacks a claim, or has one of the wrong type";
    /// The token is from another issuer.
    IssuerMismatch = "issuer_mismatch", Token, "the access token is from an issuer that is not trusted here";
    /// The token is for another resource.
    AudienceMismatch = "audience_mismatch", Token, "the access token is for another resource";
    /// The token is for its own client, as ID tokens are, from an issuer whose tokens cannot be told apart otherwise.
    AudienceIsClient = "audience_is_client", Token, "the token is for the client it was issued to, not for this resource";
    /// The token's time is over.
    TokenExpired = "token_expired", Token, "the access token has expired";
    /// The token's time has not come yet.
    TokenNotYetValid = "token_not_yet_valid", Token, "the access token is not valid yet";
    /// The issuer has no key with the token's `kid` and `alg`.
    TokenKeyUnknown = "token_key_unknown", Token, "the key that signed the access token is unknown";
    /// The token's signature does not verify.
    TokenSignatureInvalid = "token_signature_invalid", Token, "the signature of the access token does not verify";
    /// The authorization server says that the token is not active, or what it says is not an answer.
    TokenInactive = "token_inactive", Token, "the access token is not active";
    /// `cnf` is malformed.
    ConfirmationInvalid = "confirmation_invalid", Token, "the confirmation (cnf) of the access token is malformed";
    /// Nothing in `cnf` is understood, so that the binding cannot be checked.
    ConfirmationUnknown = "confirmation_unknown", Token, "the access token is bound in a way that is not understood";
    /// The token is bound to another client certificate than the connection's (RFC 8705 section 3).
    CertificateMismatch = "certificate_mismatch", Token, "the access token is bound to another client certificate";
    /// The scheme is DPoP, but the token is not bound to a key.
    TokenUnbound = "token_unbound", Token, "the access token is not bound to a DPoP key";
    /// The token is bound to a key, but the scheme is Bearer (RFC 9449 section 7.2).
    TokenBound = "token_bound", Token, "the access token is bound to a DPoP key and must be used with the DPoP scheme";
    /// The token has `authorization_details` (RFC 9396), and the request is to an endpoint that carries out none: see
    /// [`ResourcePolicy::with_intents_at`](super::ResourcePolicy::with_intents_at).
    IntentElsewhere = "intent_elsewhere", Scope, "the access token is good for its authorization_details alone, which this endpoint does not carry out";
    /// The token lacks a scope that the request needs.
    InsufficientScope = "insufficient_scope", Scope, "the access token lacks a scope that the request needs";
}

/// One sentence that names the defect, without anything from the peer.
impl fmt::Display for TokenRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl core::error::Error for TokenRejection {}
