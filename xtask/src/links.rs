//! Links in the documentation that lead to files must exist, and examples of other languages in the README must be ones that run.

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
    broken.extend(strange_examples()?);
    broken.iter().for_each(|line| println!("    {line}"));
    broken.into_iter().next().map_or(Ok(Outcome::Passed), Err)
}

/// The README's examples in other languages than Rust are those of the packages' own READMEs, which the packages' tests run.
fn strange_examples() -> Result<Vec<String>, Failure> {
    let read =
        |page: &str| fs::read_to_string(run::root().join(page)).map_err(|error| format!("cannot read {page}: {error}"));
    let readme = read("README.md")?;
    let mut strange = Vec::new();
    for (language, page) in [
        ("python", "pkg/python/README.md"),
        ("js", "pkg/npm/README.md"),
        ("swift", "pkg/swift/README.md"),
        ("kotlin", "pkg/kotlin/README.md"),
    ] {
        let own = read(page)?;
        let unknown =
            examples(&readme, language).find(|example| examples(&own, language).all(|known| known != *example));
        strange.extend(unknown.map(|_| format!("README.md has an example in {language} that is none of {page}")));
    }
    Ok(strange)
}

/// The blocks of code in `language`.
fn examples<'t>(text: &'t str, language: &'t str) -> impl Iterator<Item = &'t str> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
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

    #[test]
    fn examples_are_told_by_their_language() {
        let text = "a\n```js\none\n```\nb\n```python\ntwo\n```\n```json\n{}\n```\n";
        assert_eq!(examples(text, "js").collect::<Vec<_>>(), ["one\n"]);
        assert_eq!(examples(text, "python").collect::<Vec<_>>(), ["two\n"]);
    }
}
