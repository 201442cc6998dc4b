//! Sessions on the command line: `keybound login`, `keybound call` and `keybound logout`.

pub(crate) mod call;
pub(crate) mod login;
pub(crate) mod logout;
mod remembered;
mod stored;
mod switches;
mod told;

use std::path::PathBuf;

use clap::{Args as Arguments, ValueEnum};
use keybound::http::url::Url;
use keybound::json::Value;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::oauth::metadata::covers;
use keybound::oauth::{self, Discovered, Secret, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
#[cfg(feature = "pkcs11")]
use keybound_reqwest::Split;
use keybound_reqwest::blocking::Client;
use keybound_reqwest::{Error, Files, Loopback};
use serde_json::json;

use self::remembered::{Authentication, Grant, Remembered, RememberedClient};
use self::stored::{name_for, open_folder, session_for};
use self::switches::Switches;
use self::told::failure;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// The variable that holds a client's secret.
const CLIENT_SECRET: &str = "KEYBOUND_CLIENT_SECRET";

/// How a session is made, and where it is kept. A session remembers the client it was made with, and at which level: later
/// commands need to name neither.
#[derive(Arguments)]
pub(crate) struct Setup {
    /// The session's name. Otherwise there is one session for each resource, whose identifier is its name.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The folder for sessions and keys, readable by you alone; else the one that the environment variable KEYBOUND_HOME names, else
    /// `keybound` in $XDG_STATE_HOME (~/.local/state), on Windows in %APPDATA%.
    #[arg(long, value_name = "FOLDER")]
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
    /// The client's secret; better given in the environment variable KEYBOUND_CLIENT_SECRET.
    #[arg(long, value_name = "SECRET")]
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
    url: Url,
    /// The session's name; none if there is no session for the URL yet, and none was named.
    name: Option<String>,
    loopback: Option<Loopback>,
    client: Client,
    host: Files,
    /// How a session is made here.
    remembered: Remembered,
}

impl<'a> Caller<'a> {
    fn new(setup: &'a Setup, url: &str, output: &'a Output) -> Result<Self, Failure> {
        let url = Url::parse(url).map_err(|error| Failure::usage(format!("{url:?} cannot be called: {error}")))?;
        if let Some(issuer) = &setup.issuer {
            let at = Url::parse(issuer).map_err(|error| Failure::usage(format!("--issuer {issuer:?}: {error}")))?;
            let is_local = at.is_loopback() && url.is_loopback();
            if !at.is_https() && !is_local {
                return Err(Failure::usage(format!(
                    "--issuer {issuer} is not https; http is for servers on this machine, of an API on this machine"
                )));
            }
        }
        let host = open_folder(setup.folder.as_ref())?;
        let name = match &setup.session {
            Some(name) => Some(name.clone()),
            None => session_for(&url, &host)?,
        };
        Self::named(name, setup, url, host, output)
    }

    /// The same for a session that is known, if one is.
    fn named(
        name: Option<String>,
        setup: &'a Setup,
        url: Url,
        host: Files,
        output: &'a Output,
    ) -> Result<Self, Failure> {
        let before = match &name {
            Some(name) => Remembered::load(&host, name)?,
            None => None,
        };
        setup.check(name.as_deref().unwrap_or_default(), before.as_ref())?;
        let loopback = Loopback::bind_to(setup.port).map_err(|error| {
            Failure::undecided(format!("the browser cannot come back to port {}: {error}", setup.port))
        })?;
        let kept = before.as_ref().map(|before| before.level);
        let level = setup.level.map(Into::into).or(kept).unwrap_or(SecurityLevel::Enhanced);
        let entra_tenant =
            setup.entra_tenant.clone().or_else(|| before.as_ref().and_then(|before| before.entra_tenant.clone()));
        let asked = setup.issuer.clone().or_else(|| before.as_ref().and_then(|before| before.issuer.clone()));
        let switches = setup.switches.with(before.as_ref().map(|before| &before.switches))?;
        let builder = || {
            let builder = oauth::Client::builder(level, &RUSTCRYPTO)
                .redirect_uri(&loopback.redirect_uri())
                .register(Value::object().with("client_name", "keybound"));
            let builder = if url.is_loopback() { builder.allow_loopback() } else { builder };
            let builder = switches.also_origins().fold(builder, oauth::ClientBuilder::also_origin);
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
            let oauth = builder.build()?;
            #[cfg(feature = "pkcs11")]
            if let Some(keys) = &keys {
                let keys = crate::hsm::TokenAndFiles { token: keys.clone(), files: host.clone() };
                return Client::new(oauth, Split { keys, sessions: host.clone() }).map_err(failure);
            }
            Client::new(oauth, host.clone()).map_err(failure)
        };
        let grant = setup.grant(before.as_ref());
        let mut client = make(builder())?;
        let known = before.and_then(|before| before.client);
        let named = setup.client_id.as_ref().or(known.as_ref().map(|known| &known.id));
        let named = match named {
            None => None,
            Some(id) => {
                // Credentials belong to an issuer: the API is asked for it only if the session does not know it.
                let issuer = match asked.as_ref().or(known.as_ref().map(|known| &known.issuer)) {
                    Some(issuer) => issuer.clone(),
                    None => client.discover(url.as_str()).map_err(failure)?.server().issuer().to_owned(),
                };
                let given = setup.authentication(&host, known.as_ref(), output)?;
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
        Ok(Self { setup, output, url, name, loopback: Some(loopback), client, host, remembered })
    }

    /// The stored session, if there is one that may call the URL.
    fn open(&self) -> Result<Session, Error> {
        let Some(name) = &self.name else { return Err(Error::Flow(oauth::FlowError::NoSession)) };
        let session = self.client.open(name)?;
        // Before there was one session for each resource, they were named by their origin.
        let is_elsewhere = || {
            let resource = session.resource().and_then(|resource| Url::parse(&resource).ok());
            resource.is_some_and(|resource| !covers(&resource, &self.url))
        };
        if self.setup.session.is_none() && is_elsewhere() {
            return Err(Error::Flow(oauth::FlowError::NoSession));
        }
        Ok(session)
    }

    /// Whether the options name the server or the client to log in with: then a login is meant.
    const fn knows_server(&self) -> bool {
        self.remembered.issuer.is_some() || self.remembered.client.is_some()
    }

    /// Whether the session's key is in an HSM's token rather than in a file.
    fn has_key_in_token(&self) -> bool {
        #[cfg(feature = "pkcs11")]
        return !self.remembered.token.to_value().is_null();
        #[cfg(not(feature = "pkcs11"))]
        false
    }

    /// What to tell of an error, which may be that there is no session for the URL.
    fn failure(&self, error: Error) -> Failure {
        match (&error, &self.setup.session) {
            (Error::Flow(oauth::FlowError::NoSession), None) => Failure::failed(format!(
                "there is no session for {0}; `keybound login {0}` makes one",
                self.url.without_query()
            )),
            (Error::Flow(oauth::FlowError::NoSession), Some(name)) => Failure::failed(format!(
                "no session is stored under the name {name}; `keybound login {} --session {name}` makes one",
                self.url.without_query()
            )),
            _ => failure(error),
        }
    }

    /// Logs in: discovers what protects the API, and asks for a session in the way that was chosen.
    fn log_in(&mut self) -> Result<Session, Failure> {
        let found = self.client.discover_with(self.url.as_str(), self.remembered.issuer.as_deref()).map_err(failure)?;
        let name = self.setup.session.clone().unwrap_or_else(|| name_for(&found, &self.url));
        if self.name.as_ref().is_some_and(|before| *before != name) {
            // What was stored is for another resource, and stays.
            drop(self.loopback.take());
            *self = Self::named(Some(name.clone()), self.setup, self.url.clone(), self.host.clone(), self.output)?;
        }
        self.name = Some(name.clone());
        self.replaces_no_other(&name)?;
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
        if let Some(issuer) = self.setup.issuer.as_deref().filter(|given| !is_same(given, found.server().issuer())) {
            self.output.note(format_args!(
                "the API names the server {}; --issuer {issuer} was not used",
                found.server().issuer()
            ));
        }
        let request = self.request(&name, &found);
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
        self.remembered.store(&self.host, &name)?;
        Ok(session)
    }

    /// Refuses to put a session in the place of another client's. What an older version stored does not say whether the client
    /// was named or had registered itself.
    fn replaces_no_other(&self, name: &str) -> Result<(), Failure> {
        if Remembered::load(&self.host, name)?.is_some() {
            return Ok(());
        }
        match self.client.open(name) {
            Err(Error::Flow(oauth::FlowError::Stored(oauth::StoredDefect::Client))) => Err(Failure::usage(format!(
                "session {name} was made by another client; name that client with --client-id, or give this session \
                 another name with --session"
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

    fn request(&self, name: &str, found: &Discovered) -> SessionRequest {
        let request = self.remembered.switches.apply(SessionRequest::new(name, found));
        match &self.setup.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }

    fn finish(&mut self, authorization: &oauth::Authorization) -> Result<Session, Failure> {
        let loopback = match self.loopback.take() {
            Some(loopback) => loopback,
            None => {
                return Err(Failure::failed(
                    "the session is stored; run the command again, which asks for the scope in the browser",
                ));
            }
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
            (self.client_secret.is_some(), "--client-secret"),
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

    /// How the client authenticates, if the options or the environment say so.
    ///
    /// A secret in the environment may be another client's: it counts for a client that is named in the same command, or that has a secret already.
    fn authentication(
        &self,
        host: &Files,
        known: Option<&RememberedClient>,
        output: &Output,
    ) -> Result<Option<Authentication>, Failure> {
        let has_secret = known.is_some_and(|known| matches!(known.authentication, Authentication::Secret(_)));
        if let Some(secret) = &self.client_secret {
            return Ok(Some(Authentication::Secret(Secret::new(secret.as_str()))));
        }
        let Some(path) = &self.client_key else {
            let of_environment = std::env::var(CLIENT_SECRET).ok().filter(|secret| !secret.is_empty());
            let meant = of_environment.filter(|_| self.client_id.is_some() || has_secret);
            return Ok(meant.map(|secret| Authentication::Secret(Secret::new(secret.as_str()))));
        };
        let bytes = input::read(path)?;
        let text = input::text(&bytes, "client's key")?;
        let key = SoftKey::from_jwk(&text, &RUSTCRYPTO).map_err(|error| Failure::usage(error.to_string()))?;
        input::note_readable(path, output);
        host.add_key(&key).map_err(|error| Failure::undecided(error.to_string()))?;
        Ok(Some(Authentication::Key(key.public_key().clone(), key.algorithm())))
    }
}

/// Whether two issuer identifiers are the same but for a slash at the end, which people leave out.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
