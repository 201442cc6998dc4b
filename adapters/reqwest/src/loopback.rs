//! The browser's return to a program on the user's machine (RFC 8252 section 7.3).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use keybound::UnixTime;
use keybound::oauth::Authorization;

/// A listener on a free port of 127.0.0.1 that receives one authorization response.
#[derive(Debug)]
pub struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// The path of the redirect URI.
const PATH: &str = "/callback";
/// The longest request line that is read, in bytes.
const MAX_LINE: u64 = 16 * 1024;

impl Loopback {
    /// Takes a free port.
    ///
    /// # Errors
    /// If there is none.
    pub fn bind() -> io::Result<Self> {
        Self::bind_to(0)
    }

    /// Takes this port, for servers that compare the whole redirect URI.
    ///
    /// # Errors
    /// If it is in use.
    pub fn bind_to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The redirect URI to configure the client with.
    pub fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits for the browser and gives the URL it came to. It blocks until then, or until the login has run out.
    ///
    /// Requests for anything else, and responses with another `state`, are answered and passed over.
    ///
    /// # Errors
    /// If the listener fails or the time is over.
    pub fn wait(self, authorization: &Authorization) -> io::Result<String> {
        self.listener.set_nonblocking(true)?;
        while UnixTime::now() < authorization.expires_at {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(url) = self.receive(stream, &authorization.state).unwrap_or_default() {
                        return Ok(url);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "nobody came back from the browser in time"))
    }

    fn receive(&self, mut stream: TcpStream, state: &str) -> io::Result<Option<String>> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut line = String::new();
        BufReader::new((&mut stream).take(MAX_LINE)).read_line(&mut line)?;
        let target = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let ours = target.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('?'));
        let mut parameters = ours.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        if !parameters.any(|(name, value)| name == "state" && value == state) {
            answer(&mut stream, "404 Not Found", "This is not the page that a login comes back to.")?;
            return Ok(None);
        }
        answer(&mut stream, "200 OK", "You can close this window and go back to the program.")?;
        Ok(Some(format!("http://{}{target}", self.address)))
    }
}

fn answer(stream: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let page = format!("<!doctype html><meta charset=utf-8><title>Keybound</title><p>{text}</p>");
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    )
}
