//! What is wrong with module, token, PIN or key, and how to fix it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use cryptoki::error::RvError;
use keybound::oauth::step::KeyFault;
use keybound::{Misuse, Thumbprint};

/// Why keys on a token cannot be used.
///
/// No variant holds a PIN or a private key. [`reason`](Self::reason) is stable; texts are for people.
#[non_exhaustive]
pub enum Error {
    /// The path of the module is not one that can be trusted with a PIN.
    ModulePath {
        /// The path.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The module could not be loaded or initialised.
    Module {
        /// The path.
        path: PathBuf,
        /// The loader's or the module's own words.
        cause: String,
    },
    /// This process was forked from the one that loaded the module.
    Forked,
    /// The folder that remembers tokens and refused PINs cannot be used.
    State(io::Error),
    /// No slot holds the token.
    TokenAbsent {
        /// Label and serial number that were looked for.
        token: String,
        /// The tokens that are there.
        seen: Vec<String>,
    },
    /// Several tokens have the label, and no serial number says which is meant.
    TokenAmbiguous {
        /// The label.
        label: String,
        /// The serial numbers of those tokens.
        serials: Vec<String>,
    },
    /// A token has the label and another serial number than the one that was used before. It was not given the PIN.
    TokenChanged {
        /// The label.
        label: String,
        /// The serial number that was used before.
        pinned: String,
        /// The file that remembers it.
        remembered: PathBuf,
    },
    /// The PIN could not be obtained.
    PinUnavailable {
        /// Where it was to come from.
        source: String,
        /// Why it did not, and what to do.
        why: String,
    },
    /// The token refused the PIN. It will not be tried again until its source changes.
    PinRefused {
        /// The token.
        token: String,
        /// Where the PIN came from.
        source: String,
    },
    /// The PIN from this source was refused before, by this process or another. It was not tried again.
    PinRefusedBefore {
        /// The token.
        token: String,
        /// Where the PIN would come from.
        source: String,
        /// The file that remembers the refusal.
        remembered: PathBuf,
    },
    /// The token has few attempts left, or none. The PIN was not tried.
    PinAttemptsLow {
        /// The token.
        token: String,
        /// `low`, `one` or `none`: how many attempts are left.
        left: &'static str,
    },
    /// The token has no user PIN yet.
    PinNotSet {
        /// The token.
        token: String,
    },
    /// All sessions stayed in use for as long as a caller waits.
    Busy {
        /// How many there are.
        sessions: usize,
    },
    /// The token has no such key.
    KeyGone(Thumbprint),
    /// The token shows no such key now, and whether it is gone cannot be told.
    KeyNotSeen(Thumbprint),
    /// The token shows no keys now, and whether it has none cannot be told.
    KeysNotSeen,
    /// Under the key's id the token has another key.
    KeyChanged(Thumbprint),
    /// The token has two keys of this id or label, so that which one signs would be chance.
    TwoKeys(String),
    /// The token has more keys than are looked through. The key may be among the others.
    TooManyKeys {
        /// How many are looked through.
        most: usize,
    },
    /// The private key can leave the token, or is not kept in it.
    NotProtected {
        /// Its id or thumbprint.
        key: String,
        /// The PKCS #11 attribute that says so, with its value.
        attribute: &'static str,
    },
    /// Keybound did not make this key and does not delete it.
    NotOurs(Thumbprint),
    /// The public part of a key cannot be read.
    PublicKey {
        /// Its id.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// The token makes no key for any of the permitted algorithms.
    Algorithm,
    /// Keys are asked for that live elsewhere than in an HSM.
    KeyProtection,
    /// What the token signed does not verify, or it could not be told.
    Signature(Misuse),
    /// A call to the module failed.
    Call(Failure),
    /// A new pair was of no use and could not be destroyed either.
    LeftBehind {
        /// The label of both objects.
        label: String,
        /// Why the pair was of no use.
        cause: Box<Error>,
    },
}

/// A failed call to the module, by PKCS #11's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    function: String,
    code: String,
    is_outage: bool,
}

impl Failure {
    /// The function, for example `C_Sign`; empty if the module gave an answer that makes no sense.
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The code, for example `CKR_DEVICE_REMOVED`.
    pub fn code(&self) -> &str {
        &self.code
    }
}

impl Error {
    /// The stable name, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ModulePath { .. } => "module_path",
            Self::Module { .. } => "module_unusable",
            Self::Forked => "module_forked",
            Self::State(_) => "state_folder",
            Self::TokenAbsent { .. } => "token_absent",
            Self::TokenAmbiguous { .. } => "token_ambiguous",
            Self::TokenChanged { .. } => "token_changed",
            Self::PinUnavailable { .. } => "pin_unavailable",
            Self::PinRefused { .. } => "pin_refused",
            Self::PinRefusedBefore { .. } => "pin_refused_before",
            Self::PinAttemptsLow { .. } => "pin_attempts_low",
            Self::PinNotSet { .. } => "pin_not_set",
            Self::Busy { .. } => "token_busy",
            Self::KeyGone(_) => "key_gone",
            Self::KeyNotSeen(_) => "key_not_seen",
            Self::KeysNotSeen => "keys_not_seen",
            Self::KeyChanged(_) => "key_changed",
            Self::TwoKeys(_) => "two_keys",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::NotProtected { .. } => "key_not_protected",
            Self::NotOurs(_) => "key_not_ours",
            Self::PublicKey { .. } => "public_key_unreadable",
            Self::Algorithm => "key_algorithm",
            Self::KeyProtection => "key_protection",
            Self::Signature(_) => "signature_wrong",
            Self::Call(_) => "call_failed",
            Self::LeftBehind { .. } => "pair_left_behind",
        }
    }

    /// What a flow is told. An outage is never a key that is gone.
    pub(crate) fn into_fault(self) -> KeyFault {
        match self {
            Self::KeyGone(_) => KeyFault::Missing,
            Self::KeyChanged(_) => KeyFault::Changed,
            other => KeyFault::Unreadable(Box::new(other)),
        }
    }

    /// Whether another connection to the token may help. A key that is not found is one of these: after a token was away, searches
    /// find nothing although no call fails.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Call(failure) => failure.is_outage,
            Self::TokenAbsent { .. } | Self::Module { .. } => true,
            other => other.is_absence(),
        }
    }

    /// Whether something was looked for and not found.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::KeyGone(_) | Self::KeysNotSeen)
    }

    pub(crate) fn is_code(&self, code: &str) -> bool {
        matches!(self, Self::Call(failure) if failure.code == code)
    }
}

impl From<cryptoki::error::Error> for Error {
    fn from(error: cryptoki::error::Error) -> Self {
        let failure = match error {
            cryptoki::error::Error::Pkcs11(code, function) => {
                Failure { function: format!("C_{function:?}"), code: name(code), is_outage: is_outage(code) }
            }
            other => Failure { function: String::new(), code: other.to_string(), is_outage: true },
        };
        Self::Call(failure)
    }
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        Self::Signature(misuse)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::State(error)
    }
}

/// Where no token is seen at all.
const NO_TOKEN: &str = "no token is there: check that the device is connected, or with SoftHSM that SOFTHSM2_CONF names its \
                        configuration (softhsm2-util --show-slots shows what it has)";

/// `CKR_DEVICE_REMOVED` from `DeviceRemoved`: the name that manuals know.
fn name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(number) => format!("CKR_VENDOR_DEFINED ({number:#x})"),
        RvError::UnknownErrorCode(number) => format!("{number:#x}"),
        known => format!("{known:?}").chars().fold("CKR".to_owned(), |mut name, letter| {
            if letter.is_uppercase() {
                name.push('_');
            }
            name.extend(letter.to_uppercase());
            name
        }),
    }
}

/// Codes that say what was wrong with the call. With all others the token may be away, or may have been.
fn is_outage(code: RvError) -> bool {
    !matches!(
        code,
        RvError::ActionProhibited
            | RvError::ArgumentsBad
            | RvError::AttributeReadOnly
            | RvError::AttributeSensitive
            | RvError::AttributeTypeInvalid
            | RvError::AttributeValueInvalid
            | RvError::CurveNotSupported
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::DeviceMemory
            | RvError::DomainParamsInvalid
            | RvError::FunctionNotSupported
            | RvError::FunctionRejected
            | RvError::HostMemory
            | RvError::KeyFunctionNotPermitted
            | RvError::KeySizeRange
            | RvError::KeyTypeInconsistent
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::PinExpired
            | RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinLocked
            | RvError::SessionCount
            | RvError::SessionReadOnly
            | RvError::TemplateIncomplete
            | RvError::TemplateInconsistent
            | RvError::TokenWriteProtected
            | RvError::UserAnotherAlreadyLoggedIn
            | RvError::UserPinNotInitialized
            | RvError::UserTooManyTypes
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.function.is_empty() {
            return write!(f, "the module's answer makes no sense: {}", self.code);
        }
        write!(f, "{} failed with {}", self.function, self.code)?;
        f.write_str(match self.code.as_str() {
            "CKR_SESSION_COUNT" => ": the token has no session left; allow fewer sessions, or close other programs",
            "CKR_TOKEN_WRITE_PROTECTED" => ": the token is write-protected",
            "CKR_DEVICE_MEMORY" => ": the token is full; delete keys that are no longer used",
            "CKR_MECHANISM_INVALID" => ": the token does not offer this kind of key or signature",
            "CKR_USER_ANOTHER_ALREADY_LOGGED_IN" => ": the security officer is logged in; end that program",
            _ => "",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModulePath { path, why } => write!(f, "the PKCS #11 module {} cannot be used: {why}", path.display()),
            Self::Module { path, cause } => {
                write!(f, "the PKCS #11 module {} could not be started: {cause}", path.display())?;
                // What SoftHSM says of each of these.
                if cause.contains("CKR_GENERAL_ERROR") {
                    f.write_str(
                        "; with SoftHSM, check that SOFTHSM2_CONF names its configuration, that this user can read it, and that the folder \
                         of directories.tokendir exists",
                    )?;
                }
                Ok(())
            }
            Self::Forked => f.write_str(
                "this process was forked from the one that loaded the PKCS #11 module; open the keys in the new process",
            ),
            Self::State(cause) => {
                write!(f, "the folder that remembers tokens and refused PINs cannot be used: {cause}")
            }
            Self::TokenAbsent { token, seen } => {
                write!(f, "no slot holds the token {token}; ")?;
                if seen.is_empty() { f.write_str(NO_TOKEN) } else { write!(f, "there are: {}", seen.join(", ")) }
            }
            Self::TokenAmbiguous { label, serials } => {
                write!(
                    f,
                    "several tokens are labelled \"{label}\"; say which by its serial number (--serial, or Settings::serial): {}",
                    serials.join(", ")
                )
            }
            Self::TokenChanged { label, pinned, remembered } => {
                let remembered = remembered.display();
                write!(
                    f,
                    "the token labelled \"{label}\" is not the one used before (serial number {pinned}), and was not given the PIN; \
                     if it replaces that one, delete {remembered}"
                )
            }
            Self::PinUnavailable { source, why } => write!(f, "no PIN from {source}: {why}"),
            Self::PinRefused { token, source } => {
                write!(
                    f,
                    "the token {token} refused the PIN from {source}, and will not be given it again; correct it (a PIN file by writing \
                     it anew)"
                )
            }
            Self::PinRefusedBefore { token, source, remembered } => {
                let remembered = remembered.display();
                write!(
                    f,
                    "the token {token} refused the PIN from {source} before, and it was not tried again; correct the PIN \
                     (a PIN file by writing it anew; otherwise also delete {remembered})"
                )
            }
            Self::PinAttemptsLow { token, left } => match *left {
                "none" => write!(f, "the PIN of the token {token} is locked; its security officer can set a new one"),
                left => write!(
                    f,
                    "the token {token} has few attempts at its PIN left ({left}), which are not used up here; log in once with \
                     the right PIN, for example with OpenSC: pkcs11-tool --module MODULE --token-label LABEL --login --list-objects"
                ),
            },
            Self::PinNotSet { token } => write!(
                f,
                "the token {token} has no user PIN yet; its security officer sets one, for example: pkcs11-tool --module MODULE \
                 --token-label LABEL --login --login-type so --init-pin"
            ),
            Self::Busy { sessions } => write!(f, "all {sessions} sessions with the token stayed in use; try again later"),
            Self::KeyGone(thumbprint) => write!(f, "the token has no key {thumbprint}"),
            Self::KeyNotSeen(thumbprint) => write!(
                f,
                "the token shows no key {thumbprint} now, and whether it is gone cannot be told; if another part of this process \
                 initialised the module, restart the process"
            ),
            Self::KeysNotSeen => f.write_str("the token shows no keys now, and whether it has none cannot be told; try again later"),
            Self::KeyChanged(thumbprint) => write!(f, "the key under the id {thumbprint} is another one"),
            Self::TwoKeys(key) => write!(f, "the token has two keys {key}; delete one of them, or give each a label and an id of its own"),
            Self::TooManyKeys { most } => write!(
                f,
                "the token has more than {most} keys, which are not all looked through; give Keybound's keys a token or \
                 partition of their own"
            ),
            Self::NotProtected { key, attribute } => {
                write!(f, "the key {key} is not protected by the token ({attribute}); make a new one")
            }
            Self::NotOurs(thumbprint) => {
                write!(f, "the key {thumbprint} was not made by Keybound; delete it with the token's own program")
            }
            Self::PublicKey { key, why } => write!(f, "the public part of the key {key} cannot be read: {why}"),
            Self::Algorithm => f.write_str("the token makes no key for the permitted algorithms"),
            Self::KeyProtection => f.write_str("keys of this host are in an HSM, which is not among the places asked for"),
            Self::Signature(misuse) => write!(f, "the token's signature cannot be used: {misuse}"),
            Self::Call(failure) => failure.fmt(f),
            Self::LeftBehind { label, cause } => {
                write!(f, "a new pair labelled \"{label}\" could not be used and not be destroyed; delete it by hand: {cause}")
            }
        }
    }
}

keybound::debug_as_text!(Error, with_reason);

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::State(cause) => Some(cause),
            Self::Signature(cause) => Some(cause),
            Self::LeftBehind { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RvError, name};

    #[test]
    fn codes_have_the_names_of_the_standard() {
        assert_eq!(name(RvError::DeviceRemoved), "CKR_DEVICE_REMOVED");
        assert_eq!(name(RvError::ObjectHandleInvalid), "CKR_OBJECT_HANDLE_INVALID");
        assert_eq!(name(RvError::UnknownErrorCode(0x1234)), "0x1234");
    }
}
