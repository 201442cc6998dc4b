//! Every seed of every target, replayed as an ordinary test.

use std::fs;
use std::panic;
use std::path::Path;

use keybound_fuzz::TARGETS;

#[test]
fn every_seed_of_every_target() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let seeds: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("no corpus for {name}: {error}"))
            .map(|entry| entry.expect("a seed").path())
            .collect();
        assert!(!seeds.is_empty(), "the corpus of {name} is empty");
        for seed in seeds {
            let data = fs::read(&seed).expect("a seed");
            if panic::catch_unwind(|| target(&data)).is_err() {
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "these seeds break a property: {failed:#?}");
}

#[test]
fn every_corpus_has_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(folder).expect("the corpora") {
        let name = entry.expect("a corpus").file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?} is the corpus of no target");
    }
}
