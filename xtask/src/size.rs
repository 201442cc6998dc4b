//! `cargo xtask size`: how many lines the bindings and the languages' own code have, compared with what is recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::run::{self, Failure};

/// What is counted: a group, the name of a part and its folders.
const PARTS: &[(&str, &str, &[&str])] = &[
    ("bindings", "python", &["bindings/python/src"]),
    ("bindings", "node", &["bindings/node/src"]),
    ("bindings", "wasm", &["bindings/wasm/src"]),
    ("bindings", "uniffi", &["bindings/uniffi/src"]),
    ("bindings", "shared", &["bindings/shared/src"]),
    ("languages", "npm", &["pkg/npm/src"]),
    ("languages", "python", &["pkg/python/src"]),
    ("languages", "swift", &["pkg/swift/Sources"]),
    ("languages", "kotlin", &["pkg/kotlin/src/main", "pkg/kotlin/android/src/main"]),
];

/// What the first line of a file says that a program writes: such a file is not counted.
const WRITTEN: &str = "Written by ";

/// Printed by `cargo xtask help` and under each table.
pub(crate) const COUNTED: &str = "\
`lines` are all lines of a file; `code` leaves out blank lines and lines with nothing but comments or documentation.
Files that a program writes (their first line says so) are not counted, and neither are tests.
";

/// Lines of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    code: usize,
    lines: usize,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self { code: self.code + other.code, lines: self.lines + other.lines }
    }
}

pub(crate) fn command(arguments: &[&str]) -> ExitCode {
    let outcome = match arguments {
        [] => shown(),
        ["--write"] => written(),
        _ => return run::usage_error("usage: cargo xtask size [--write]"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn record() -> PathBuf {
    run::root().join("xtask/size.txt")
}

fn written() -> Result<(), Failure> {
    let lines: String = measured()?
        .iter()
        .map(|(group, name, count)| format!("{} {} {group}/{name}\n", count.code, count.lines))
        .collect();
    fs::write(record(), lines).map_err(|error| format!("cannot write {}: {error}", record().display()))
}

/// The table: code and all lines, as recorded and now.
fn shown() -> Result<(), Failure> {
    let known = known(&fs::read_to_string(record()).unwrap_or_default());
    let before =
        |name: &str| known.iter().find(|(other, _)| other == name).map_or(Count::default(), |(_, count)| *count);
    println!("{:<20}{:>12}{:>8}{:>8}{:>14}{:>8}{:>8}", "", "code before", "now", "", "lines before", "now", "");
    let mut sums: Vec<(&str, Count, Count)> = Vec::new();
    for (group, name, now) in measured()? {
        let name = format!("{group}/{name}");
        let before = before(&name);
        row(&name, before, now);
        match sums.last_mut() {
            Some((last, old, new)) if *last == group => (*old, *new) = (old.plus(before), new.plus(now)),
            _ => sums.push((group, before, now)),
        }
    }
    for (group, before, now) in sums {
        row(&format!("{group}, together"), before, now);
    }
    print!("{COUNTED}");
    Ok(())
}

fn row(name: &str, before: Count, now: Count) {
    println!(
        "{name:<20}{:>12}{:>8}{:>8}{:>14}{:>8}{:>8}",
        before.code,
        now.code,
        change(before.code, now.code),
        before.lines,
        now.lines,
        change(before.lines, now.lines)
    );
}

fn change(before: usize, now: usize) -> String {
    if before == 0 { String::new() } else { format!("{:+.1}%", (now as f64 / before as f64 - 1.0) * 100.0) }
}

fn known(text: &str) -> Vec<(String, Count)> {
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let (code, lines) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((words.next()?.to_owned(), Count { code, lines }))
    };
    text.lines().filter_map(entry).collect()
}

fn measured() -> Result<Vec<(&'static str, &'static str, Count)>, Failure> {
    let measure = |folders: &[&str]| -> Result<Count, Failure> {
        // Git knows which files are ours; generators write beside them.
        let mut git = run::command("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard", "--"]).args(folders);
        let files = run::output(&mut git).ok_or("git does not know this folder")?;
        let mut sum = Count::default();
        for file in files.lines().map(|file| run::root().join(file)).filter(|file| file.exists()) {
            let Some(syntax) = syntax(&file) else { continue };
            let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            if !text.lines().next().is_some_and(|line| line.contains(WRITTEN)) {
                sum = sum.plus(Count { code: syntax(&text), lines: text.lines().count() });
            }
        }
        Ok(sum)
    };
    PARTS.iter().map(|(group, name, folders)| Ok((*group, *name, measure(folders)?))).collect()
}

/// How to count code in a file of this name.
fn syntax(file: &Path) -> Option<fn(&str) -> usize> {
    match file.extension()?.to_str()? {
        "py" | "pyi" => Some(python),
        "rs" | "ts" | "js" | "mjs" | "swift" | "kt" | "java" | "c" | "h" => Some(braces),
        _ => None,
    }
}

/// Lines of code where comments are `//` and `/* */`.
fn braces(text: &str) -> usize {
    let mut in_comment = false;
    let code = |line: &&str| {
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
            return false;
        }
        !line.is_empty() && !line.starts_with("//")
    };
    text.lines().map(str::trim).filter(code).count()
}

/// Lines of code in Python, where a string that no statement uses is documentation.
fn python(text: &str) -> usize {
    const QUOTES: &str = "\"\"\"";
    // Between the quotes of a long string, and whether it is documentation.
    let mut within: Option<bool> = None;
    let code = |line: &&str| {
        let quotes = line.matches(QUOTES).count();
        let documents = within.unwrap_or_else(|| line.trim_start_matches('r').starts_with(QUOTES));
        if quotes % 2 == 1 {
            within = if within.is_some() { None } else { Some(documents) };
        }
        !line.is_empty() && !documents && !line.starts_with('#')
    };
    text.lines().map(str::trim).filter(code).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_not_code() {
        assert_eq!(braces("// a\n\nlet b = 1; // c\n/** d */\n/*\n * e\n */\n  f();\n"), 2);
    }

    #[test]
    fn documentation_of_python_is_not_code() {
        let text = "\"\"\"A.\n\nB.\n\"\"\"\n\nimport c\n# d\nE = \"\"\"\nf\n\"\"\"\ndef g():\n    r\"\"\"H.\"\"\"\n    return 1\n";
        assert_eq!(python(text), 6);
    }

    #[test]
    fn a_record_is_read_back() {
        assert_eq!(known("1 2 a/b\nstray\n"), [("a/b".to_owned(), Count { code: 1, lines: 2 })]);
    }
}
