//! One error for everything: whose fault it is, its stable name, and what to do.

use core::fmt;
use core::ops::Deref;

use keybound::intent::IntentDefect;
use keybound::jose::jwk::JwkError;
use keybound::jose::signature::SignatureError;
use keybound::json::Value;
use keybound::oauth::FlowError;
use keybound::server::resource::TokenRejection;
use keybound::verify::check::Check;
use keybound::{Misuse, Rejection, SettleError, Spelling};

use crate::verify::Refusal;

/// Whose fault an error is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The peer's: its proof, token or intent was refused.
    Rejected,
    /// The caller's.
    Misuse,
    /// A flow of the client ended without its result.
    Flow,
    /// The host's: its store, network or randomness.
    Host,
}

/// Stable names of the facade's own errors, with their kinds. All other errors are the core's.
macro_rules! own {
    ($($variant:ident = $reason:expr, $kind:ident, $meaning:literal;)*) => {
        /// What is wrong with what a binding or its user gave this facade. A mistake that the core knows too has its name there.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Own { $(#[doc = $meaning] $variant,)* }

        impl Own {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Whose fault it is.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// The stable name, for programs.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)* }
            }
        }
    };
}

own! {
    AlreadyUsed = "already_used", Misuse, "Something that can be used once was used twice.";
    AuditKey = "audit_key", Misuse, "The key of audit records is not 32 bytes.";
    KeyUnusable = Misuse::Key(JwkError::Malformed).reason(), Misuse, "A key that cannot be used.";
    KeysMalformed = "keys_malformed", Misuse, "An issuer's keys are not a JWK set.";
    InsecureUrl = Misuse::InsecureUrl.reason(), Misuse, "A URL that has to be `https` is not.";
    MissingOption = "missing_option", Misuse, "An option that has to be given is not.";
    MountPathUnusable = "mount_path_unusable", Misuse, "A mount point that is not a decoded, absolute path.";
    NonceKey = "nonce_key", Misuse, "A nonce key that cannot be used.";
    NotBytes = "not_bytes", Misuse, "A byte string with characters above U+00FF.";
    NotJson = Misuse::Json.reason(), Misuse, "A text that has to be JSON is not.";
    OptionsExclude = "options_exclude", Misuse, "Two options that exclude each other.";
    OriginUnusable = "origin_unusable", Misuse, "An origin that is not a scheme, host and port.";
    OutOfRange = "out_of_range", Misuse, "A number outside its range.";
    PathPrefixUnusable = "path_prefix_unusable", Misuse, "A path prefix that does not start with a slash, or ends with one.";
    PublicPath = "public_path", Misuse, "An entry of the public paths that is not a decoded path.";
    ReplyMismatch = "reply_mismatch", Misuse, "A step was answered with the reply to another.";
    ResumedTwice = "resumed_twice", Misuse, "A turn of the Redis store was resumed twice.";
    SignatureMalformed = Misuse::Signature(SignatureError::Length).reason(), Misuse, "A signature with a wrong length or encoding.";
    SigningFailed = "signing_failed", Misuse, "A key that did not sign.";
    NotAThumbprint = "not_a_thumbprint", Misuse, "A text that is not a thumbprint.";
    UnknownAlgorithm = "unknown_algorithm", Misuse, "A name that is not one of an algorithm for proofs.";
    UnknownOption = "unknown_option", Misuse, "An option that does not exist.";
    UnknownValue = "unknown_value", Misuse, "A value that is not one of those the option has.";
    WrongType = "wrong_type", Misuse, "A value of another type than the option has.";
    File = "file", Host, "A file that cannot be read or written.";
    Random = Misuse::Random.reason(), Host, "The source of randomness failed.";
    FormMalformed = "form_malformed", Rejected, "A body that is not a form.";
    NonceMalformed = "nonce_malformed", Rejected, "A response with two nonces or a malformed one.";
}

/// Why there is no result: a [`Fault`], in one word so that results stay small.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error(Box<Fault>);

/// What an [`Error`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Whose fault it is.
    pub kind: Kind,
    /// The stable name, for programs.
    pub reason: String,
    /// What was wrong and what to do, for people, with the names of options between backticks: languages show it
    /// [spelled](Error::detail). Nothing secret and nothing of the peer's but OAuth errors.
    pub detail: String,
    /// The error code on the wire, for example `use_dpop_nonce`.
    pub code: Option<String>,
    /// The HTTP status: to answer with, or the one that was received.
    pub status: Option<u16>,
    /// Where the rule is written.
    pub section: Option<String>,
    /// The answer to send, where a proof was refused.
    pub refusal: Option<Box<Refusal>>,
    /// Whether only a new login helps.
    pub needs_login: bool,
}

impl Kind {
    /// `rejected`, `misuse`, `flow` or `host`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Misuse => "misuse",
            Self::Flow => "flow",
            Self::Host => "host",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: Kind, reason: &str, detail: impl Into<String>) -> Self {
        let (reason, detail) = (reason.into(), detail.into());
        let (code, status, section, refusal, needs_login) = (None, None, None, None, false);
        Self(Box::new(Fault { kind, reason, detail, code, status, section, refusal, needs_login }))
    }

    /// One of the facade's own.
    pub fn own(own: Own, detail: impl Into<String>) -> Self {
        Self::new(own.kind(), own.reason(), detail)
    }

    /// The caller's mistake, with a reason of the core.
    pub(crate) fn misuse(reason: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Misuse, reason, detail)
    }

    /// An option that has to be there is not.
    pub fn missing(name: &str) -> Self {
        Self::own(Own::MissingOption, ["`", name, "` is missing"].concat())
    }

    /// Something that can be used once was used twice.
    pub(crate) fn already_used() -> Self {
        Self::own(Own::AlreadyUsed, "this was used already; each proof, request and step is good for one answer")
    }

    /// The same with what is wrong with the URL that was given behind its text.
    pub(crate) fn because(mut self, what: impl fmt::Display) -> Self {
        self.0.detail = format!("{} (its URL: {what})", self.0.detail);
        self
    }

    /// The same with a status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The same with the answer to send.
    pub(crate) fn answered(mut self, refusal: Refusal) -> Self {
        self.0.code = refusal.error.clone();
        self.0.status = Some(refusal.status);
        self.0.refusal = Some(Box::new(refusal));
        self
    }

    /// What was wrong and what to do, with the names of options in the spelling of the language.
    pub fn detail(&self, spelling: Spelling) -> String {
        spelling.spelled(&self.detail)
    }

    /// All members as a JSON object, the refusal as one of its own, and `needs_login` where it is true. Names of options are in the
    /// spelling of the language.
    pub fn to_json(&self, spelling: Spelling) -> String {
        let refusal = self.refusal.as_ref().map(|refusal| refusal.to_value());
        Value::object()
            .with("kind", self.kind.name())
            .with("reason", self.reason.as_str())
            .with("detail", self.detail(spelling))
            .with_some("code", self.code.as_deref())
            .with_some("status", self.status.map(u64::from))
            .with_some("section", self.section.as_deref())
            .with_some("refusal", refusal)
            .with_some("needs_login", self.needs_login.then_some(Value::Bool(true)))
            .to_json()
    }
}

impl Deref for Error {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let detail = [&rejection.to_string(), ". ", rejection.fix()].concat();
        let mut error = Self::new(Kind::Rejected, rejection.reason(), detail);
        error.0.section = Some(rejection.section().into());
        error
    }
}

impl From<SettleError> for Error {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Rejected(rejection) => rejection.into(),
            undecided => Self::new(Kind::Host, undecided.reason(), undecided.to_string()),
        }
    }
}

impl From<Misuse> for Error {
    fn from(error: Misuse) -> Self {
        let detail = match &error {
            // The core says what a program in Rust adds to its build, which no other language can.
            Misuse::AlgorithmUnavailable(algorithm) => {
                format!(
                    "this build cannot sign or verify with {}; take another algorithm, such as ES256",
                    algorithm.name()
                )
            }
            error => error.to_string(),
        };
        Self::misuse(error.reason(), detail)
    }
}

impl From<IntentDefect> for Error {
    fn from(defect: IntentDefect) -> Self {
        Self::new(Kind::Rejected, defect.reason(), defect.to_string())
    }
}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        let kind = match error {
            FlowError::Misuse(_) => Kind::Misuse,
            FlowError::Host(_) => Kind::Host,
            _ => Kind::Flow,
        };
        let detail = match &error {
            // A host's text names no option.
            FlowError::Host(error) | FlowError::KeyUnreadable(error) => error.to_string().replace('`', "'"),
            error => error.to_string(),
        };
        let mut plain = Self::new(kind, error.reason(), detail);
        plain.0.needs_login = error.needs_login();
        if let FlowError::Denied(denial) = &error {
            plain.0.code = Some(denial.error.clone());
            plain.0.status = Some(denial.status).filter(|status| *status != 0);
        }
        plain
    }
}

/// Every reason a proof or token can be refused for, as a JSON object: `rejections` (`reason`, `check`, `section`, `meaning`,
/// `cause`, `fix`), `token_rejections` (`reason`, `status`, `error`, `meaning`) and `checks` (`check`, `question`).
///
/// `tests/contract` holds the same lists; every language compares them.
pub fn reasons(spelling: Spelling) -> String {
    let rejections = Rejection::ALL.iter().map(|rejection| {
        Value::object()
            .with("reason", rejection.reason())
            .with("check", rejection.check().name())
            .with("section", rejection.section())
            .with("meaning", rejection.to_string())
            .with("cause", rejection.cause())
            .with("fix", spelling.spelled(rejection.fix()))
    });
    let tokens = TokenRejection::ALL.iter().map(|rejection| {
        Value::object()
            .with("reason", rejection.reason())
            .with("status", u64::from(rejection.status()))
            .with("error", rejection.error().map_or(Value::Null, Value::from))
            .with("meaning", rejection.to_string())
    });
    let checks =
        Check::ALL.iter().map(|check| Value::object().with("check", check.name()).with("question", check.question()));
    Value::object()
        .with("rejections", rejections.collect::<Vec<_>>())
        .with("token_rejections", tokens.collect::<Vec<_>>())
        .with("checks", checks.collect::<Vec<_>>())
        .to_json()
}
