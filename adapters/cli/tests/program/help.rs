//! Help, manual pages and completions of every command.

use super::{Scratch, keybound};

#[test]
fn every_command_has_examples() {
    let commands: [&[&str]; 19] = [
        &[],
        &["demo"],
        &["key"],
        &["key", "generate"],
        &["key", "thumbprint"],
        &["key", "public"],
        &["proof"],
        &["verify"],
        &["explain"],
        &["login"],
        &["call"],
        &["logout"],
        &["serve"],
        &["vectors"],
        &["bench"],
        &["completions"],
        &["man"],
        &["reasons"],
        &["--format", "json"],
    ];
    for command in commands {
        let ran = keybound(&[command, &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{command:?}");
        assert!(ran.out.contains("\nExamples:\n  keybound "), "{command:?}: {}", ran.out);
        assert!(ran.out.contains("--format <FORMAT>"), "{command:?}");
    }
    let top = keybound(&["--help"]).out;
    for code in ["Exit codes:", "\n  0  accepted", "\n  1  refused", "\n  2  wrong usage", "\n  3  could not decide"] {
        assert!(top.contains(code), "{code}: {top}");
    }
    assert!(keybound(&["call", "--help"]).out.contains("KEYBOUND_HOME"));
    for command in commands.iter().filter_map(|command| command.first()).filter(|name| !name.starts_with('-')) {
        assert!(top.contains(&format!("\n  {command} ")), "{command} is missing: {top}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let scratch = Scratch::new("man");
    let folder = scratch.path("man1");
    let written = keybound(&["man", "--out", &folder]);
    assert_eq!((written.code, written.out.as_str()), (Some(0), ""), "{}", written.err);
    let page = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.1")).expect(name);
    assert_eq!(page("keybound"), keybound(&["man"]).out);
    assert!(page("keybound").contains("Exit codes:"), "{}", page("keybound"));
    for command in ["call", "explain", "key-generate", "man", "reasons", "serve"] {
        assert!(page(&format!("keybound-{command}")).contains("Examples:"), "{command}");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = keybound(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{shell}: {}", script.err);
        for word in ["thumbprint", "explain", "max-ahead"] {
            assert!(script.out.contains(word), "{shell} {word}");
        }
    }
}
