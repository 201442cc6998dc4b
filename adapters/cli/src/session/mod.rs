//! Sessions on the command line: `keybound login`, `keybound call` and `keybound logout`.

pub(crate) mod call;
pub(crate) mod login;
pub(crate) mod logout;
mod remembered;
mod switches;

use std::path::PathBuf;

use clap::{Args as Arguments, ValueEnum};
use etcetera::BaseStrategy as _;
use keybound::http::url::Url;
use keybound::json::Value;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::oauth::{self, Discovered, Secret, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
#[cfg(feature = "pkcs11")]
use keybound_reqwest::Split;
use keybound_reqwest::blocking::Client;
use keybound_reqwest::{Error, Files, Loopback};
use serde_json::json;

use self::remembered::{Authentication, Grant, Remembered, RememberedClient};
use self::switches::Switches;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// The variable that holds a client's secret.
const CLIENT_SECRET: &str = "KEYBOUND_CLIENT_SECRET";

/// How a session is made, and where it is kept. A session remembers the client it was made with, and at which level: later
/// commands need to name neither.
#[derive(Arguments)]
pub(crate) struct Setup {
    /// The session's name; the API's origin otherwise.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The folder for sessions and keys, readable by you alone.
    #[arg(long, value_name = "FOLDER", env = "KEYBOUND_HOME")]
    folder: Option<PathBuf>,
    /// How much is demanded of the server: standard takes Bearer tokens, enhanced binds them to a key. Enhanced unless the
    /// session was made at another.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// The scope to ask for; what the API asks for otherwise.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Log in on another device, by a code.
    #[arg(long, conflicts_with = "machine")]
    device: bool,
    /// Log in as the client itself, without a user.
    #[arg(long)]
    machine: bool,
    /// The client's identifier at the server; the program registers itself otherwise. The session remembers it, with its secret
    /// or key.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The issuer identifier of the server to ask where the API names none. It also says which server knows the client of
    /// --client-id; the one that the API names otherwise.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The tenant of Entra ID (a GUID), where the API names Entra ID for many tenants.
    #[arg(long, value_name = "GUID")]
    entra_tenant: Option<String>,
    /// The client's secret; better given in the environment.
    #[arg(long, value_name = "SECRET", env = CLIENT_SECRET, hide_env_values = true)]
    client_secret: Option<String>,
    /// A file with the private key (JWK) that the client authenticates with (private_key_jwt).
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    switches: Switches,
    #[cfg(feature = "pkcs11")]
    #[command(flatten)]
    token: crate::hsm::Token,
    /// The program that opens the login page, given its URL; the system's browser otherwise.
    #[arg(long, value_name = "PROGRAM")]
    browser: Option<String>,
    /// Only show the URL of the login page.
    #[arg(long, conflicts_with = "browser")]
    no_browser: bool,
    /// The port of 127.0.0.1 that the browser comes back to; a free one otherwise.
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
}

/// The levels that a key in a file can have.
#[derive(Clone, Copy, ValueEnum)]
enum Level {
    /// Plain OAuth 2.1.
    Standard,
    /// Tokens bound by DPoP.
    Enhanced,
}

impl From<Level> for SecurityLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Standard => Self::Standard,
            Level::Enhanced => Self::Enhanced,
        }
    }
}

/// A client on the command line, for one API.
struct Caller<'a> {
    setup: &'a Setup,
    output: &'a Output,
    url: String,
    name: String,
    loopback: Option<Loopback>,
    client: Client,
    host: Files,
    /// How a session is made here.
    remembered: Remembered,
}

impl<'a> Caller<'a> {
    fn new(setup: &'a Setup, url: &str, output: &'a Output) -> Result<Self, Failure> {
        let parsed = Url::parse(url).map_err(|error| Failure::usage(format!("{url} cannot be called: {error}")))?;
        let name = setup.session.clone().unwrap_or_else(|| parsed.origin().to_owned());
        let host = open_folder(setup)?;
        let before = Remembered::load(&host, &name)?;
        setup.check(&name, before.as_ref())?;
        let loopback = Loopback::bind_to(setup.port).map_err(|error| {
            Failure::undecided(format!("the browser cannot come back to port {}: {error}", setup.port))
        })?;
        let kept = before.as_ref().map(|before| before.level);
        let level = setup.level.map(Into::into).or(kept).unwrap_or(SecurityLevel::Enhanced);
        let entra_tenant =
            setup.entra_tenant.clone().or_else(|| before.as_ref().and_then(|before| before.entra_tenant.clone()));
        let asked = setup.issuer.clone().or_else(|| before.as_ref().and_then(|before| before.issuer.clone()));
        let builder = || {
            let builder = oauth::Client::builder(level, &RUSTCRYPTO)
                .redirect_uri(&loopback.redirect_uri())
                .register(Value::object().with("client_name", "keybound"));
            let builder = if parsed.is_loopback() { builder.allow_loopback() } else { builder };
            match &entra_tenant {
                Some(tenant) => builder.entra_tenant(tenant),
                None => builder,
            }
        };
        #[cfg(feature = "pkcs11")]
        let token = setup.token.or(before.as_ref().map(|before| &before.token));
        #[cfg(feature = "pkcs11")]
        let keys = token.open()?;
        let make = |builder: oauth::ClientBuilder| {
            let oauth = builder.build().map_err(|error| Failure::usage(error.to_string()))?;
            #[cfg(feature = "pkcs11")]
            if let Some(keys) = &keys {
                let keys = crate::hsm::TokenAndFiles { token: keys.clone(), files: host.clone() };
                return Client::new(oauth, Split { keys, sessions: host.clone() }).map_err(failure);
            }
            Client::new(oauth, host.clone()).map_err(failure)
        };
        let grant = setup.grant(before.as_ref());
        let mut client = make(builder())?;
        let switches = setup.switches.with(before.as_ref().map(|before| &before.switches));
        let known = before.and_then(|before| before.client);
        let named = setup.client_id.as_ref().or(known.as_ref().map(|known| &known.id));
        let named = match named {
            None => None,
            Some(id) => {
                // Credentials belong to an issuer: the API is asked for it only if the session does not know it.
                let issuer = match asked.as_ref().or(known.as_ref().map(|known| &known.issuer)) {
                    Some(issuer) => issuer.clone(),
                    None => client.discover(url).map_err(failure)?.server().issuer().to_owned(),
                };
                let given = setup.authentication(&host, known.as_ref())?;
                let authentication = given
                    .or(known.as_ref().map(|known| known.authentication.clone()))
                    .unwrap_or(Authentication::Public);
                Some(RememberedClient { issuer, id: id.clone(), authentication })
            }
        };
        if let Some(named) = &named {
            client = make(builder().credentials(&named.issuer, named.credentials()))?;
        }
        let remembered = Remembered {
            level,
            grant,
            client: named,
            issuer: asked,
            entra_tenant,
            switches,
            #[cfg(feature = "pkcs11")]
            token,
        };
        Ok(Self { setup, output, url: url.into(), name, loopback: Some(loopback), client, host, remembered })
    }

    /// Logs in: discovers what protects the API, and asks for a session in the way that was chosen.
    fn log_in(&mut self) -> Result<Session, Failure> {
        self.replaces_no_other()?;
        let found = self.client.discover_with(&self.url, self.remembered.issuer.as_deref()).map_err(failure)?;
        if let Some(client) = &self.remembered.client
            && !is_same(&client.issuer, found.server().issuer())
        {
            return Err(Failure::failed(format!(
                "the API names the server {}, but the client {} is known at {}; to log in there as another client, make \
                 another session with --session NAME",
                found.server().issuer(),
                client.id,
                client.issuer
            )));
        }
        let request = self.request(&found);
        let session = match self.remembered.grant {
            Grant::Machine => self.client.client_credentials(request).map_err(failure)?,
            Grant::Device => self.client.device(request, |device| self.show_code(device)).map_err(failure)?,
            Grant::Browser => {
                let authorization = self.client.authorize(request).map_err(failure)?;
                let announced = found.server().endpoint(oauth::Endpoint::PushedAuthorization).is_some();
                if announced && !authorization.pushed && !self.remembered.switches.without_pushed_request {
                    self.output.note(
                        "the server has no endpoint where it says that requests can be pushed; this one is in the URL",
                    );
                }
                self.finish(&authorization)?
            }
        };
        self.remembered.store(&self.host, &self.name)?;
        Ok(session)
    }

    /// Refuses to put a session in the place of another client's. What an older version stored does not say whether the client
    /// was named or had registered itself.
    fn replaces_no_other(&self) -> Result<(), Failure> {
        if Remembered::load(&self.host, &self.name)?.is_some() {
            return Ok(());
        }
        match self.client.open(&self.name) {
            Err(Error::Flow(oauth::FlowError::Stored(oauth::StoredDefect::Client))) => Err(Failure::usage(format!(
                "session {0} was made by another client; name that client with --client-id, or give this session \
                     another name with --session",
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// Asks for more scope.
    fn step_up(&mut self, session: &Session, scope: &str) -> Result<Session, Failure> {
        let now = keybound::UnixTime::now();
        let authorization = self.client.run(self.client.oauth().step_up(session, scope, now)).map_err(failure)?;
        self.output.note(format_args!("the API needs the scope {scope} as well"));
        self.finish(&authorization)
    }

    fn request(&self, found: &Discovered) -> SessionRequest {
        let request = self.remembered.switches.apply(SessionRequest::new(&self.name, found));
        match &self.setup.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }

    fn finish(&mut self, authorization: &oauth::Authorization) -> Result<Session, Failure> {
        let loopback = match self.loopback.take() {
            Some(loopback) => loopback,
            None => return Err(Failure::failed("one login was made already; run the command again")),
        };
        self.open_browser(&authorization.url);
        let callback = loopback.wait(authorization).map_err(|error| Failure::undecided(error.to_string()))?;
        self.client.exchange(&callback).map_err(failure)
    }

    fn open_browser(&self, url: &str) {
        self.output.ask(format_args!("log in at {url}"), &json!({ "log_in_at": url }));
        if self.setup.no_browser {
            return;
        }
        let opened = match &self.setup.browser {
            Some(program) => {
                let mut command = std::process::Command::new(program);
                command.arg(url).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
                command.spawn().map(drop)
            }
            None => webbrowser::open(url),
        };
        if let Err(error) = opened {
            self.output.note(format_args!("no browser could be opened ({error}); open the page yourself"));
        }
    }

    fn show_code(&self, device: &oauth::DeviceAuthorization) {
        let at = device.verification_uri_complete().unwrap_or_else(|| device.verification_uri());
        let (code, page) = (device.user_code(), device.verification_uri());
        let asked = json!({ "user_code": code, "verification_uri": page, "verification_uri_complete": at });
        self.output.ask(format_args!("enter {code} at {page}, or open {at}"), &asked);
    }
}

impl Setup {
    /// Compares the options with the session that is there, and with each other.
    fn check(&self, name: &str, before: Option<&Remembered>) -> Result<(), Failure> {
        let known = before.and_then(|before| before.client.as_ref());
        let other = |what: &str| {
            Err(Failure::usage(format!(
                "session {name} was made by {what}; leave --client-id and --issuer out to use it, end it with \
                 `keybound logout`, or make another one with --session NAME"
            )))
        };
        match (&self.client_id, before, known) {
            (Some(_), Some(_), None) => return other("a client that this program registered itself"),
            (Some(id), _, Some(known)) if *id != known.id => return other(&format!("the client {}", known.id)),
            _ => {}
        }
        if let (Some(issuer), Some(known)) = (&self.issuer, known)
            && !is_same(issuer, &known.issuer)
        {
            return other(&format!("the client {} at {}", known.id, known.issuer));
        }
        #[cfg(feature = "pkcs11")]
        if before.is_some_and(|before| self.token.is_other(&before.token)) {
            return Err(Failure::usage(format!(
                "session {name} has its key elsewhere than in that token; leave --pkcs11 out to use it, end it with \
                 `keybound logout`, or make another one with --session NAME"
            )));
        }
        let lacks_client = self.client_id.is_none() && known.is_none();
        for (given, option) in [
            (self.machine, "--machine"),
            (self.client_key.is_some(), "--client-key"),
            (self.client_secret.is_some() && !self.has_secret_of_environment(), "--client-secret"),
        ] {
            if given && lacks_client {
                return Err(Failure::usage(format!("{option} needs the client it is for: give --client-id ID")));
            }
        }
        Ok(())
    }

    /// The grant that the options name, else the one that the session was made by.
    fn grant(&self, before: Option<&Remembered>) -> Grant {
        match (self.device, self.machine) {
            (true, _) => Grant::Device,
            (_, true) => Grant::Machine,
            _ => before.map_or(Grant::Browser, |before| before.grant),
        }
    }

    /// Whether the secret is that of the environment, which may be another client's: it counts for a client that is named in the
    /// same command, or that has a secret already.
    fn has_secret_of_environment(&self) -> bool {
        self.client_secret.is_some() && std::env::var(CLIENT_SECRET).ok() == self.client_secret
    }

    /// How the client authenticates, if the options say so.
    fn authentication(
        &self,
        host: &Files,
        known: Option<&RememberedClient>,
    ) -> Result<Option<Authentication>, Failure> {
        let has_secret = known.is_some_and(|known| matches!(known.authentication, Authentication::Secret(_)));
        let is_meant = self.client_id.is_some() || has_secret || !self.has_secret_of_environment();
        if let Some(secret) = self.client_secret.as_ref().filter(|_| is_meant) {
            return Ok(Some(Authentication::Secret(Secret::new(secret.as_str()))));
        }
        let Some(path) = &self.client_key else { return Ok(None) };
        let bytes = input::read(path)?;
        let text = input::text(&bytes, "the client's key")?;
        let key = SoftKey::from_jwk(&text, &RUSTCRYPTO).map_err(|error| Failure::usage(error.to_string()))?;
        host.add_key(&key).map_err(|error| Failure::undecided(error.to_string()))?;
        Ok(Some(Authentication::Key(key.public_key().clone(), key.algorithm())))
    }
}

fn open_folder(setup: &Setup) -> Result<Files, Failure> {
    let folder = match &setup.folder {
        Some(folder) => folder.clone(),
        None => {
            let places = etcetera::choose_base_strategy();
            let places = places.map_err(|_| Failure::usage("there is no home folder; name one with --folder"))?;
            places.state_dir().unwrap_or_else(|| places.data_dir()).join("keybound")
        }
    };
    Files::open(&folder).map_err(|error| Failure::file("the folder for sessions", &folder, &error))
}

/// Whether two issuer identifiers are the same but for a slash at the end, which people leave out.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Something went wrong on the way: 3 if it could not be decided, else 1.
fn failure(error: Error) -> Failure {
    match &error {
        Error::Flow(oauth::FlowError::Misuse(_)) => Failure::usage(error.to_string()),
        Error::Flow(oauth::FlowError::Host(_)) | Error::Http(_) | Error::Loopback(_) => {
            Failure::undecided(error.to_string())
        }
        _ => Failure::failed(error.to_string()),
    }
}
