//! `cargo xtask sizes`: how many bytes browsers and apps load, compared with what is recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::npm::DIST;
use super::uniffi::SHIPPED;
use super::wasm::{self, BUILDS};
use crate::run::{self, Failure};

/// Compressed as servers send it: brotli at quality 11.
const MEASURE: &str = "
const { brotliCompressSync, constants } = require('node:zlib');
const { readFileSync } = require('node:fs');
const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 };
for (const path of process.argv.slice(1)) console.log(brotliCompressSync(readFileSync(path), { params }).length);
";

fn record() -> PathBuf {
    run::root().join("bindings/wasm/sizes.txt")
}

/// The library in apps, by target and compiler.
fn library_record() -> PathBuf {
    run::root().join("bindings/uniffi/sizes.txt")
}

/// Name, bytes of the module and of the script beside it.
fn measured() -> Result<Vec<(String, u64)>, Failure> {
    let folder = run::root().join(DIST).join("wasm");
    let files: Vec<String> =
        BUILDS.iter().flat_map(|(name, _)| [format!("{name}_bg.wasm"), format!("{name}.js")]).collect();
    let mut node = run::command("node");
    node.args(["-e", MEASURE, "--"]).args(files.iter().map(|file| folder.join(file)));
    let sizes = run::output(&mut node).ok_or("the WASM builds cannot be read; run `cargo xtask build wasm`")?;
    let sizes = sizes.lines().map(|line| line.parse().map_err(|_| format!("'{line}' is no size")));
    Ok(files.into_iter().zip(sizes.collect::<Result<Vec<u64>, _>>()?).collect())
}

fn known(record: &Path) -> Vec<(String, u64)> {
    let text = fs::read_to_string(record).unwrap_or_default();
    let pair = |line: &str| {
        let (size, name) = line.split_once("  ")?;
        Some((name.to_owned(), size.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

pub(crate) fn command(arguments: &[&str]) -> ExitCode {
    let write = match arguments {
        [] => false,
        ["--write"] => true,
        _ => return run::usage_error("usage: cargo xtask sizes [--write]"),
    };
    let both = || compare().and_then(|()| compare_library());
    let outcome = if write { write_down() } else { both() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn write_down() -> Result<(), Failure> {
    wasm::build()?;
    let lines: String = measured()?.iter().map(|(name, size)| format!("{size}  {name}\n")).collect();
    fs::write(record(), lines).map_err(|error| format!("cannot write {}: {error}", record().display()))?;
    let (name, size) = weighed()?;
    let mut known: Vec<_> = known(&library_record()).into_iter().filter(|(other, _)| *other != name).collect();
    known.push((name, size));
    known.sort();
    let lines: String = known.iter().map(|(name, size)| format!("{size}  {name}\n")).collect();
    fs::write(library_record(), lines).map_err(|error| format!("cannot write {}: {error}", library_record().display()))
}

/// The library without its symbols: target, compiler and name, and its bytes.
fn weighed() -> Result<(String, u64), Failure> {
    SHIPPED.build()?;
    let place = run::target_dir().join("uniffi/weighed").join(SHIPPED.file_name());
    SHIPPED.stripped(&place)?;
    let size = fs::metadata(&place).map_err(|error| format!("cannot read {}: {error}", place.display()))?.len();
    let about = run::output(run::command("rustc").arg("-vV")).ok_or("rustc cannot be run")?;
    let part = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("unknown");
    Ok((format!("{} rustc {} {}", part("host: "), part("release: "), SHIPPED.file_name()), size))
}

/// Fails if the library in apps has grown by more than one part in a hundred. Other compilers than those on record give other bytes:
/// then the size is shown only.
pub(crate) fn compare_library() -> Result<(), Failure> {
    let (name, size) = weighed()?;
    let recorded = known(&library_record()).into_iter().find(|(other, _)| *other == name).map(|(_, size)| size);
    let shown = recorded.map_or("nothing, for this compiler".to_owned(), |size| size.to_string());
    println!("    {size:>7}  {name} (recorded: {shown})");
    match recorded {
        Some(recorded) if size > recorded + recorded / 100 => {
            Err(format!("{name} grew; make it smaller, or record it: cargo xtask sizes --write"))
        }
        _ => Ok(()),
    }
}

/// Fails if a file has grown by more than one part in a hundred. Other compilers than the pinned one give other bytes: then the
/// sizes are shown only.
pub(crate) fn compare() -> Result<(), Failure> {
    wasm::build()?;
    let known = known(&record());
    let mut grown = Vec::new();
    for (name, size) in measured()? {
        let recorded = known.iter().find(|(other, _)| *other == name).map(|(_, size)| *size);
        println!(
            "    {size:>7}  {name} (recorded: {})",
            recorded.map_or("nothing".to_owned(), |size| size.to_string())
        );
        if recorded.is_none_or(|recorded| size > recorded + recorded / 100) {
            grown.push(name);
        }
    }
    if !wasm::is_pinned() {
        let reason =
            "sizes are recorded for the pinned compiler, which is not here: apt-get install rustc-web rust-web-src";
        println!("    {reason}");
        return if run::in_ci() { Err(reason.to_owned()) } else { Ok(()) };
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!("{} grew; make it smaller, or record it: cargo xtask sizes --write", grown.join(", ")))
}
