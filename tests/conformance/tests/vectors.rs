//! Every vector file, with both providers; and that the files are complete and the runner can fail.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keybound::{Check, Rejection};
use keybound_cli::vectors::{self, Settings, Verdict};
use keybound_conformance::{own, providers};
use serde_json::{Map, Value};

type Entry = Map<String, Value>;

/// The published entries by the prefix of their names.
const PUBLISHED: [(&str, usize); 4] = [("rfc9449-", 3), ("ctx-", 28), ("mut-", 19), ("key-", 105)];
const OWN: &str = "own-";

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors")
}

/// Every file by its name without the extension.
fn files() -> BTreeMap<String, Vec<Entry>> {
    let paths = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    texts
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, vectors::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

fn text<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

fn id(entry: &Entry) -> &str {
    text(entry, "id").expect("every entry has a name")
}

/// Runs all files and tells what did not pass; gives the outcome of each entry.
fn run_all(settings: &Settings) -> Vec<BTreeMap<String, Option<Rejection>>> {
    let entries: Vec<Entry> = files().into_values().flatten().collect();
    providers()
        .iter()
        .map(|(provider, crypto)| {
            let outcomes = vectors::run(&entries, crypto, settings).unwrap();
            assert_eq!(outcomes.len(), entries.len());
            let failed: Vec<_> =
                outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Failed(_))).collect();
            assert!(failed.is_empty(), "{provider}: {failed:#?}");
            let skipped = outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Passed);
            assert_eq!(skipped.map(|outcome| outcome.id.as_str()).collect::<Vec<_>>(), ["key-ed448"], "{provider}");
            outcomes.into_iter().map(|outcome| (outcome.id, outcome.rejection)).collect()
        })
        .collect()
}

#[test]
fn every_entry_has_its_outcome_with_both_providers_and_any_window() {
    let narrow = run_all(&Settings::default());
    let wide = run_all(&Settings { max_age: 300, max_ahead: 60, ..Settings::default() });
    assert_eq!(narrow[0], narrow[1]);
    assert_eq!(narrow, wide);
}

#[test]
fn the_published_entries_are_all_there() {
    let files = files();
    let entries: Vec<&Entry> = files.values().flatten().collect();
    for (prefix, count) in PUBLISHED {
        assert_eq!(entries.iter().filter(|entry| id(entry).starts_with(prefix)).count(), count, "{prefix}");
    }
    let own = entries.iter().filter(|entry| id(entry).starts_with(OWN)).count();
    assert_eq!(entries.len(), own + 155);
    let names: BTreeSet<_> = entries.iter().map(|entry| id(entry)).collect();
    assert_eq!(names.len(), entries.len(), "a name occurs twice");
}

#[test]
fn every_rejection_has_an_entry() {
    let files = files();
    let seen: BTreeSet<_> = files.values().flatten().filter_map(|entry| text(entry, "rejection")).collect();
    let all: BTreeSet<_> = Rejection::ALL.iter().map(|rejection| rejection.reason()).collect();
    assert_eq!(seen, all);
}

#[test]
fn entries_are_in_the_file_of_their_check() {
    let known: BTreeSet<_> = Check::ALL.iter().map(|check| check.name()).chain(["accepted"]).collect();
    for (file, entries) in files() {
        let check = file.strip_prefix(OWN).unwrap_or(&file);
        assert!(known.contains(check), "{file}");
        for entry in &entries {
            assert_eq!(id(entry).starts_with(OWN), file.starts_with(OWN), "{}", id(entry));
            let rejection = text(entry, "rejection").map(|reason| Rejection::from_reason(reason).unwrap());
            let (expect, place) = match rejection {
                Some(rejection) => ("reject", rejection.check().name()),
                None => ("accept", "accepted"),
            };
            assert_eq!((text(entry, "expect"), check), (Some(expect), place), "{}", id(entry));
            assert!(text(entry, "reason").is_some() && text(entry, "source").is_some(), "{}", id(entry));
        }
    }
}

/// `KEYBOUND_BLESS=1` writes them instead.
#[test]
fn the_own_files_are_what_the_generator_makes() {
    let made = own::files();
    if std::env::var_os("KEYBOUND_BLESS").is_some_and(|value| value == "1") {
        for (name, text) in &made {
            std::fs::write(directory().join(name), text).unwrap();
        }
    }
    let folder = |folder: &'static str| {
        let paths = std::fs::read_dir(directory().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.map(move |path| format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap()))
    };
    let own_files = files().into_keys().filter(|name| name.starts_with(OWN));
    let there: BTreeSet<_> = own_files.chain(folder("tokens")).chain(folder("explained")).collect();
    let names: BTreeSet<_> = made.keys().map(|name| name.trim_end_matches(".json").to_owned()).collect();
    assert_eq!(there, names);
    for (name, text) in made {
        assert!(std::fs::read_to_string(directory().join(&name)).unwrap() == text, "{name} differs");
    }
}

#[test]
fn a_wrong_expectation_fails() {
    let files = files();
    let find = |name: &str| files.values().flatten().find(|entry| id(entry) == name).unwrap().clone();
    let with = |name: &str, member: &str, value: Value| {
        let mut entry = find(name);
        entry.insert(member.to_owned(), value);
        entry
    };
    let wrong = [
        with("key-es256", "expect", "reject".into()),
        with("key-es256", "now", 1_800_000_000.into()),
        with("key-es256", "expect", "acept".into()),
        with("key-no-jti", "expect", "accept".into()),
        with("key-no-jti", "rejection", "jti_invalid".into()),
        with("own-replayed", "already_used", false.into()),
        with("own-same-jti-of-another-key", "already_used", true.into()),
        with("own-before-store", "store_floor", 0.into()),
        with("own-htu-not-bare-query", "bare_htu", false.into()),
        with("own-alg-not-in-build", "without_verifiers", false.into()),
        with("own-alg-outside-policy", "allowed_algs", Value::Null),
        with("own-nonce-stale", "nonce_issuer", Value::Null),
        with("own-nonce-of-this-server", "nonce_issuer", Value::Object(Map::new())),
        with("own-two-fields", "proof", find("own-one-field")["proof"].clone()),
        with("own-iat-61-old", "max_age", 61.into()),
        with("own-iat-11-ahead", "max_ahead", 11.into()),
    ];
    for (provider, crypto) in providers() {
        for outcome in vectors::run(&wrong, &crypto, &Settings::default()).unwrap() {
            assert!(matches!(outcome.verdict, Verdict::Failed(_)), "{provider} {outcome:?}");
        }
    }
}

/// What an entry sets up differs from what it is about: without it, nothing else is wrong with these proofs.
#[test]
fn members_that_set_the_verifier_up_are_what_refuses() {
    const SETUP: [&str; 5] = ["bare_htu", "already_used", "store_floor", "without_verifiers", "allowed_algs"];
    let files = files();
    let refused: Vec<Entry> = files
        .values()
        .flatten()
        .filter(|entry| text(entry, "expect") == Some("reject") && SETUP.iter().any(|name| entry.contains_key(*name)))
        .map(|entry| {
            let mut bare = entry.clone();
            SETUP.iter().for_each(|name| drop(bare.remove(*name)));
            bare.insert("expect".to_owned(), "accept".into());
            bare
        })
        .collect();
    assert!(refused.len() >= 10);
    for (provider, crypto) in providers() {
        for outcome in vectors::run(&refused, &crypto, &Settings::default()).unwrap() {
            assert_eq!(outcome.verdict, Verdict::Passed, "{provider} {}", outcome.id);
        }
    }
}
