//! Keys in an HSM on the command line: which token, and where its PIN comes from.

use std::io::{IsTerminal as _, stdin};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args as Arguments;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault};
use keybound::{AlgorithmSet, Thumbprint, UnixTime};
use keybound_pkcs11::{Error, PinSource, Pkcs11Keys, Settings, TokenKey};
use keybound_reqwest::Files;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The variable that holds the token's PIN.
const PIN: &str = "KEYBOUND_PIN";

/// Names a token. The PIN is never an argument: everyone on the machine can read those.
#[derive(Arguments, Clone, Default)]
pub(crate) struct Token {
    /// The PKCS #11 module of an HSM, by its absolute path: keys are in a token then. Its PIN is asked for, unless --pin-file or the
    /// environment variable KEYBOUND_PIN says it.
    #[arg(long = "pkcs11", value_name = "MODULE", requires = "token")]
    module: Option<PathBuf>,
    /// The label of the token.
    #[arg(long, value_name = "LABEL", requires = "module")]
    token: Option<String>,
    /// The token's serial number; that of the first login otherwise.
    #[arg(long, value_name = "NUMBER", requires = "module")]
    serial: Option<String>,
    /// A file with the token's PIN, yours alone (0400).
    #[arg(long, value_name = "FILE", requires = "module")]
    pin_file: Option<PathBuf>,
}

impl Token {
    /// The keys of the token that the options name, if they do.
    pub(crate) fn open(&self) -> Result<Option<Pkcs11Keys>, Failure> {
        let (Some(module), Some(label)) = (&self.module, &self.token) else { return Ok(None) };
        let mut settings = Settings::new(module, label, self.pin()?).application("cli");
        if let Some(serial) = &self.serial {
            settings = settings.serial(serial);
        }
        Pkcs11Keys::open(settings).map(Some).map_err(failure)
    }

    /// The keys of the token, which the options have to name.
    pub(crate) fn required(&self) -> Result<Pkcs11Keys, Failure> {
        self.open()?.ok_or_else(|| Failure::usage("name the token: --pkcs11 MODULE --token LABEL"))
    }

    fn pin(&self) -> Result<PinSource, Failure> {
        if let Some(path) = &self.pin_file {
            return Ok(PinSource::file(path));
        }
        if std::env::var_os(PIN).is_some_and(|pin| !pin.is_empty()) {
            return Ok(PinSource::environment(PIN));
        }
        if !stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "the token's PIN is needed: give --pin-file FILE, or set the environment variable {PIN}"
            )));
        }
        let label = self.token.clone().unwrap_or_default();
        // Asked for once, however often the module is started again. One that was refused is not tried again by this process.
        let asked = OnceLock::new();
        let version = format!("{} {}", std::process::id(), UnixTime::now().secs());
        Ok(PinSource::callback("the terminal", Some(version), move || {
            if let Some(pin) = asked.get() {
                return Ok(Zeroizing::clone(pin));
            }
            let pin = rpassword::prompt_password(format!("PIN of the token {label}: "));
            let pin: Zeroizing<String> = pin.map_err(|error| error.to_string())?.into();
            Ok(asked.get_or_init(|| pin).clone())
        }))
    }

    /// These, or else those that a session was made with.
    pub(crate) fn or(&self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if self.module.is_none() => before.clone(),
            _ => self.clone(),
        }
    }

    /// Whether they name another token than `before`.
    pub(crate) fn is_other(&self, before: &Self) -> bool {
        self.module.is_some() && (&self.token, &self.module) != (&before.token, &before.module)
    }

    pub(crate) fn to_value(&self) -> Value {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| absolute(path));
        match &self.module {
            None => Value::Null,
            Some(_) => json!({
                "module": text(&self.module),
                "token": self.token,
                "serial": self.serial,
                "pin_file": text(&self.pin_file),
            }),
        }
    }

    pub(crate) fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            module: text("module").map(Into::into),
            token: text("token"),
            serial: text("serial"),
            pin_file: text("pin_file").map(Into::into),
        }
    }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.into()).to_string_lossy().into_owned()
}

/// The key of this thumbprint or label.
pub(crate) fn key(keys: &Pkcs11Keys, name: &str) -> Result<Arc<TokenKey>, Failure> {
    if let Some(thumbprint) = Thumbprint::parse(name) {
        return keys.key(thumbprint).map_err(failure);
    }
    keys.labelled(name).map_err(failure)?.ok_or_else(|| {
        Failure::failed(format!("the token has no key labelled {name}; `keybound key list` shows what it has"))
    })
}

/// What is wrong with the options is 2, what cannot be reached 3, and a key that is not there or not ours 1.
pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::ModulePath { .. } | Error::TokenAmbiguous { .. } => Failure::usage(error.to_string()),
        Error::KeyGone(_)
        | Error::KeyChanged(_)
        | Error::TwoKeys(_)
        | Error::NotOurs(_)
        | Error::NotProtected { .. } => Failure::failed(error.to_string()),
        Error::Algorithm => Failure::failed(
            "the token makes no such key; choose another with --alg: `pkcs11-tool --list-mechanisms` shows what it can",
        ),
        other => Failure::undecided(other.to_string()),
    }
}

/// Keys of sessions in a token, and the key that a client authenticates with in the folder, if it is there.
pub(crate) struct TokenAndFiles {
    pub(crate) token: Pkcs11Keys,
    pub(crate) files: Files,
}

impl KeyHost for TokenAndFiles {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        self.token.create_key(algorithms, protections, wanted_for)
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        match self.files.signer(thumbprint) {
            Err(KeyFault::Missing) => self.token.signer(thumbprint),
            found => found,
        }
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        match self.files.signer(thumbprint) {
            Err(KeyFault::Missing) => self.token.delete_key(thumbprint),
            _ => self.files.delete_key(thumbprint),
        }
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        self.token.keys()
    }
}
