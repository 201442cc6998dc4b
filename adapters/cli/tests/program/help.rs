//! Help and completions of every command.

use super::keybound;

#[test]
fn every_command_has_examples() {
    let commands: [&[&str]; 17] = [
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
        &["--format", "json"],
    ];
    for command in commands {
        let ran = keybound(&[command, &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{command:?}");
        assert!(ran.out.contains("\nExamples:\n  keybound "), "{command:?}: {}", ran.out);
        assert!(ran.out.contains("--format <FORMAT>"), "{command:?}");
    }
    let top = keybound(&["--help"]).out;
    assert!(top.contains("Exit codes:") && top.contains("3  could not decide"), "{top}");
    for command in commands.iter().filter_map(|command| command.first()).filter(|name| !name.starts_with('-')) {
        assert!(top.contains(&format!("\n  {command} ")), "{command} is missing: {top}");
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
