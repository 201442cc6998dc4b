//! Whole flows as short stories. Most are vectors as well, in `tests/vectors/flows`, which every language plays back.

mod answers;
mod calls;
mod demands;
mod discovery;
mod edited;
mod failures;
mod grants;
mod hostile;
mod identities;
mod intents;
mod keys;
mod levels;
mod login;
mod nonces;
mod published;
mod pushed;
mod refusals;
mod registration;
mod revocation;
mod sessions;
mod side_by_side;
mod subjects;
mod sweep;
mod switches;

use keybound_conformance::flow::play_back;
use keybound_conformance::flow::story::folder;
use serde_json::Value;

#[test]
fn every_vector_can_be_played_back() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("the vectors") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        if let Err(difference) = play_back(&vector) {
            panic!("{}: {difference}", path.display());
        }
        count += 1;
    }
    assert!(count >= 30, "only {count} vectors");
}
