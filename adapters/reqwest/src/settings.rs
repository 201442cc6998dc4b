//! Timeouts, retries and certificates, in one place.

use std::time::Duration;

/// How requests are sent. Redirects are never followed by the HTTP client, and certificates are always checked.
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
    pub(crate) retries: u8,
    pub(crate) pause: Duration,
    pub(crate) roots: Vec<reqwest::Certificate>,
    pub(crate) agent: String,
}

impl Default for Settings {
    /// 10 seconds to connect, 60 for the beginning of an answer, 2 retries after 0.2 and 0.4 seconds, the system's root
    /// certificates.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            retries: 2,
            pause: Duration::from_millis(200),
            roots: Vec::new(),
            agent: concat!("keybound/", env!("CARGO_PKG_VERSION")).into(),
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

    /// How often a request that can be repeated is sent again when the network failed, with a new proof each time. Requests to
    /// the authorization server that could use up a code or a token are not.
    pub const fn retries(mut self, retries: u8) -> Self {
        self.retries = retries;
        self
    }

    /// The pause before the first retry; each further one is twice as long.
    pub const fn retry_pause(mut self, time: Duration) -> Self {
        self.pause = time;
        self
    }

    /// Trusts this root certificate besides the system's.
    pub fn root_certificate(mut self, certificate: reqwest::Certificate) -> Self {
        self.roots.push(certificate);
        self
    }

    /// The `User-Agent` field.
    pub fn user_agent(mut self, agent: &str) -> Self {
        self.agent = agent.into();
        self
    }

    pub(crate) fn pause_before(&self, retry: u8) -> Duration {
        self.pause.saturating_mul(1_u32 << u32::from(retry.min(10)))
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
