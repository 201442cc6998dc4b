//! The reasons of all errors: the list that other languages make types of, and the page that explains each.
//!
//! `KEYBOUND_WRITE_API=1` writes `tests/contract/faults.json`; `docs/reasons.md` is written by hand.
#![cfg(all(feature = "client", feature = "servers", feature = "files", feature = "grants"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keybound::intent::IntentDefect;
use keybound::oauth::FlowError;
use keybound::replay::redis;
use keybound::server::resource::TokenRejection;
use keybound::{Misuse, Refusal, Rejection};
use keybound_ffi::{Kind, Own};
use keybound_files::{NoKey, Unfit};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn own(kind: Kind) -> impl Iterator<Item = &'static str> {
    Own::ALL.iter().filter(move |own| own.kind() == kind).map(|own| own.reason())
}

/// Each list once, sorted: the reasons of proofs and of tokens have lists of their own (`reasons.json`, `token_reasons.json`).
fn lists() -> [(&'static str, BTreeSet<&'static str>); 6] {
    let files = || Unfit::REASONS.iter().chain(NoKey::REASONS).copied();
    let flow = || FlowError::reasons().filter(|reason| *reason != "host");
    [
        ("intent", IntentDefect::REASONS.iter().copied().collect()),
        ("refused", Refusal::OTHER_REASONS.iter().copied().chain(own(Kind::Rejected)).collect()),
        ("flow", flow().collect()),
        ("misuse", Misuse::REASONS.iter().copied().chain(own(Kind::Misuse)).chain(files()).collect()),
        ("redis", redis::Fault::NAMES.iter().copied().collect()),
        ("host", own(Kind::Host).chain(["host"]).collect()),
    ]
}

#[test]
fn the_contract_of_faults_is_up_to_date() {
    let list = |(kind, reasons): (&str, BTreeSet<&str>)| {
        let lines: Vec<_> = reasons.iter().map(|reason| format!("    \"{reason}\"")).collect();
        format!("  \"{kind}\": [\n{}\n  ]", lines.join(",\n"))
    };
    let expected = format!("{{\n{}\n}}\n", lists().map(list).join(",\n"));
    let path = root().join("tests/contract/faults.json");
    if std::env::var_os("KEYBOUND_WRITE_API").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(found == expected, "tests/contract/faults.json is out of date: run this test with KEYBOUND_WRITE_API=1");
}

#[test]
fn every_reason_is_explained_and_nothing_else_is() {
    let page = fs::read_to_string(root().join("docs/reasons.md")).unwrap();
    let (shared, _) = page.split_once("\n## Reasons of one language").unwrap();
    let explained: BTreeSet<&str> = shared
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .inspect(|(reason, text)| assert!(text.trim_end_matches(" |").len() > 10, "{reason} has no explanation"))
        .map(|(reason, _)| reason)
        .collect();
    let elsewhere: BTreeSet<&str> = Rejection::ALL
        .iter()
        .map(|rejection| rejection.reason())
        .chain(TokenRejection::ALL.iter().map(|rejection| rejection.reason()))
        .collect();
    let all: BTreeSet<&str> = lists().into_iter().flat_map(|(_, reasons)| reasons).collect();
    let missing: Vec<_> = all.difference(&explained).filter(|reason| !elsewhere.contains(*reason)).collect();
    let left_over: Vec<_> = explained.difference(&all).collect();
    assert!(missing.is_empty(), "docs/reasons.md does not explain {missing:?}");
    assert!(left_over.is_empty(), "docs/reasons.md explains what there is not: {left_over:?}");
}
