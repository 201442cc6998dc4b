//! Timeouts and certificates, in one place.

use std::time::Duration;

use keybound::audit::AuditRecord;

use crate::audit::Audit;

/// How requests are sent. Redirects are never followed by the HTTP client, and certificates are always checked.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
    pub(crate) roots: Vec<reqwest::Certificate>,
    pub(crate) agent: String,
    pub(crate) audit: Audit,
}

impl Default for Settings {
    /// 10 seconds to connect, 60 for the beginning of an answer, the system's root certificates.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            roots: Vec::new(),
            agent: concat!("keybound/", env!("CARGO_PKG_VERSION")).into(),
            audit: Audit::default(),
        }
    }
}

impl Settings {
    /// For how long a connection may take to be made.
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect = time;
        self
    }

    /// For how long the server may be silent, at the beginning of an answer and within it.
    pub const fn read_timeout(mut self, time: Duration) -> Self {
        self.answer = time;
        self
    }

    /// Trusts this root certificate besides the system's.
    pub fn root_certificate(mut self, certificate: reqwest::Certificate) -> Self {
        self.roots.push(certificate);
        self
    }

    /// Gives `function` a record of each token issued or renewed, each key replaced, and each request that was refused. Records name the
    /// client and the key of the session, and hold no token. It is called at the end of the flow, on its thread: it should not block.
    ///
    /// ```
    /// use keybound_reqwest::Settings;
    /// let settings = Settings::default().audit(|record| println!("{record}"));
    /// ```
    pub fn audit(mut self, function: impl Fn(&AuditRecord) + Send + Sync + 'static) -> Self {
        self.audit = Audit::to(function);
        self
    }

    /// The `User-Agent` field.
    pub fn user_agent(mut self, agent: &str) -> Self {
        self.agent = agent.into();
        self
    }
}

/// The same settings for both of reqwest's builders.
macro_rules! configure {
    ($builder:expr, $settings:expr) => {{
        let settings = $settings;
        let builder = $builder
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect)
            .user_agent(&settings.agent);
        builder.tls_certs_merge(settings.roots.iter().cloned())
    }};
}
pub(crate) use configure;
