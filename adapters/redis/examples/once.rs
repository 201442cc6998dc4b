//! Uses proofs up in Redis, as one process of several: `cargo run -p keybound-redis --example once URL NAMESPACE SECRET`.
//!
//! Prints the store's epoch, reads a proof a line, and prints what became of each: `fresh`, `seen` and so on. The proofs are for
//! `GET https://api.example.com/items` at an authorization server's clock, with nonces of key 1; SECRET is that key, 64 hexadecimal digits.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::AsyncReplayStore;
use keybound::{Context, Policy, Presentation, TargetUri, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;
use keybound_redis::RedisReplayStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, namespace, secret] = arguments.as_slice() else {
        return Err("usage: once URL NAMESPACE SECRET".into());
    };
    let policy = Policy::default();
    let store = RedisReplayStore::builder(url, namespace, &policy).open().await?;
    let nonces = NonceIssuer::new(AWS_LC.mac, NonceKeys::new(NonceKey::from_secret(1, secret_of(secret)?)?), "");
    let verifier = Verifier::new(policy, &AWS_LC).with_nonces(nonces);
    let target = TargetUri::parse("https://api.example.com/items")?;
    println!("{}", store.epoch().to_u64());
    stdout().flush()?;
    for line in stdin().lock().lines() {
        let line = line?;
        let context = Context::TokenEndpoint { dpop_jkt: None };
        let proofs = [line.trim().as_bytes()];
        let presentation = Presentation {
            method: "GET",
            target: &target,
            proofs: &proofs,
            context,
            nonce: None,
            epoch: store.epoch(),
        };
        let pending = verifier.check(&presentation, UnixTime::now())?;
        let answers = store.insert(&[*pending.replay_entry()], UnixTime::now()).await?;
        for answer in answers {
            println!("{}", answer.insertion);
        }
        stdout().flush()?;
    }
    Ok(())
}

fn secret_of(text: &str) -> Result<[u8; 32], Box<dyn Error>> {
    let mut secret = [0; 32];
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(secret)
}
