//! One connection: where it leads, what is sent over it, what comes back.

use std::fmt;
use std::sync::Once;
use std::time::Duration;

use keybound::replay::Inserted;
use keybound::replay::redis::{Command, Fault, HOPS, Next, RedisReplay, Reply, needs_tls};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::time::{Instant, timeout, timeout_at};

use crate::builder::{Clock, OpenError};
use crate::health::Obstacle;

/// What URLs begin with.
const SCHEMES: [&str; 3] = ["redis://", "rediss://", "unix://"];

/// Where a server is, and how it is talked to.
#[derive(Clone)]
pub(crate) struct Place(ConnectionInfo);

impl Place {
    /// Reads a URL.
    ///
    /// # Security
    /// `redis:` leads to this machine alone unless `accepts_plaintext`, and TLS always checks the name: a URL cannot switch that off.
    pub(crate) fn parse(url: &str, accepts_plaintext: bool, certificates: &TlsCertificates) -> Result<Self, OpenError> {
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(OpenError::Url("it begins otherwise than with redis://, rediss:// or unix://".to_owned()));
        }
        // Not the error's whole text: it may repeat the URL, and with it the password.
        let info = url.into_connection_info().map_err(|error| OpenError::Url(error.category().to_owned()))?;
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(OpenError::Url("#insecure would take any certificate".to_owned()));
            }
            addr @ ConnectionAddr::Tcp(..) if !(accepts_plaintext || is_here(&addr)) => {
                return Err(OpenError::Plaintext);
            }
            addr => addr,
        };
        if info.redis_settings().db() != 0 {
            return Err(OpenError::Url("it names a database: name a namespace instead".to_owned()));
        }
        let is_secure = matches!(addr, ConnectionAddr::TcpTls { .. });
        // In the older protocol a connection begins with the password alone, so that the user needs no further command.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let info = info.set_addr(addr).set_redis_settings(settings);
        if !is_secure {
            return Ok(Self(info));
        }
        install_provider();
        let client = Client::build_with_tls(info, certificates.clone());
        let client = client.map_err(|error| OpenError::Certificates(error.to_string()))?;
        Ok(Self(client.get_connection_info().clone()))
    }

    /// Another node of its cluster: the same in all else, so that TLS checks the new name before any password is sent.
    ///
    /// Nothing if that node may not be talked to, or could not be the same cluster's.
    fn moved(&self, address: &str, accepts_plaintext: bool) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let host = |own: &str| if host.is_empty() { own.to_owned() } else { host.to_owned() };
        let addr = match self.0.addr() {
            ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(host(own), port),
            ConnectionAddr::TcpTls { host: own, tls_params, .. } => {
                let tls_params = tls_params.clone();
                ConnectionAddr::TcpTls { host: host(own), port, insecure: false, tls_params }
            }
            _ => return None,
        };
        let is_plain = matches!(addr, ConnectionAddr::Tcp(..));
        (accepts_plaintext || !is_plain || is_here(&addr)).then(|| Self(self.0.clone().set_addr(addr)))
    }
}

/// Shows the address alone.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.addr())
    }
}

/// Whether an address is on this machine.
fn is_here(addr: &ConnectionAddr) -> bool {
    match addr {
        ConnectionAddr::Tcp(host, _) => !needs_tls(host),
        _ => false,
    }
}

/// TLS needs one provider in the process; a host that has chosen its own keeps it.
fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// How connections are made.
pub(crate) struct Connector {
    pub(crate) place: Place,
    /// Whether it follows a cluster.
    pub(crate) follows: bool,
    pub(crate) accepts_plaintext: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) answer_timeout: Duration,
}

impl Connector {
    /// A connection to a server whose life is open, and where it is.
    pub(crate) async fn open(
        &self,
        replay: &RedisReplay,
        first: &Place,
        clock: &Clock,
    ) -> Result<(Connection, Place), Obstacle> {
        let mut place = first.clone();
        let mut hops = 0_usize;
        loop {
            let connection = self.connect(&place).await?;
            match connection.run(Next::Exchange(replay.open(clock())), clock).await {
                Outcome::Done(_) => return Ok((connection, place)),
                Outcome::Fault(Fault::Moved { address }, _) if self.follows => {
                    hops = hops.saturating_add(1);
                    let next = place.moved(&address, self.accepts_plaintext).filter(|_| hops <= HOPS);
                    place = next.ok_or(Obstacle::Fault(Fault::Moved { address }))?;
                }
                Outcome::Fault(fault, _) => return Err(Obstacle::Fault(fault)),
            }
        }
    }

    async fn connect(&self, place: &Place) -> Result<Connection, Obstacle> {
        let client = Client::open(place.0.clone()).map_err(|error| obstacle(&error))?;
        // Time is kept here: for the whole of a connection, and for each exchange.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let made = timeout(self.connect_timeout, client.get_multiplexed_async_connection_with_config(&config));
        let connection = made.await.map_err(|_| Obstacle::Fault(Fault::Lost))?.map_err(|error| obstacle(&error))?;
        Ok(Connection { connection, answer_timeout: self.answer_timeout })
    }
}

fn obstacle(error: &RedisError) -> Obstacle {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Obstacle::Fault(Fault::NotAuthenticated),
        // What TLS says comes as an error of input and output.
        ErrorKind::Io if error.to_string().contains("certificate") => Obstacle::Certificate,
        ErrorKind::Server(ServerErrorKind::BusyLoading) => Obstacle::Fault(Fault::Loading),
        _ => Obstacle::Unreachable(error.category().to_owned()),
    }
}

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    connection: MultiplexedConnection,
    pub(crate) answer_timeout: Duration,
}

/// How exchanges ended. The answers are one for each entry.
pub(crate) enum Outcome {
    Done(Vec<Inserted>),
    Fault(Fault, Vec<Inserted>),
}

impl Outcome {
    /// The answers, and what is in the way of further ones.
    pub(crate) fn into_parts(self) -> (Vec<Inserted>, Option<Obstacle>) {
        match self {
            Self::Done(answers) => (answers, None),
            Self::Fault(fault, answers) => (answers, Some(Obstacle::Fault(fault))),
        }
    }
}

impl Connection {
    /// Sends an exchange and those that follow from it, each of which has the time of an answer.
    pub(crate) async fn run(&self, begun: Next, clock: &Clock) -> Outcome {
        let mut next = begun;
        loop {
            let start = Instant::now();
            let deadline = start.checked_add(self.answer_timeout).unwrap_or(start);
            let exchange = match next {
                Next::Exchange(exchange) => exchange,
                Next::Answers(answers) => return Outcome::Done(answers),
                Next::Fault { fault, answers } => return Outcome::Fault(fault, answers),
            };
            let mut connection = self.connection.clone();
            let pipeline = pipeline(exchange.commands());
            let replies = connection.req_packed_commands(&pipeline, 0, pipeline.len());
            let values = match timeout_at(deadline, replies).await {
                // On a machine too busy to look in time there may be replies all the same.
                Ok(Ok(values)) if Instant::now() <= deadline => values,
                _ => return Outcome::Fault(Fault::Lost, exchange.lost()),
            };
            next = exchange.resume(values.into_iter().map(reply).collect(), clock());
        }
    }
}

fn pipeline(commands: &[Command]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        let mut packed = Cmd::new();
        for argument in command.arguments() {
            packed.arg(argument.as_slice());
        }
        pipeline.add_command(packed);
    }
    pipeline
}

fn reply(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(text) => Reply::Text(text),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Reply::Text(text.into_bytes()),
        Value::Okay => Reply::Text(b"OK".to_vec()),
        Value::ServerError(error) => {
            let text = [error.code(), error.details().unwrap_or_default()].join(" ");
            Reply::Error(text.into_bytes())
        }
        _ => Reply::Missing,
    }
}

#[cfg(test)]
mod tests {
    use redis::TlsCertificates;

    use super::Place;

    fn place(url: &str, accepts_plaintext: bool) -> Place {
        let certificates = TlsCertificates { client_tls: None, root_cert: None };
        Place::parse(url, accepts_plaintext, &certificates).unwrap()
    }

    #[test]
    fn another_node_is_talked_to_in_the_same_way() {
        let moved =
            |url, accepts, address| place(url, accepts).moved(address, accepts).map(|place| format!("{place:?}"));
        let local = "redis://127.0.0.1:7000";
        assert_eq!(moved(local, false, "127.0.0.2:7001").as_deref(), Some("127.0.0.2:7001"));
        assert_eq!(moved(local, false, "::1:7001").as_deref(), Some("::1:7001"));
        // A node that does not know its own name is the one that was asked.
        assert_eq!(moved(local, false, ":7001").as_deref(), Some("127.0.0.1:7001"));
        // Not to another machine without TLS, and to nothing that is no address.
        assert_eq!(moved(local, false, "192.0.2.1:7001"), None);
        assert_eq!(moved(local, true, "192.0.2.1:7001").as_deref(), Some("192.0.2.1:7001"));
        assert_eq!(moved(local, false, "127.0.0.1"), None);
        assert_eq!(moved(local, false, "127.0.0.1:70000"), None);
        assert_eq!(moved("unix:///run/redis.sock", false, "127.0.0.1:7001"), None);
    }

    #[test]
    fn another_node_has_the_same_tls_and_the_same_user() {
        let place = place("rediss://api:secret@redis.example.com:7000", false);
        let moved = place.moved("other.example.com:7001", false).unwrap();
        assert!(matches!(moved.0.addr(), redis::ConnectionAddr::TcpTls { insecure: false, .. }));
        assert_eq!(moved.0.addr().to_string(), "other.example.com:7001");
        assert_eq!(moved.0.redis_settings().username(), Some("api"));
        assert!(!format!("{moved:?}").contains("secret"));
    }
}
