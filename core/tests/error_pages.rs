//! Every rejection has a page in `docs/errors`, and the lists made from the code are up to date.
//!
//! `KEYBOUND_BLESS=1 cargo test -p keybound --test error_pages` writes the lists; pages are written by hand.
#![cfg(feature = "dpop")]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use keybound::Rejection;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares `expected` with the file, or writes it there.
fn compare(path: &Path, expected: &str) {
    if std::env::var_os("KEYBOUND_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, expected).unwrap();
    }
    let actual = fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n");
    assert!(actual == expected, "{} is out of date: run this test with KEYBOUND_BLESS=1", path.display());
}

#[test]
fn the_list_of_reasons_is_up_to_date() {
    let mut list = String::from(
        "# Why a proof is refused\n\n\
         Every reason, in the order in which the checks find them: the first that applies is the one reported.\n\
         This list is made from the code (`core/tests/error_pages.rs`); the pages are written by hand.\n\n\
         | reason | check | section | meaning |\n| --- | --- | --- | --- |\n",
    );
    for rejection in Rejection::ALL {
        let (reason, check, section) = (rejection.reason(), rejection.check(), rejection.section());
        writeln!(list, "| [`{reason}`]({reason}.md) | `{check}` | {section} | {rejection} |").unwrap();
    }
    list.push_str(
        "\nA good proof can be refused, too: [`rate_limited`](rate_limited.md) says that there are too many requests.\n",
    );
    compare(&root().join("docs/errors/README.md"), &list);
}

#[test]
fn the_contract_of_reasons_is_up_to_date() {
    let lines: Vec<String> = Rejection::ALL
        .iter()
        .map(|rejection| {
            let (reason, check, section) = (rejection.reason(), rejection.check(), rejection.section());
            format!("  {{ \"reason\": \"{reason}\", \"check\": \"{check}\", \"section\": \"{section}\" }}")
        })
        .collect();
    compare(&root().join("tests/contract/reasons.json"), &format!("[\n{}\n]\n", lines.join(",\n")));
}

#[cfg(feature = "oauth")]
#[test]
fn the_list_of_token_reasons_is_up_to_date() {
    use keybound::server::resource::TokenRejection;
    let mut list = String::from(
        "# Why a request is refused for its credentials or its access token\n\n\
         What a protected resource says of the token, beside what is wrong with the proof ([docs/errors](errors/README.md)).\n\
         This list is made from the code (`core/tests/error_pages.rs`).\n\n\
         | reason | answer | meaning |\n| --- | --- | --- |\n",
    );
    let mut lines = Vec::new();
    for rejection in TokenRejection::ALL {
        let (reason, status, error) = (rejection.reason(), rejection.status(), rejection.error());
        let answer = error.map_or_else(|| format!("{status}"), |error| format!("{status} `{error}`"));
        writeln!(list, "| `{reason}` | {answer} | {rejection} |").unwrap();
        let error = error.map_or_else(|| "null".into(), |error| format!("\"{error}\""));
        lines.push(format!("  {{ \"reason\": \"{reason}\", \"status\": {status}, \"error\": {error} }}"));
    }
    compare(&root().join("docs/token-errors.md"), &list);
    compare(&root().join("tests/contract/token_reasons.json"), &format!("[\n{}\n]\n", lines.join(",\n")));
}

#[test]
fn every_reason_has_its_page_and_no_page_is_left_over() {
    let directory = root().join("docs/errors");
    for rejection in Rejection::ALL {
        let (reason, section) = (rejection.reason(), rejection.section());
        let page = fs::read_to_string(directory.join(format!("{reason}.md"))).unwrap_or_default();
        assert_eq!(page.lines().next(), Some(&*format!("# {reason}")), "{reason}");
        assert!(page.contains(section), "{reason}.md does not name its section: {section}");
        assert!(page.contains(&format!("`{}`", rejection.check())), "{reason}.md does not name its check");
        for part in ["## On the wire", "## Usual causes", "## Fix", "See also"] {
            assert!(page.contains(part), "{reason}.md lacks {part}");
        }
    }
    let mut known: BTreeSet<String> =
        Rejection::ALL.iter().map(|rejection| format!("{}.md", rejection.reason())).collect();
    // It is no rejection: no proof is at fault.
    known.insert("rate_limited.md".into());
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name) || name == "README.md", "{name} is a page of no reason");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let directory = root().join("docs/errors");
    for entry in fs::read_dir(&directory).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        for link in page.split("](").skip(1).filter_map(|tail| tail.split(')').next()) {
            if !link.starts_with("https://") {
                assert!(directory.join(link).exists(), "{link} does not exist");
            }
        }
    }
}
