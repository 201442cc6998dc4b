//! Sessions on the command line: `keybound login`, `keybound call` and `keybound logout`.

pub(crate) mod call;
pub(crate) mod login;
pub(crate) mod logout;

use std::path::PathBuf;

use clap::{Args as Arguments, ValueEnum};
use etcetera::BaseStrategy as _;
use keybound::http::url::Url;
use keybound::json::Value;
use keybound::key::Signer as _;
use keybound::key::soft::SoftKey;
use keybound::oauth::{self, Credentials, Discovered, Secret, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel};
use keybound_reqwest::blocking::Client;
use keybound_reqwest::{Error, Files, Loopback};
use serde_json::json;

use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// How a session is made, and where it is kept.
#[derive(Arguments)]
pub(crate) struct Setup {
    /// The session's name; the API's origin otherwise.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The folder for sessions and keys, readable by you alone.
    #[arg(long, value_name = "FOLDER", env = "KEYBOUND_HOME")]
    folder: Option<PathBuf>,
    /// How much is demanded of the server: standard takes Bearer tokens, enhanced binds them to a key.
    #[arg(long, value_enum, default_value_t)]
    level: Level,
    /// The scope to ask for; what the API asks for otherwise.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Log in on another device, by a code.
    #[arg(long, conflicts_with = "machine")]
    device: bool,
    /// Log in as the client itself, without a user.
    #[arg(long, requires = "client_id")]
    machine: bool,
    /// The client's identifier at the server; it registers itself otherwise.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The issuer identifier of the server that knows the client; the one that the API names otherwise.
    #[arg(long, value_name = "URL", requires = "client_id")]
    issuer: Option<String>,
    /// The client's secret; better given in the environment.
    #[arg(long, value_name = "SECRET", env = "KEYBOUND_CLIENT_SECRET", hide_env_values = true, requires = "client_id")]
    client_secret: Option<String>,
    /// A file with the private key (JWK) that the client authenticates with (private_key_jwt).
    #[arg(long, value_name = "FILE", requires = "client_id", conflicts_with = "client_secret")]
    client_key: Option<PathBuf>,
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
#[derive(Clone, Copy, Default, ValueEnum)]
enum Level {
    /// Plain OAuth 2.1.
    Standard,
    /// Tokens bound by DPoP.
    #[default]
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
}

impl<'a> Caller<'a> {
    fn new(setup: &'a Setup, url: &str, output: &'a Output) -> Result<Self, Failure> {
        let parsed = Url::parse(url).map_err(|error| Failure::usage(format!("{url} cannot be called: {error}")))?;
        let host = open_folder(setup)?;
        let loopback = Loopback::bind_to(setup.port).map_err(|error| {
            Failure::undecided(format!("the browser cannot come back to port {}: {error}", setup.port))
        })?;
        let builder = || {
            let builder = oauth::Client::builder(setup.level.into(), &RUSTCRYPTO)
                .redirect_uri(&loopback.redirect_uri())
                .register(Value::object().with("client_name", "keybound"));
            if parsed.is_loopback() { builder.allow_loopback() } else { builder }
        };
        let make = |builder: oauth::ClientBuilder| {
            let oauth = builder.build().map_err(|error| Failure::usage(error.to_string()))?;
            Client::new(oauth, host.clone()).map_err(failure)
        };
        let mut client = make(builder())?;
        if let Some(id) = &setup.client_id {
            // Credentials belong to an issuer.
            let issuer = match &setup.issuer {
                Some(issuer) => issuer.clone(),
                None => client.discover(url).map_err(failure)?.server().issuer().to_owned(),
            };
            client = make(builder().credentials(&issuer, setup.credentials(id, &host)?))?;
        }
        let name = setup.session.clone().unwrap_or_else(|| parsed.origin().to_owned());
        Ok(Self { setup, output, url: url.into(), name, loopback: Some(loopback), client })
    }

    /// Logs in: discovers what protects the API, and asks for a session in the way that was chosen.
    fn log_in(&mut self) -> Result<Session, Failure> {
        let found = self.client.discover(&self.url).map_err(failure)?;
        let request = self.request(&found);
        if self.setup.machine {
            return self.client.client_credentials(request).map_err(failure);
        }
        if self.setup.device {
            return self.client.device(request, |device| self.show_code(device)).map_err(failure);
        }
        let authorization = self.client.authorize(request).map_err(failure)?;
        self.finish(&authorization)
    }

    /// Asks for more scope.
    fn step_up(&mut self, session: &Session, scope: &str) -> Result<Session, Failure> {
        let now = keybound::UnixTime::now();
        let authorization = self.client.run(self.client.oauth().step_up(session, scope, now)).map_err(failure)?;
        self.output.note(format_args!("the API needs the scope {scope} as well"));
        self.finish(&authorization)
    }

    fn request(&self, found: &Discovered) -> SessionRequest {
        let request = SessionRequest::new(&self.name, found);
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
    fn credentials(&self, id: &str, host: &Files) -> Result<Credentials, Failure> {
        if let Some(secret) = &self.client_secret {
            return Ok(Credentials::secret(id, Secret::new(secret.as_str())));
        }
        let Some(path) = &self.client_key else { return Ok(Credentials::public(id)) };
        let bytes = input::read(path)?;
        let text = input::text(&bytes, "the client's key")?;
        let key = SoftKey::from_jwk(&text, &RUSTCRYPTO).map_err(|error| Failure::usage(error.to_string()))?;
        host.add_key(&key).map_err(|error| Failure::undecided(error.to_string()))?;
        Ok(Credentials::private_key(id, key.public_key().clone(), key.algorithm()))
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

/// Something went wrong on the way: 3 if nobody could decide, else 1.
fn failure(error: Error) -> Failure {
    match &error {
        Error::Flow(oauth::FlowError::Misuse(_)) => Failure::usage(error.to_string()),
        Error::Flow(oauth::FlowError::Host(_)) | Error::Http(_) | Error::Loopback(_) => {
            Failure::undecided(error.to_string())
        }
        _ => Failure::failed(error.to_string()),
    }
}
