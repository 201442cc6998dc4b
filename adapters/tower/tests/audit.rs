//! Audit records of a protection: what they hold, and that no flood, sink or rotation loses those that count.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

mod story;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use http::Request;
use http::request::Parts;
use keybound::UnixTime;
use keybound::audit::Occasion;
use keybound_tower::audit::{AuditKey, AuditLog, AuditRecord, AuditSink, JsonLines, Operation, Verdict};
use keybound_tower::{Protection, RouteTemplate};
use story::{Client, Clock, ISSUER, Issuer};

const RESOURCE: &str = "https://api.example.com";
const SECRET: [u8; 32] = [3; 32];

struct World {
    clock: Clock,
    issuer: Issuer,
    client: Client,
}

impl World {
    fn new() -> Self {
        let (clock, issuer) = (Clock::new(), Issuer::new("k1"));
        let client = Client::new(&clock, RESOURCE, ([127, 0, 0, 1], 1).into());
        Self { clock, issuer, client }
    }

    /// A protection without nonces that nothing happened to before.
    fn protection(&self, log: AuditLog) -> Protection {
        let builder = Protection::of(RESOURCE).unwrap().issuer_with_keys(ISSUER, self.issuer.keys()).unwrap();
        builder.without_nonces().danger_first_start().clock(self.clock.reader()).audit(log).build().unwrap()
    }

    fn token(&self) -> String {
        self.issuer.token(&self.client.bound_claims().with("client_id", "app").with("jti", "t1"))
    }
}

fn log() -> AuditLog {
    AuditLog::new(AuditKey::from_secret(&SECRET).unwrap())
}

fn head(token: &str, proof: &str) -> Parts {
    let request = Request::get("/items/7?page=2")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", proof)
        .extension(RouteTemplate("/items/{id}".into()));
    request.body(()).unwrap().into_parts().0
}

type Lines = Arc<Mutex<Vec<AuditRecord>>>;

/// A log whose records are kept in a list.
fn listing() -> (AuditLog, Lines) {
    let lines = Lines::default();
    let own = lines.clone();
    (log().to(move |record| own.lock().unwrap().push(record.clone())), lines)
}

fn reasons(lines: &Lines) -> Vec<&'static str> {
    lines.lock().unwrap().iter().map(|record| record.reason.unwrap_or("admitted")).collect()
}

#[tokio::test]
async fn an_admission_a_replay_and_a_stolen_token_are_recorded() {
    let world = World::new();
    let (log, lines) = listing();
    let protection = world.protection(log);
    let token = world.token();
    let request = head(&token, &world.client.proof("GET", "/items/7", &token, None));
    protection.admit(&request).await.unwrap();
    world.clock.advance(2);
    protection.admit(&request).await.unwrap_err();
    let thief = Client::new(&world.clock, RESOURCE, ([127, 0, 0, 1], 1).into());
    protection.admit(&head(&token, &thief.proof("GET", "/items/7", &token, None))).await.unwrap_err();
    protection.admit(&head(&token, "a.b.c")).await.unwrap_err();
    drop(protection);

    let mut lines = lines.lock().unwrap();
    // What anyone can cause may be written after what counts.
    lines.sort_by_key(|record| !record.is_vital());
    let short: Vec<_> = lines
        .iter()
        .map(|record| (record.verdict, record.reason, record.thumbprint.is_some(), record.client.as_deref()))
        .collect();
    assert_eq!(
        short,
        [
            (Verdict::Admitted, None, true, Some("app")),
            (Verdict::Refused, Some("replayed"), true, Some("app")),
            (Verdict::Refused, Some("binding_mismatch"), false, Some("app")),
            (Verdict::Refused, Some("base64_non_canonical"), false, None),
        ]
    );
    assert_eq!(lines[1].time, lines[0].time.saturating_add(2));
    assert!(lines.iter().all(|record| record.latency.is_some() && record.route.as_deref() == Some("/items/{id}")));
    assert_eq!((lines[0].operation, lines[0].token.is_some()), (Operation::Admission, true));
    assert_eq!((lines[0].token, lines[3].token), (lines[2].token, None));
}

#[tokio::test]
async fn a_handler_that_carries_an_intent_out_is_recorded() {
    let world = World::new();
    let (log, lines) = listing();
    let protection = world.protection(log);
    let token = world.token();
    let request = head(&token, &world.client.proof("GET", "/items/7", &token, None));
    let principal = protection.admit(&request).await.unwrap();
    protection.carry_out(&principal, "GET", "https://api.example.com/items/7", b"").await.unwrap_err();
    drop(protection);
    let lines = lines.lock().unwrap();
    assert_eq!((lines[1].operation, lines[1].reason), (Operation::Intent, Some("no_intent")));
    assert_eq!((lines[1].thumbprint, lines[1].token), (lines[0].thumbprint, lines[0].token));
}

/// A sink that stands still until it is let go.
struct Gate {
    opens: Receiver<()>,
    lines: Lines,
}

impl AuditSink for Gate {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        // An error says that the gate stays open.
        let _ = self.opens.recv();
        self.lines.lock().unwrap().push(record.clone());
        Ok(())
    }
}

fn gate() -> (Gate, Sender<()>, Lines) {
    let (open, opens) = channel();
    let lines = Lines::default();
    (Gate { opens, lines: lines.clone() }, open, lines)
}

/// The sink writes nothing at all until the flood is over, and every request is answered all the same.
#[tokio::test]
async fn a_flood_of_refusals_before_a_sink_that_blocks_hides_nothing_and_delays_no_one() {
    let world = World::new();
    let (gate, open, lines) = gate();
    let protection = world.protection(log().to_sink(gate).waiting(16));
    let token = world.token();
    let flood = async |requests: usize| {
        for _ in 0..requests {
            protection.admit(&head(&token, "a.b.c")).await.unwrap_err();
        }
    };
    flood(1_000).await;
    let request = head(&token, &world.client.proof("GET", "/items/7", &token, None));
    protection.admit(&request).await.unwrap();
    flood(1_000).await;
    protection.admit(&request).await.unwrap_err();
    let thief = Client::new(&world.clock, RESOURCE, ([127, 0, 0, 1], 1).into());
    protection.admit(&head(&token, &thief.proof("GET", "/items/7", &token, None))).await.unwrap_err();
    flood(1_000).await;
    let lost = protection.lost_audit_records();
    drop(open);
    drop(protection);

    let reasons = reasons(&lines);
    for vital in ["admitted", "replayed", "binding_mismatch"] {
        assert_eq!(reasons.iter().filter(|reason| **reason == vital).count(), 1, "{vital} of {reasons:?}");
    }
    // One record may have been taken by the writer before the flood filled its queue.
    assert!(
        (2_983..=2_984).contains(&lost) && u64::try_from(reasons.len()).unwrap() + lost == 3_003,
        "{lost} of {}",
        reasons.len()
    );
}

#[tokio::test]
async fn one_sink_that_blocks_does_not_stop_another() {
    let world = World::new();
    let (gate, open, slow) = gate();
    let (told, hears) = channel();
    let protection = world.protection(log().to_sink(gate).to(move |record| told.send(record.verdict).unwrap()));
    let token = world.token();
    protection.admit(&head(&token, &world.client.proof("GET", "/items/7", &token, None))).await.unwrap();
    assert_eq!(hears.recv().unwrap(), Verdict::Admitted);
    assert!(slow.lock().unwrap().is_empty());
    drop(open);
    drop(protection);
    assert_eq!(slow.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_sink_that_fails_or_panics_loses_that_record_alone() {
    struct Poor(Lines);
    impl AuditSink for Poor {
        fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
            let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            lines.push(record.clone());
            match lines.len() {
                1 => Err(io::Error::other("no space")),
                2 => panic!("a sink of the host's"),
                _ => Ok(()),
            }
        }
    }
    let world = World::new();
    let lines = Lines::default();
    let (told, hears) = channel();
    let mut seen = 0;
    let log = log().to_sink(Poor(lines.clone())).to(move |_| {
        seen += 1;
        told.send(seen).unwrap();
    });
    let protection = world.protection(log);
    for _ in 0..3 {
        protection.admit(&head("token", "a.b.c")).await.unwrap_err();
    }
    assert_eq!((hears.recv(), hears.recv(), hears.recv()), (Ok(1), Ok(2), Ok(3)));
    drop(protection);
    assert_eq!(lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len(), 3);
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("keybound-audit-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.file(name)).unwrap_or_default().lines().map(Into::into).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn record(second: i64) -> AuditRecord {
    AuditRecord::admitted(&Occasion::new(Operation::Admission, UnixTime::from_secs(second)), None)
}

#[tokio::test]
async fn a_file_has_a_line_for_each_decision_once_the_protection_is_gone() {
    let (world, folder) = (World::new(), Folder::new("lines"));
    let protection = world.protection(log().to_file(JsonLines::open(folder.file("audit.jsonl")).unwrap()));
    let token = world.token();
    let request = head(&token, &world.client.proof("GET", "/items/7", &token, None));
    protection.admit(&request).await.unwrap();
    protection.clone().admit(&request).await.unwrap_err();
    drop(protection);
    let lines = folder.lines("audit.jsonl");
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with(r#"{"time":1700000000,"what":"admission","route":"/items/{id}","verdict":"admitted""#)
    );
    assert!(lines[1].contains(r#""reason":"replayed""#));
}

#[cfg(unix)]
#[test]
fn a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("mode");
    let mode = |name: &str| fs::metadata(folder.file(name)).unwrap().permissions().mode() & 0o777;
    fs::write(folder.file("old"), "").unwrap();
    fs::set_permissions(folder.file("old"), fs::Permissions::from_mode(0o644)).unwrap();
    for name in ["new", "old"] {
        let mut file = JsonLines::open(folder.file(name)).unwrap().rotate_at(1);
        file.write(&record(1)).unwrap();
        file.write(&record(2)).unwrap();
        assert_eq!((mode(name), mode(&format!("{name}.1"))), (0o600, 0o600));
    }
    assert_eq!(JsonLines::open("/dev/null").unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_file_is_rotated_before_it_is_too_large() {
    let folder = Folder::new("rotated");
    let length = u64::try_from(record(1).to_json().len()).unwrap() + 1;
    let mut file = JsonLines::open(folder.file("a")).unwrap().rotate_at(2 * length).keep(2);
    (1..=7).for_each(|second| file.write(&record(second)).unwrap());
    let line = |second| record(second).to_json();
    assert_eq!(folder.lines("a"), [line(7)]);
    assert_eq!(folder.lines("a.1"), [line(5), line(6)]);
    assert_eq!(folder.lines("a.2"), [line(3), line(4)]);
    assert!(!folder.file("a.3").exists());
}

#[test]
fn what_cannot_be_rotated_grows_on() {
    let folder = Folder::new("stuck");
    let mut file = JsonLines::open(folder.file("a")).unwrap().rotate_at(1).keep(1);
    fs::create_dir_all(folder.file("a.1").join("in the way")).unwrap();
    (1..=3).for_each(|second| file.write(&record(second)).unwrap());
    assert_eq!(folder.lines("a").len(), 3);
}

/// A process that was killed while it wrote leaves half a line.
#[test]
fn half_a_line_spoils_no_other() {
    let folder = Folder::new("torn");
    let (whole, torn) = (record(1).to_json(), record(2).to_json());
    let (half, _) = torn.split_at(20);
    fs::write(folder.file("a"), format!("{whole}\n{half}")).unwrap();
    let mut file = JsonLines::open(folder.file("a")).unwrap();
    file.write(&record(3)).unwrap();
    assert_eq!(folder.lines("a"), [whole.as_str(), half, &record(3).to_json()]);
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew_on_demand() {
    let (world, folder) = (World::new(), Folder::new("moved"));
    let (told, hears) = channel();
    let file = JsonLines::open(folder.file("a")).unwrap();
    let log = log().to_sink(Telling(file, told));
    let protection = world.protection(log);
    let refuse = async || drop(protection.admit(&head("token", "a.b.c")).await.unwrap_err());
    refuse().await;
    hears.recv().unwrap();
    fs::rename(folder.file("a"), folder.file("moved")).unwrap();
    refuse().await;
    hears.recv().unwrap();
    assert_eq!(folder.lines("moved").len(), 2, "the file is followed until the sink is told");
    protection.reopen_audit();
    refuse().await;
    drop(protection);
    assert_eq!((folder.lines("moved").len(), folder.lines("a").len()), (2, 1));
}

/// Says when a record was written.
struct Telling(JsonLines, Sender<()>);

impl AuditSink for Telling {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        self.0.write(record)?;
        self.1.send(()).map_err(io::Error::other)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.0.reopen()
    }
}
