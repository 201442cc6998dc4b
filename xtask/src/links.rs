//! Links in the documentation that lead to files: they must exist.

use std::fs;

use crate::run::{self, Failure, Outcome};

/// The step of `cargo xtask check`.
pub(crate) fn step() -> Result<Outcome, Failure> {
    // Git knows which pages are ours; folders of packages hold many others.
    let list = run::command("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]).output();
    let pages = match list {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => return Ok(Outcome::Skipped("git does not know this folder".to_owned())),
    };
    let root = run::root();
    let mut broken = Vec::new();
    for page in pages.lines().filter(|page| root.join(page).exists()) {
        let path = root.join(page);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {page}: {error}"))?;
        let folder = path.parent().unwrap_or(&root);
        let dead = targets(&text).filter(|target| !folder.join(target).exists());
        broken.extend(dead.map(|target| format!("{page} has a link to {target}, which is not there")));
    }
    broken.iter().for_each(|line| println!("    {line}"));
    broken.into_iter().next().map_or(Ok(Outcome::Passed), Err)
}

/// The files that `text` links to, without fragments. Addresses and places in the page itself are left out, and so is code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    let links = prose.flat_map(|prose| prose.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    let files = links.filter(|link| !link.contains(':') && !link.contains(char::is_whitespace));
    files.filter_map(|link| link.split('#').next()).filter(|file| !file.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_addresses_and_code() {
        let text = "[a](b.md), [c](d/e.md#f)\n[g](#h) [i](https://j.example/k)\n```rust\nx[0](y)\n```\n[l](../m)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["b.md", "d/e.md", "../m"]);
    }
}
