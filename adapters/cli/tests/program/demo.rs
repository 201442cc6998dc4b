//! `keybound demo`: the story holds, and says so.

use super::keybound;

#[test]
fn the_story_is_told_to_people() {
    let told = keybound(&["demo"]);
    assert_eq!(told.code, Some(0), "{}{}", told.out, told.err);
    for reason in ["nonce_missing", "invalid_token", "proof_missing", "binding_mismatch", "replayed", "target_mismatch"]
    {
        assert!(told.out.contains(&format!("   {reason}: ")), "{reason}: {}", told.out);
    }
    assert!(!told.out.contains('\u{1b}'), "no colour outside of a terminal");
    assert!(!told.out.contains("eyJ"), "proofs are not shown");
}

#[test]
fn the_story_is_told_to_programs() {
    let told = keybound(&["demo", "--format", "json"]);
    assert_eq!(told.code, Some(0), "{}{}", told.out, told.err);
    let steps = told.json();
    let steps = steps.as_array().unwrap();
    let outcomes: Vec<(u64, &str)> =
        steps.iter().map(|step| (step["status"].as_u64().unwrap(), step["reason"].as_str().unwrap_or(""))).collect();
    assert_eq!(
        outcomes,
        [
            (401, "nonce_missing"),
            (200, ""),
            (401, "invalid_token"),
            (401, "proof_missing"),
            (401, "binding_mismatch"),
            (401, "replayed"),
            (401, "target_mismatch"),
            (200, ""),
        ]
    );
    for step in steps {
        assert_eq!(step["ok"], true, "{step}");
        assert_eq!(step["challenge"].is_string(), step["status"] == 401, "{step}");
        assert!(step["step"].is_string() && step["request"].is_string());
    }
}
