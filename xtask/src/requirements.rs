//! `docs/rfc9449.md` held against `docs/requirements.md`, the tests and the vectors.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::run::{self, Failure, Outcome};

const REQUIREMENTS: &str = "docs/requirements.md";
const TABLE: &str = "docs/rfc9449.md";
/// Where tests are named as well, between other words.
const THREATS: &str = "docs/threat-model.md";
/// What the identifiers begin with; `R` and a number come on top.
const DOCUMENTS: &[&str] = &["FAPI2", "OURS", "ATPROTO", "HAIP", "OAUTH21"];
/// How many defects are shown at once.
const SHOWN: usize = 20;

/// What is there to be named: files with their text, and the vectors.
struct Evidence<'a> {
    file: &'a dyn Fn(&str) -> Option<String>,
    vectors: &'a BTreeSet<String>,
}

/// The step of `cargo xtask check`.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let root = run::root();
    let file = |path: &str| fs::read_to_string(root.join(path)).ok();
    let read = |path: &str| file(path).ok_or_else(|| format!("cannot read {path}"));
    let vectors = vectors(&root.join("tests/vectors"))?;
    let evidence = Evidence { file: &file, vectors: &vectors };
    let (pending, mut defects) = judge(&read(REQUIREMENTS)?, &read(TABLE)?, &evidence);
    defects.extend(tests_missing(&read(THREATS)?, &evidence).map(|defect| format!("{THREATS}: {defect}")));
    if let [first, ..] = &*defects {
        for defect in defects.iter().take(SHOWN) {
            println!("    {defect}");
        }
        return Err(format!("{} defects, the first: {first}", defects.len()));
    }
    if pending > 0 {
        println!("    note: {pending} requirements are pending, see {TABLE}");
    }
    Ok(Outcome::Passed)
}

/// How many requirements are pending, and what is wrong with the table.
fn judge(requirements: &str, table: &str, evidence: &Evidence<'_>) -> (usize, Vec<String>) {
    let known: BTreeSet<&str> = identifiers(requirements).collect();
    let mut seen = BTreeSet::new();
    let mut defects = Vec::new();
    let mut pending = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.trim_matches('|').split('|');
        let (ids, shown_by) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let ids: Vec<_> = quoted(ids).collect();
        for id in &ids {
            if !known.contains(id) {
                defects.push(format!("{id} is no requirement of {REQUIREMENTS}"));
            }
            if !seen.insert((*id).to_owned()) {
                defects.push(format!("{id} has two rows"));
            }
        }
        if shown_by.trim() == "pending" {
            pending += ids.len();
        } else if quoted(shown_by).next().is_none() || shown_by.contains("pending") {
            defects.push(format!("{} is neither shown nor pending", ids.join(", ")));
        }
        let missing = quoted(shown_by).filter_map(|item| missing(item, evidence));
        defects.extend(missing.map(|defect| format!("{}: {defect}", ids.join(", "))));
    }
    let without = known.iter().filter(|id| !seen.contains(**id));
    defects.extend(without.map(|id| format!("{id} has no row in {TABLE}")));
    (pending, defects)
}

/// What is wrong with the tests that stand between backquotes anywhere in `text`.
fn tests_missing(text: &str, evidence: &Evidence<'_>) -> impl Iterator<Item = String> {
    quoted(text).filter(|item| item.contains(".rs::")).filter_map(|item| missing(item, evidence))
}

/// Why `item` shows nothing: it does not exist.
fn missing(item: &str, evidence: &Evidence<'_>) -> Option<String> {
    if let Some((path, name)) = item.split_once("::") {
        return match (evidence.file)(path) {
            None => Some(format!("there is no file {path}")),
            Some(source) if !has_test(&source, name) => Some(format!("there is no test {name} in {path}")),
            Some(_) => None,
        };
    }
    if let Some((_, extension)) = item.rsplit_once('.')
        && ["md", "rs"].contains(&extension)
    {
        return (evidence.file)(item).is_none().then(|| format!("there is no file {item}"));
    }
    let found = evidence.vectors.iter().any(|vector| matches(item, vector));
    (!found).then(|| format!("there is no vector {item}"))
}

/// Whether a function `name` that is a test stands in `source`.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begins = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| begins(line)).any(|(index, _)| {
        let above = lines.iter().take(index).rev();
        above.take_while(|line| line.starts_with("#[") || line.starts_with("//")).any(|line| is_test_attribute(line))
    })
}

fn is_test_attribute(line: &str) -> bool {
    line.starts_with("#[") && (line.ends_with("test]") || line.contains("::test("))
}

/// Whether `pattern`, in which one `*` stands for any text, fits `name`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((begin, end)) => name
            .strip_prefix(begin)
            .is_some_and(|rest| rest.ends_with(end) && !rest[..rest.len() - end.len()].is_empty()),
    }
}

/// The names of all vectors: `id`s, and recorded flows as `flows/name`.
fn vectors(folder: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for path in json_files(folder)? {
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        names.extend(text.split("\"id\":").skip(1).filter_map(|rest| rest.split('"').nth(1)).map(str::to_owned));
    }
    for path in json_files(&folder.join("flows"))? {
        names.extend(path.file_stem().map(|stem| format!("flows/{}", stem.to_string_lossy())));
    }
    Ok(names)
}

fn json_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect())
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The identifiers in `text`: a document, a hyphen, and sections and numbers.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.');
    words.map(|word| word.trim_matches(['.', '-'])).filter(|word| is_identifier(word))
}

fn is_identifier(word: &str) -> bool {
    let Some((document, rest)) = word.split_once('-') else { return false };
    let rfc = document.strip_prefix('R').map(|number| number.trim_end_matches("bis"));
    let is_rfc = rfc.is_some_and(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()));
    (is_rfc || DOCUMENTS.contains(&document)) && rest.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "- R9449-4.3-12a MUST: a. vec `key-a`.\n- R8725bis-3.14, FAPI2-5.4.1-1.2 MUST: see R9449-4.3-12a.\n";
    const SOURCE: &str =
        "fn helper() {}\n#[test]\nfn shown() {}\n/// Why.\n#[tokio::test]\n// R9449-1\nasync fn later() {}\n";

    fn verdict(table: &str) -> (usize, Vec<String>) {
        let vectors = ["key-a", "key-b", "flows/login"].map(str::to_owned).into();
        let file = |path: &str| ["a/b.rs", "docs/c.md"].contains(&path).then(|| SOURCE.to_owned());
        judge(TEXT, table, &Evidence { file: &file, vectors: &vectors })
    }

    #[test]
    fn a_table_that_shows_everything() {
        let table = "| requirement | shown by |\n|---|---|\n\
                     | `R9449-4.3-12a` | `a/b.rs::shown`, `a/b.rs::later`, vec `key-*`, `flows/login` |\n\
                     | `R8725bis-3.14`, `FAPI2-5.4.1-1.2` | read `docs/c.md` |\n";
        assert_eq!(verdict(table), (0, Vec::new()));
        assert_eq!(verdict(&table.replace("read `docs/c.md`", "pending")), (2, Vec::new()));
    }

    #[test]
    fn tests_are_looked_for_between_other_words() {
        let file = |path: &str| (path == "a/b.rs").then(|| SOURCE.to_owned());
        let evidence = Evidence { file: &file, vectors: &BTreeSet::new() };
        let text = "A `Rejection`, see `a/b.rs::shown`, `Check::ALL` and\n`a/b.rs::gone`.";
        let missing: Vec<_> = tests_missing(text, &evidence).collect();
        assert_eq!(missing, ["there is no test gone in a/b.rs"]);
    }

    #[test]
    fn each_defect_is_found() {
        let rest = "| `R8725bis-3.14`, `FAPI2-5.4.1-1.2` | pending |\n";
        for (row, defect) in [
            ("", "R9449-4.3-12a has no row in docs/rfc9449.md"),
            ("| `R9449-4.3-12a` | |", "R9449-4.3-12a is neither shown nor pending"),
            ("| `R9449-4.3-12a` | `a/b.rs::shown`, pending |", "R9449-4.3-12a is neither shown nor pending"),
            ("| `R9449-4.3-12a` | `a/b.rs::gone` |", "R9449-4.3-12a: there is no test gone in a/b.rs"),
            ("| `R9449-4.3-12a` | `a/b.rs::show` |", "R9449-4.3-12a: there is no test show in a/b.rs"),
            ("| `R9449-4.3-12a` | `a/b.rs::helper` |", "R9449-4.3-12a: there is no test helper in a/b.rs"),
            ("| `R9449-4.3-12a` | `a/c.rs::shown` |", "R9449-4.3-12a: there is no file a/c.rs"),
            ("| `R9449-4.3-12a` | `docs/d.md` |", "R9449-4.3-12a: there is no file docs/d.md"),
            ("| `R9449-4.3-12a` | `key-c` |", "R9449-4.3-12a: there is no vector key-c"),
            ("| `R9449-4.3-12a` | `key-a*` |", "R9449-4.3-12a: there is no vector key-a*"),
            ("| `R9449-4.3-12a`, `R9449-9` | pending |", "R9449-9 is no requirement of docs/requirements.md"),
            ("| `R9449-4.3-12a`, `R9449-4.3-12a` | pending |", "R9449-4.3-12a has two rows"),
        ] {
            assert_eq!(verdict(&format!("{row}\n{rest}")).1, [defect], "{row}");
        }
    }
}
