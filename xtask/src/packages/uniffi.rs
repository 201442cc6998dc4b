//! The library inside the Swift package and the Kotlin library, and the code that is generated for it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{copy, folder_of, is_same};
use crate::run::{self, Failure};

/// A library that UniFFI generates code for.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    /// The crate.
    package: &'static str,
    /// The library's name without what each system puts around it.
    name: &'static str,
}

/// The library that apps carry.
pub(crate) const SHIPPED: Library = Library { package: "keybound-uniffi", name: "keybound_uniffi" };
/// The library of the testing modules.
pub(crate) const TESTING: Library = Library { package: "keybound-uniffi-testing", name: "keybound_uniffi_testing" };

impl Library {
    /// Its file name on this system.
    pub(crate) fn file_name(self) -> String {
        format!("{}{}{}", std::env::consts::DLL_PREFIX, self.name, std::env::consts::DLL_SUFFIX)
    }

    /// Builds it as apps carry it. It still has the symbols that the generator reads.
    pub(crate) fn build(self) -> Result<PathBuf, Failure> {
        let mut cargo = run::cargo();
        run::run(cargo.args(["build", "--quiet", "--locked", "--profile", "mobile", "--package", self.package]))?;
        Ok(run::target_dir().join("mobile").join(self.file_name()))
    }

    /// Puts it at `place` without its symbols.
    pub(crate) fn stripped(self, place: &Path) -> Result<(), Failure> {
        let work = run::target_dir().join("uniffi").join(self.file_name());
        copy(&run::target_dir().join("mobile").join(self.file_name()), &work)?;
        let mut strip = run::command("strip");
        if cfg!(target_os = "macos") {
            strip.arg("-x");
        } else {
            strip.arg("--strip-unneeded");
        }
        run::run(strip.arg(&work))?;
        if is_same(&work, place) { Ok(()) } else { copy(&work, place) }
    }
}

/// Generates the code of a language, or the testing module's (`kotlin-testing`): the folder it is in. The public declarations beside it are also those of the code in `written`.
pub(crate) fn generated(language: &str, library: &Path, written: &[&str]) -> Result<PathBuf, Failure> {
    let folder = run::target_dir().join("uniffi").join(language);
    let mut cargo = run::cargo();
    cargo.args(["run", "--quiet", "--locked", "--package", "bindgen", "--", language]);
    run::run(cargo.arg(library).arg(&folder).args(written.iter().map(|folder| run::root().join(folder))))?;
    Ok(folder)
}

/// Copies generated files to where a package has them. What is the same stays untouched, so that nothing is compiled anew for it.
pub(crate) fn place(files: &[(PathBuf, PathBuf)]) -> Result<(), Failure> {
    files.iter().filter(|(from, to)| !is_same(from, to)).try_for_each(|(from, to)| copy(from, to))
}

/// Compares the public declarations of generated code with those on record, or puts them on record.
pub(crate) fn compare_api(generated: &Path, record: &str, write: bool) -> Result<(), Failure> {
    let record = run::root().join(record);
    let found = generated.join("api.txt");
    if write {
        folder_of(&record)?;
        return copy(&found, &record);
    }
    if is_same(&found, &record) {
        return Ok(());
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let (old, new) = (read(&record), read(&found));
    let gone = old.lines().filter(|line| !new.lines().any(|other| other == *line)).map(|line| format!("    - {line}"));
    let added = new.lines().filter(|line| !old.lines().any(|other| other == *line)).map(|line| format!("    + {line}"));
    let difference: Vec<String> = gone.chain(added).take(20).collect();
    Err(format!(
        "the public API differs from {}; if that is meant: cargo xtask build --write-api\n{}",
        record.display(),
        difference.join("\n")
    ))
}
