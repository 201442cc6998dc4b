//! Certificates are checked, and redirects of the HTTP client are off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

use std::sync::Arc;

use keybound::oauth::FlowError;
use keybound::{RUSTCRYPTO, SecurityLevel, oauth};
use keybound_reqwest::{Client, Error, Memory, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server with a certificate that nobody signed, which answers everything with a redirect to itself. Its URL and certificate.
async fn server() -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a configuration")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (url, certificate.to_vec())
}

fn client(settings: Settings) -> Client {
    let oauth = oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).build().expect("a client");
    Client::with_settings(oauth, Memory::new(), settings).expect("a client")
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (url, certificate) = server().await;
    let error = client(Settings::default()).discover(&url).await.expect_err("a stranger");
    assert_eq!(error.reason(), "host", "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");

    let root = reqwest::Certificate::from_der(&certificate).expect("a certificate");
    let trusting = client(Settings::default().root_certificate(root));
    let answer = trusting.request(reqwest::Method::GET, &url).send().await.expect("an answer");
    assert_eq!(answer.status(), 307, "not followed");
    // It answers everything with a redirect, so there is no metadata.
    assert_eq!(trusting.discover(&url).await.expect_err("no metadata").reason(), "metadata_not_found");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let oauth =
        oauth::Client::builder(SecurityLevel::Enhanced, &RUSTCRYPTO).allow_loopback().build().expect("a client");
    let settings = Settings::default().read_timeout(std::time::Duration::from_millis(100));
    let client = Client::with_settings(oauth, Memory::new(), settings).expect("a client");
    let error = client.discover(&url).await.expect_err("silence");
    let Error::Flow(FlowError::Host(error)) = error else { panic!("{error}") };
    assert!(error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout), "{error}");
}
