//! `bindgen swift|kotlin[-testing] LIBRARY FOLDER [WRITTEN…]`: writes what UniFFI generates for a built library, rewritten to read as its language
//! does, and beside it `api.txt`: its public declarations, and those of the code in the folders that are named.

mod api;
mod builder;
mod kotlin;
mod rewrite;
mod swift;
mod testing;

use std::fs;
use std::process::ExitCode;

use camino::Utf8Path;
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [language, library, folder, written @ ..] = arguments.as_slice() else {
        eprintln!("usage: bindgen swift|kotlin LIBRARY FOLDER [WRITTEN…]");
        return ExitCode::from(2);
    };
    match write(language, Utf8Path::new(library), Utf8Path::new(folder), written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(language: &str, library: &Utf8Path, folder: &Utf8Path, written: &[String]) -> Result<(), String> {
    type Improve = fn(String) -> Result<String, String>;
    type Declarations = fn(&[String]) -> String;
    let (language, file, improve, declarations): (_, _, Improve, Declarations) = match language {
        "swift" => (TargetLanguage::Swift, "keybound.swift", swift::improve, api::swift),
        "kotlin" => (TargetLanguage::Kotlin, "dev/keybound/keybound.kt", kotlin::improve, api::kotlin),
        "swift-testing" => (TargetLanguage::Swift, "keybound_testing.swift", testing::swift, api::swift),
        "kotlin-testing" => {
            (TargetLanguage::Kotlin, "dev/keybound/testing/servers/keybound_testing.kt", testing::kotlin, api::kotlin)
        }
        other => {
            return Err(format!("there is no language '{other}'; there are swift and kotlin, and both with -testing"));
        }
    };
    let options = GenerateOptions {
        languages: vec![language],
        source: library.to_owned(),
        out_dir: folder.to_owned(),
        ..GenerateOptions::default()
    };
    generate(options).map_err(|error| format!("{error:#}"))?;
    let file = folder.join(file);
    let failed = |path: &Utf8Path, error: std::io::Error| format!("{path}: {error}");
    let text = improve(fs::read_to_string(&file).map_err(|error| failed(&file, error))?)?;
    let mut texts = vec![text.clone()];
    for folder in written.iter().map(Utf8Path::new) {
        sources(folder, file.extension().unwrap_or_default(), &mut texts).map_err(|error| failed(folder, error))?;
    }
    let api = folder.join("api.txt");
    fs::write(&api, declarations(&texts)).map_err(|error| failed(&api, error))?;
    fs::write(&file, text).map_err(|error| failed(&file, error))
}

/// The sources in a folder and those below, but generated ones, in the order of their names.
fn sources(folder: &Utf8Path, extension: &str, texts: &mut Vec<String>) -> std::io::Result<()> {
    let mut entries = folder.read_dir_utf8()?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by(|one, other| one.file_name().cmp(other.file_name()));
    for path in entries.iter().map(|entry| entry.path()) {
        if path.is_dir() && path.file_name() != Some("Generated") {
            sources(path, extension, texts)?;
        } else if path.extension() == Some(extension) {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}
