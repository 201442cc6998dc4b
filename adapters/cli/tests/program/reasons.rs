//! `keybound reasons`: the pages about reasons, without a network.

use super::{Scratch, keybound, proof};

#[test]
fn every_reason_that_is_listed_can_be_read_about() {
    let listed = keybound(&["reasons"]);
    assert_eq!(listed.code, Some(0), "{}", listed.err);
    let json = keybound(&["reasons", "--format", "json"]).json();
    for kind in ["proof", "token"] {
        for entry in json[kind].as_array().expect("a list") {
            let reason = entry["reason"].as_str().expect("a reason");
            assert!(listed.out.contains(&format!("  {reason} ")), "{reason}");
        }
    }
    // One of each kind; that every reason of a proof has its page is a test of the list.
    let page = keybound(&["reasons", "before_store_floor"]);
    assert_eq!(page.code, Some(0), "{}", page.err);
    for said in [
        "before_store_floor\n\n",
        "\nUsual causes\n",
        "\nFix\n",
        "<https://www.rfc-editor.org/",
        "See also: `replayed`",
    ] {
        assert!(page.out.contains(said), "{said}: {}", page.out);
    }
    assert!(!page.out.contains("](") && !page.out.contains('\u{1b}'), "{}", page.out);
    let of_token = keybound(&["reasons", "audience_mismatch"]).out;
    for said in ["401", "Usual cause", "without the resource parameter", "\nFix\n"] {
        assert!(of_token.contains(said), "{said}: {of_token}");
    }
    let json = keybound(&["reasons", "replayed", "--format", "json"]).json();
    assert_eq!((json["check"].as_str(), json["reason"].as_str()), (Some("replay"), Some("replayed")));
    assert!(json["page"].as_str().is_some_and(|page| page.starts_with("# replayed\n")));
}

#[test]
fn a_refusal_leads_to_the_page() {
    for command in ["verify", "explain"] {
        let refused = keybound(&[command, "--method", "GET", "--url", "https://api.example.com/", "no.proof."]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.out.contains("keybound reasons base64_non_canonical"), "{command}: {}", refused.out);
    }
    let scratch = Scratch::new("several");
    let made = proof(&scratch.key("key.json", "ES256"), &[]);
    let refused = keybound(&["explain", "--method", "PUT", "--url", "https://other.example/", &made]);
    for reason in ["method_mismatch", "target_mismatch"] {
        assert!(refused.out.contains(&format!("more: keybound reasons {reason}")), "{}", refused.out);
    }
    let near = keybound(&["reasons", "target_missmatch"]);
    assert!(near.err.contains("did you mean target_mismatch?"), "{}", near.err);
    let unknown = keybound(&["reasons", "made_up"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("`keybound reasons` lists all"), "{}", unknown.err);
}
