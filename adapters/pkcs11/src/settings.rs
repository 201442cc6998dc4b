//! Which token is meant, and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keybound::UnixTime;

use crate::pin::PinSource;

/// Where keys are, and how to log in there.
#[derive(Clone)]
pub struct Settings {
    pub(crate) module: PathBuf,
    pub(crate) label: String,
    pub(crate) serial: Option<String>,
    pub(crate) application: String,
    pub(crate) pin: PinSource,
    pub(crate) sessions: usize,
    pub(crate) wait: Duration,
    pub(crate) state: Option<PathBuf>,
    pub(crate) clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
}

impl Settings {
    /// The token with this label, reached through the PKCS #11 module at this absolute path.
    ///
    /// The first login remembers the token's serial number; a token with the same label and another number is not given the PIN
    /// later. [`serial`](Self::serial) says from the beginning which it is.
    ///
    /// # Security
    /// The module is loaded into this process and given the PIN: it and the folders above it must not be writable by others than
    /// root and this user, which is checked.
    pub fn new(module: impl Into<PathBuf>, label: impl Into<String>, pin: PinSource) -> Self {
        Self {
            module: module.into(),
            label: label.into(),
            serial: None,
            application: "default".to_owned(),
            pin,
            sessions: 8,
            wait: Duration::from_secs(10),
            state: None,
            clock: Arc::new(UnixTime::now),
        }
    }

    /// Another module.
    #[must_use]
    pub fn module(mut self, module: impl Into<PathBuf>) -> Self {
        self.module = module.into();
        self
    }

    /// Another source of the PIN.
    #[must_use]
    pub fn pin(mut self, pin: PinSource) -> Self {
        self.pin = pin;
        self
    }

    /// The token's serial number, as `pkcs11-tool --list-token-slots` shows it.
    #[must_use]
    pub fn serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = Some(serial.into());
        self
    }

    /// The name of this program among those that share the token; `default` unless told otherwise. It is in the label of the keys that
    /// it makes. Characters other than letters, digits, `.`, `_` and `-` become `-`.
    ///
    /// A host of keys lists those of its own application alone. Two programs of one name would take each other's keys for orphans, and
    /// delete them.
    #[must_use]
    pub fn application(mut self, name: &str) -> Self {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        self.application = name.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).take(64).collect();
        self
    }

    /// Another clock than the system's, for the time that is in the label of a new key.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> UnixTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many threads use the token at once, each with a session; 8 unless told otherwise. Others wait for
    /// [`wait`](Self::wait).
    #[must_use]
    pub fn sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// How long a caller waits for a session, 10 seconds unless told otherwise.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The folder that remembers serial numbers and refused PINs, made with mode 0700 if it is not there.
    ///
    /// Unless told otherwise it is `keybound/pkcs11` in `$XDG_STATE_HOME` or `~/.local/state`. All processes that use the token
    /// have the same folder, so that none tries a PIN that another saw refused.
    #[must_use]
    pub fn state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("module", &self.module)
            .field("label", &self.label)
            .field("serial", &self.serial)
            .field("application", &self.application)
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}
