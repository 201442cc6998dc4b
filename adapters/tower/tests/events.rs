//! What the layer tells in events: why a request was refused, and nothing that would help a thief.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::io;
use std::sync::{Arc, Mutex};

use http::Request;
use keybound_tower::Protection;
use keybound_tower::audit::{AuditKey, AuditLog};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use story::{Client, Clock, ISSUER, Issuer};

const RESOURCE: &str = "https://api.example.com";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The names and labels of all that is counted.
#[derive(Default)]
struct Numbers(Mutex<Vec<Key>>);

impl Numbers {
    fn keep(&self, key: &Key) {
        self.0.lock().unwrap().push(key.clone());
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.keep(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.keep(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.keep(key);
        Histogram::noop()
    }
}

#[tokio::test]
async fn events_name_the_reason_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let client = Client::new(&clock, RESOURCE, ([127, 0, 0, 1], 1).into());
    let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let numbers = Numbers::default();
    let _recorder = metrics::set_default_local_recorder(&numbers);
    let audit = AuditLog::new(AuditKey::from_secret(&[0xab; 32]).unwrap()).to_tracing();
    let protection = builder.clock(clock.reader()).audit(audit).metrics().build().unwrap();
    let token = issuer.token(&client.bound_claims().with("client_id", "app").with("jti", "name-of-the-token"));
    let mut secrets = vec![token.clone()];
    let mut nonce: Option<String> = None;
    for _ in 0..3 {
        let proof = client.proof("GET", "/items?secret=1", &token, nonce.as_deref());
        let request = Request::get("/items?secret=1")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof.as_str());
        let judged = protection.admit(&request.body(()).unwrap().into_parts().0).await;
        if let Err(refusal) = judged {
            nonce = refusal.dpop_nonce().map(|nonce| nonce.as_str().to_owned());
        }
        secrets.extend([proof]);
        secrets.extend(nonce.clone());
    }

    // Behind a proxy that strips a prefix: the reason alone does not say which one.
    let proof = client.proof("GET", "/v1/items?secret=1", &token, nonce.as_deref());
    let request =
        Request::get("/items?secret=1").header("authorization", format!("DPoP {token}")).header("dpop", proof.as_str());
    let refusal = protection.admit(&request.body(()).unwrap().into_parts().0).await.unwrap_err();
    assert_eq!(refusal.reason(), "target_mismatch");
    secrets.push(proof);

    // Audit records are written by then.
    drop(protection);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("nonce_missing") && log.contains("use_dpop_nonce") && log.contains("admitted"), "{log}");
    let differed = log.lines().find(|line| line.contains("what differed") && line.contains("target_mismatch")).unwrap();
    for told in ["DEBUG", r#"method="GET""#, r#"url="https://api.example.com/items""#, "expected=", "/v1/items"] {
        assert!(differed.contains(told), "{told} in {differed}");
    }
    assert!(log.contains("keybound::audit") && log.contains(r#""client":"app","token":""#), "{log}");
    let numbers = format!("{:?}", numbers.0.lock().unwrap());
    assert!(numbers.contains("keybound_requests_total") && numbers.contains("nonce_missing"), "{numbers}");
    secrets.extend(["secret=1", "alice", "name-of-the-token", "abab", "171, 171"].map(Into::into));
    for secret in secrets {
        assert!(!log.contains(&secret) && !numbers.contains(&secret), "{secret} in {log} {numbers}");
    }
}
