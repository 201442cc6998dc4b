//! What a protection counts: names, types and labels are a contract, and no label has a value that came from a peer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::Request;
use http::request::Parts;
use keybound::UnixTime;
use keybound::json::Value;
use keybound::replay::{AsyncReplayStore, BoxFuture, Inserted, Insertion, ReplayEntry, StoreEpoch};
use keybound_tower::Protection;
use keybound_tower::audit::{AuditKey, AuditLog};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder};
use metrics::{SharedString, Unit};
use story::{Client, Clock, ISSUER, Issuer};

const RESOURCE: &str = "https://api.example.com";

/// Keeps everything it is told.
#[derive(Clone, Default)]
struct Numbers {
    described: Arc<Mutex<BTreeSet<(String, &'static str)>>>,
    values: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
    keys: Arc<Mutex<Vec<(Key, &'static str)>>>,
}

impl Numbers {
    fn describe(&self, name: &KeyName, kind: &'static str) {
        self.described.lock().unwrap().insert((name.as_str().to_owned(), kind));
    }

    fn register(&self, key: &Key, kind: &'static str) -> Arc<Number> {
        self.keys.lock().unwrap().push((key.clone(), kind));
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Number { name, values: self.values.clone() })
    }

    /// The values of a number, in the order they were told.
    fn of(&self, name: &str) -> Vec<f64> {
        self.values.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    fn sum(&self, name: &str) -> f64 {
        self.of(name).iter().sum()
    }
}

struct Number {
    name: String,
    values: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
}

impl Number {
    fn add(&self, value: f64) {
        self.values.lock().unwrap().entry(self.name.clone()).or_default().push(value);
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.add(f64::from(u32::try_from(value).unwrap()));
    }

    fn absolute(&self, value: u64) {
        self.add(f64::from(u32::try_from(value).unwrap()));
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.add(value);
    }
}

impl HistogramFn for Number {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter");
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge");
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name, "histogram");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, "gauge"))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key, "histogram"))
    }
}

/// A store that does what the test says, and gives faults names if there is one.
#[derive(Clone)]
struct Store(Arc<Says>);

struct Says {
    answer: Mutex<Option<Insertion>>,
    epoch: AtomicU64,
    fault: Mutex<Option<&'static str>>,
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl AsyncReplayStore for Store {
    type Error = Broken;

    fn insert<'a>(
        &'a self,
        entries: &'a [ReplayEntry],
        _: UnixTime,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, Self::Error>> {
        let insertion = *self.0.answer.lock().unwrap();
        let epoch = self.epoch();
        Box::pin(async move {
            let insertion = insertion.ok_or(Broken)?;
            let answer = match *self.0.fault.lock().unwrap() {
                Some(fault) => Inserted::unavailable(fault, epoch),
                None => Inserted::new(insertion, epoch),
            };
            Ok(vec![answer; entries.len()])
        })
    }

    fn epoch(&self) -> StoreEpoch {
        StoreEpoch::from_u64(self.0.epoch.load(Ordering::SeqCst))
    }
}

fn head(token: &str, proof: &str) -> Parts {
    let request = Request::get("/items?secret=1").header("authorization", format!("DPoP {token}"));
    request.header("dpop", proof).body(()).unwrap().into_parts().0
}

fn contract() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/contract/metrics.json");
    let parsed = Value::parse(&std::fs::read(path).unwrap()).unwrap();
    let Value::Array(listed) = &parsed else { panic!("a list") };
    let entry = |one: &Value| {
        let text = |name| one.text(name).unwrap().to_owned();
        (text("name"), (text("type"), one.texts("labels").map(Into::into).collect()))
    };
    listed.iter().map(entry).collect()
}

#[tokio::test]
async fn the_numbers_of_a_story_are_those_of_the_contract() {
    let numbers = Numbers::default();
    let _guard = metrics::set_default_local_recorder(&numbers);
    let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
    let client = Client::new(&clock, RESOURCE, ([127, 0, 0, 1], 1).into());
    let store = Store(Arc::new(Says {
        answer: Mutex::new(Some(Insertion::Fresh)),
        epoch: AtomicU64::new(1),
        fault: Mutex::new(None),
    }));
    let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, issuer.keys()).unwrap();
    let log = AuditLog::new(AuditKey::from_secret(&[1; 32]).unwrap()).to(|_| ()).waiting(0);
    let builder = builder.clock(clock.reader()).replay_store(store.clone()).metrics().audit(log);
    let protection = builder.build().unwrap();
    let token = issuer.token(&client.bound_claims().with("client_id", "app\"}\n"));

    let challenged = protection.admit(&head(&token, &client.proof("GET", "/items", &token, None))).await.unwrap_err();
    let nonce = challenged.dpop_nonce().unwrap().as_str().to_owned();
    let present = async |answer: Option<Insertion>| {
        *store.0.answer.lock().unwrap() = answer;
        drop(protection.admit(&head(&token, &client.proof("GET", "/items", &token, Some(&nonce)))).await);
    };
    for answer in [Insertion::Fresh, Insertion::Seen, Insertion::Full, Insertion::Unavailable] {
        present(Some(answer)).await;
    }
    present(None).await;
    for _ in 0..2 {
        *store.0.fault.lock().unwrap() = Some("not_acknowledged");
        present(Some(Insertion::Unavailable)).await;
    }
    *store.0.fault.lock().unwrap() = None;
    store.0.epoch.store(2, Ordering::SeqCst);
    present(Some(Insertion::BeforeFloor)).await;
    clock.advance(-3);
    let ahead = client.proof("GET", "/items", &token, Some(&nonce));
    clock.advance(3);
    *store.0.answer.lock().unwrap() = Some(Insertion::Seen);
    drop(protection.admit(&head(&token, &ahead)).await);
    protection.admit(&head(&token, "a.b.c")).await.unwrap_err();

    let one = |name: &str| assert_eq!(numbers.sum(name), 1.0, "{name} in {:?}", numbers.values.lock().unwrap());
    one("keybound_requests_total{verdict=challenged,reason=nonce_missing}");
    one("keybound_requests_total{verdict=admitted,reason=none}");
    one("keybound_requests_total{verdict=undecided,reason=store_full}");
    one("keybound_requests_total{verdict=refused,reason=base64_non_canonical}");
    one("keybound_nonce_challenges_total{reason=nonce_missing}");
    one("keybound_store_faults_total{fault=unavailable}");
    one("keybound_store_faults_total{fault=error}");
    // A store that gives its fault a name is counted by it alone.
    assert_eq!(numbers.sum("keybound_store_faults_total{fault=not_acknowledged}"), 2.0);
    one("keybound_store_lives_total{}");
    assert_eq!(numbers.of("keybound_check_seconds{}").len(), 11);
    assert_eq!(numbers.of("keybound_store_seconds{answer=seen}").len(), 2);
    assert_eq!(numbers.of("keybound_store_seconds{answer=before_floor}").len(), 1);
    assert_eq!(numbers.of("keybound_store_up{}"), [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    assert_eq!(numbers.of("keybound_clock_offset_seconds{}").last(), Some(&-3.0));
    assert_eq!(numbers.of("keybound_clock_offset_seconds{}").len(), 10, "not that of a proof without signature");
    assert_eq!(numbers.sum("keybound_replays_total{}"), 2.0);
    assert_eq!(numbers.sum("keybound_audit_dropped_total{}"), 11.0, "no record may wait");

    let contract = contract();
    let described: BTreeSet<_> = numbers.described.lock().unwrap().clone();
    let listed = contract.iter().map(|(name, (kind, _))| (name.clone(), kind.clone()));
    assert_eq!(
        described.into_iter().map(|(name, kind)| (name, kind.to_owned())).collect::<BTreeSet<_>>(),
        listed.collect()
    );
    for (key, kind) in &*numbers.keys.lock().unwrap() {
        let labels = key.labels().map(|label| label.key().to_owned()).collect();
        assert_eq!(contract.get(key.name()), Some(&((*kind).to_owned(), labels)), "{key}");
        for label in key.labels() {
            let is_name =
                label.value().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            assert!(is_name && !label.value().is_empty(), "{key}");
        }
    }
}

#[tokio::test]
async fn nothing_is_counted_unless_it_is_asked_for() {
    let numbers = Numbers::default();
    let _guard = metrics::set_default_local_recorder(&numbers);
    let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, Issuer::new("k1").keys()).unwrap();
    builder.build().unwrap().admit(&head("token", "a.b.c")).await.unwrap_err();
    assert!(numbers.keys.lock().unwrap().is_empty() && numbers.described.lock().unwrap().is_empty());
}
