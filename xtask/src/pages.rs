//! Examples in Rust that readers paste compile outside of this workspace, with the dependencies that the page gives.
//!
//! The pages are the README, the guide of Rust and the front page of each crate. A block in `toml` gives the dependencies of the blocks in Rust after it. Each of these is a whole
//! program, or the tests of the one before it (`#[cfg(test)]`), and shows every line. All become programs of one package, which knows
//! the crates of this workspace by their paths alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::run::{self, Failure, Outcome};

/// The pages, and the folder of each crate that has one.
const PAGES: [&str; 2] = ["README.md", "docs/rust.md"];
const CRATES: [&str; 8] = [
    "core",
    "adapters/aws-lc",
    "adapters/files",
    "adapters/pkcs11",
    "adapters/redis",
    "adapters/reqwest",
    "adapters/testing",
    "adapters/tower",
];

/// A section of a manifest and a dependency in it.
type Dependency = (String, String);

/// A program on a page.
struct Program {
    /// Page and number, as a file name.
    name: String,
    code: String,
    /// What the page tells to depend on, with the requirement.
    dependencies: BTreeMap<Dependency, String>,
}

/// The step of `cargo xtask check`.
pub(crate) fn step() -> Result<Outcome, Failure> {
    let mut programs = Vec::new();
    for page in CRATES.iter().map(|folder| format!("{folder}/src/lib.rs")).chain(PAGES.map(str::to_owned)) {
        let path = run::root().join(&page);
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {page}: {error}"))?;
        let text = if is_markdown(&page) { text } else { front_page(&text) };
        let found = programs_of(&page, &text)?;
        if found.is_empty() {
            return Err(format!("{page} has no program that could be pasted"));
        }
        programs.extend(found);
    }
    let dependencies = all_dependencies(&programs)?;
    write(&programs, &dependencies)?;
    let mut cargo = run::cargo();
    cargo.args(["check", "--quiet", "--offline", "--all-targets", "--manifest-path"]).arg(package().join("Cargo.toml"));
    // Dependencies that the other checks have compiled are not compiled again.
    run::run(cargo.arg("--target-dir").arg(run::target_dir()))?;
    Ok(Outcome::Passed)
}

/// Whether a page is a Markdown file: there, a block without a language is not Rust.
fn is_markdown(page: &str) -> bool {
    PAGES.contains(&page)
}

/// The folder of the package, which is not a member of this workspace.
fn package() -> PathBuf {
    run::target_dir().join("pasted")
}

/// The documentation at the top of a crate, as Markdown.
fn front_page(source: &str) -> String {
    let mut page = String::new();
    for line in source.lines() {
        let fence = line.contains("doc = \"```\")]").then_some("```");
        if let Some(line) = line.strip_prefix("//!").map(|line| line.strip_prefix(' ').unwrap_or(line)).or(fence) {
            page.push_str(line);
            page.push('\n');
        }
    }
    page
}

/// The programs of a page.
fn programs_of(page: &str, text: &str) -> Result<Vec<Program>, Failure> {
    let mut programs: Vec<Program> = Vec::new();
    let mut dependencies = BTreeMap::new();
    for block in text.split("```").skip(1).step_by(2) {
        let (info, code) = block.split_once('\n').unwrap_or_default();
        if info == "toml" {
            let given = manifest(code);
            // Tests are added to what is there; a page that starts anew names all it needs.
            if given.keys().any(|(section, _)| section == "dependencies") {
                dependencies.clear();
            }
            dependencies.extend(given);
            continue;
        }
        let is_rust = info.split(',').all(|word| word.is_empty() || word == "rust" || word == "no_run");
        if !is_rust || (info.is_empty() && is_markdown(page)) {
            continue;
        }
        if let Some(hidden) = code.lines().find(|line| *line == "#" || line.starts_with("# ")) {
            return Err(format!("an example of {page} has a hidden line, which readers do not paste: {hidden}"));
        }
        if code.starts_with("#[cfg(test)]") {
            let program = programs.last_mut().ok_or_else(|| format!("{page} has tests without a program"))?;
            program.code.push_str(code);
            program.dependencies.clone_from(&dependencies);
        } else if code.contains("fn main()") {
            let number = programs.len() + 1;
            let name = page.trim_end_matches(".md").trim_end_matches("/src/lib.rs").replace('/', "-").to_lowercase();
            programs.push(Program {
                name: format!("{name}-{number}"),
                code: code.to_owned(),
                dependencies: dependencies.clone(),
            });
        } else {
            let first = code.lines().next().unwrap_or_default();
            return Err(format!("an example of {page} is not a whole program: {first}"));
        }
    }
    Ok(programs)
}

/// Sections, names and requirements of a piece of a manifest.
fn manifest(text: &str) -> BTreeMap<Dependency, String> {
    let mut section = String::new();
    let mut dependencies = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((name, requirement)) = line.split_once(" = ") {
            let requirement = requirement.split(" # ").next().unwrap_or_default().trim();
            dependencies.insert((section.clone(), name.to_owned()), requirement.to_owned());
        }
    }
    dependencies
}

/// What all programs depend on.
///
/// They are compiled as one package, so that each must name what it uses, and all must ask for the same of a crate: otherwise one could live on what another
/// one asks for.
fn all_dependencies(programs: &[Program]) -> Result<BTreeMap<Dependency, String>, Failure> {
    let mut all: BTreeMap<Dependency, String> = BTreeMap::new();
    for program in programs {
        for (dependency, requirement) in &program.dependencies {
            let known = all.entry(dependency.clone()).or_insert_with(|| requirement.clone());
            if known != requirement {
                return Err(format!(
                    "{} depends on {} = {requirement}, and another page on {known}",
                    program.name, dependency.1
                ));
            }
        }
    }
    for program in programs {
        for (_, name) in all.keys() {
            let is_used = uses(&program.code, &name.replace('-', "_"));
            if is_used && !program.dependencies.keys().any(|(_, given)| given == name) {
                return Err(format!("{} uses {name}, which its page does not tell to depend on", program.name));
            }
        }
    }
    Ok(all)
}

/// Whether `code` has a path that begins with this crate.
fn uses(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':')
    })
}

/// Writes the package.
fn write(programs: &[Program], dependencies: &BTreeMap<Dependency, String>) -> Result<(), Failure> {
    let (root, folder) = (run::root(), package());
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
    // What a page had before is not to be compiled.
    let _ = fs::remove_dir_all(&folder);
    for program in programs {
        let has_tests = program.code.contains("#[cfg(test)]");
        // Of what cargo calls targets, examples can use dependencies of tests.
        let is_test = program.dependencies.keys().any(|(section, _)| section == "dev-dependencies") && !has_tests;
        let place = folder.join(if is_test { "examples" } else { "src/bin" });
        fs::create_dir_all(&place).map_err(failed)?;
        fs::write(place.join(&program.name).with_extension("rs"), &program.code).map_err(failed)?;
    }
    let mut text = String::from(
        "[workspace]\n\n[package]\nname = \"pasted\"\nedition = \"2024\"\n\n[lints.rust]\nwarnings = \"deny\"\n",
    );
    let mut before = "";
    for ((section, name), requirement) in dependencies {
        // One that programs depend on needs not be asked for again by their tests.
        if section != "dependencies" && dependencies.contains_key(&("dependencies".to_owned(), name.clone())) {
            continue;
        }
        if section != before {
            let _ = write!(text, "\n[{section}]\n");
            before = section;
        }
        let _ = writeln!(text, "{name} = {requirement}");
    }
    text.push_str("\n[patch.crates-io]\n");
    for crate_folder in CRATES {
        let name =
            if crate_folder == "core" { "keybound".to_owned() } else { crate_folder.replace("adapters/", "keybound-") };
        let _ = writeln!(text, "{name} = {{ path = {:?} }}", root.join(crate_folder));
    }
    let read = |name: &str| fs::read_to_string(root.join(name)).map_err(|error| format!("cannot read {name}: {error}"));
    let workspace = read("Cargo.toml")?;
    // The same profiles, so that what was compiled for the workspace is good for this package.
    let profiles = workspace.find("[profile.").map_or("", |at| &workspace[at..]);
    let _ = write!(text, "\n{profiles}");
    fs::write(folder.join("Cargo.toml"), text).map_err(failed)?;
    // The versions that the workspace has, which are at hand without a network.
    fs::write(folder.join("Cargo.lock"), read("Cargo.lock")?).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::{all_dependencies, front_page, programs_of, uses};

    const TOML: &str = "```toml\n[dependencies]\nkeybound = \"0.1\"\n```\n";

    fn page(blocks: &str) -> Result<usize, String> {
        let programs = programs_of("README.md", &format!("{TOML}{blocks}"))?;
        all_dependencies(&programs).map(|_| programs.len())
    }

    #[test]
    fn programs_and_their_tests_are_found() {
        let program = "```rust,no_run\nuse keybound::X;\nfn main() {}\n```\n";
        assert_eq!(page(program), Ok(1));
        assert_eq!(page(&format!("{program}```rust\n#[cfg(test)]\nmod tests {{}}\n```\n```js\nx\n```\n")), Ok(1));
        let documented = front_page(
            "//! ```toml\n//! [dependencies]\n//! ```\n#![cfg_attr(x, doc = \"```\")]\n//! fn main() {}\n//! ```\nfn x() {}\n",
        );
        assert_eq!(
            programs_of("core/src/lib.rs", &documented).map(|programs| programs[0].name.clone()),
            Ok("core-1".into())
        );
    }

    #[test]
    fn what_cannot_be_pasted_is_found() {
        for (blocks, said) in [
            ("```rust\nuse keybound::X;\n# fn main() {}\n```\n", "hidden line"),
            ("```rust\nuse keybound::X;\n```\n", "not a whole program"),
            ("```rust\n#[cfg(test)]\nmod tests {}\n```\n", "without a program"),
            (
                "```rust\nfn main() { tokio::x() }\n```\n```toml\n[dependencies]\ntokio = \"1\"\n```\n```rust\nfn main() {}\n```\n",
                "uses tokio",
            ),
            (
                "```rust\nfn main() {}\n```\n```toml\n[dependencies]\nkeybound = \"0.2\"\n```\n```rust\nfn main() {}\n```\n",
                "another page",
            ),
        ] {
            assert!(page(blocks).is_err_and(|error| error.contains(said)), "{blocks}");
        }
        assert!(uses("#[tokio::main]", "tokio") && uses("a(http::B)", "http") && !uses("axum::http::B", "http"));
    }
}
