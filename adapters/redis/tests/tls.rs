//! Servers that speak TLS: Debian's Redis does, the Valkey of the Python package does not.

use std::fs;

use keybound::Policy;
use keybound::replay::{AsyncReplayStore, Insertion};
use keybound_redis::{Builder, OpenError, RedisReplayStore};
use rcgen::{CertificateParams, CertifiedKey, KeyPair};

use crate::support::proofs::{NAMESPACE, opened, present, proof};
use crate::support::{Kind, Server, free_port};

/// A server with a certificate for this name, which vouches for itself.
struct Secure {
    _server: Server,
    port: u16,
    certificate: CertifiedKey<KeyPair>,
}

impl Secure {
    fn start(asks_clients: &str) -> Option<Self> {
        Kind::Redis.program()?;
        let certificate = certificate("localhost");
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        fs::write(&chain, certificate.cert.pem()).unwrap();
        fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
        let port = free_port();
        let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
        let files = ["--tls-cert-file", chain, "--tls-key-file", key, "--tls-ca-cert-file", chain];
        let options = ["--tls-port", &port.to_string(), "--tls-auth-clients", asks_clients];
        let server = Server::start(Kind::Redis, &[options.as_slice(), &files].concat());
        Some(Self { _server: server, port, certificate })
    }

    fn store(&self, host: &str) -> Builder {
        let url = format!("rediss://{host}:{}", self.port);
        RedisReplayStore::builder(&url, NAMESPACE, &Policy::default())
    }

    fn trusted(&self, host: &str) -> Builder {
        self.store(host).root_certificates(self.certificate.cert.pem().as_bytes())
    }
}

fn certificate(name: &str) -> CertifiedKey<KeyPair> {
    let signing_key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&signing_key).unwrap();
    CertifiedKey { cert, signing_key }
}

/// The certificate is named, and not a server that cannot be reached.
async fn is_not_trusted(builder: Builder) {
    let error = builder.open().await.unwrap_err();
    assert!(matches!(&error, OpenError::Certificates(why) if why.contains("root_certificates")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_and_the_issuer_of_a_certificate_are_checked() {
    let Some(server) = Secure::start("no") else { return };
    let store = opened(server.trusted("localhost")).await;
    assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
    is_not_trusted(server.trusted("127.0.0.1")).await;
    is_not_trusted(server.store("localhost")).await;
    let other = certificate("localhost");
    is_not_trusted(server.store("localhost").root_certificates(other.cert.pem().as_bytes())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_shown() {
    let Some(server) = Secure::start("yes") else { return };
    let key = server.certificate.signing_key.serialize_pem();
    let shown =
        server.trusted("localhost").client_certificate(server.certificate.cert.pem().as_bytes(), key.as_bytes());
    let store = opened(shown).await;
    assert_eq!(present(&store, &proof(1, store.epoch())).await, Insertion::Fresh);
    let store = server.trusted("localhost").open().await.unwrap();
    assert!(!store.health().is_open());
}
