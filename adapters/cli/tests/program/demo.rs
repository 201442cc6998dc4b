//! `keybound demo`: the story holds, and says so.

use super::keybound;

#[test]
fn the_story_is_told_to_people() {
    let told = keybound(&["demo"]);
    assert_eq!(told.code, Some(0), "{}{}", told.out, told.err);
    for reason in
        ["insufficient_scope", "invalid_token", "proof_missing", "binding_mismatch", "replayed", "target_mismatch"]
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
    let outcome = |step: &serde_json::Value| {
        let exchanges = step["exchanges"].as_array().unwrap();
        let statuses: Vec<u64> = exchanges.iter().map(|exchange| exchange["status"].as_u64().unwrap()).collect();
        (statuses, step["reason"].as_str().unwrap_or("").to_owned())
    };
    let outcomes: Vec<_> = steps.iter().map(outcome).collect();
    let expected: [(&[u64], &str); 13] = [
        (&[401, 200, 200], ""),
        (&[201, 201], ""),
        // The browser, a nonce demanded of the code's request, and the same code once more.
        (&[302, 400, 200], ""),
        (&[401, 200], ""),
        // The revoked token, the refresh, the call.
        (&[401, 200, 200], ""),
        (&[403], "insufficient_scope"),
        (&[201, 302, 400, 200, 401, 200], ""),
        (&[401], "invalid_token"),
        (&[401], "proof_missing"),
        (&[401], "binding_mismatch"),
        (&[401], "replayed"),
        (&[401], "target_mismatch"),
        (&[200], ""),
    ];
    assert_eq!(outcomes, expected.map(|(statuses, reason)| (statuses.to_vec(), reason.to_owned())));
    for step in steps {
        assert_eq!(step["ok"], true, "{step}");
        assert!(step["step"].is_string() && step["why"].is_string());
    }
}
