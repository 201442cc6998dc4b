//! A Swift toolchain: the one that is installed, or Debian's in a folder of its own where this system has none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::run::{self, Failure};

/// The first Debian that has Swift, and the packages that make a toolchain of it.
const RELEASE: &str = "trixie";
const PACKAGES: [&str; 6] =
    ["swiftlang", "swiftlang-dev", "libc6-dev", "libstdc++-14-dev", "binutils", "ca-certificates"];

/// Mounts what the toolchain needs where nobody else sees it, so that nothing stays mounted: `$0` is its folder, `$1` how many folders of
/// this system follow, which it sees at their own places, and then come the folder to work in and the command.
const ENTER: &str = r#"
set -e
home=$0; count=$1; shift
mount -t proc proc "$home/proc"
mount -t tmpfs tmpfs "$home/tmp"
while [ "$count" -gt 0 ]; do
  mkdir -p "$home$1"; mount --rbind "$1" "$home$1"; shift; count=$((count - 1))
done
exec chroot "$home" sh -c 'cd "$0" && exec "$@"' "$@"
"#;

/// Makes sure that there is a toolchain.
pub(crate) fn ensure() -> Result<(), Failure> {
    if is_installed() || stamp().exists() {
        return Ok(());
    }
    let otherwise = "install Swift 6 (swift.org), so that `swift` is found";
    if !cfg!(target_os = "linux") || !Path::new("/etc/debian_version").exists() {
        return Err(format!("Swift is not installed here; {otherwise}"));
    }
    if run::output(run::command("id").arg("-u")).as_deref() != Some("0") {
        return Err(format!("Swift is not installed here, and making a folder with it needs root; {otherwise}"));
    }
    install::ensure_debian(&["debootstrap"], "it makes the folder that Swift is installed in", otherwise)?;
    let folder = folder();
    println!("    installing Swift from Debian {RELEASE} in {} (3 minutes, 3 GB)", folder.display());
    if !folder.join("etc/debian_version").exists() {
        let mut debootstrap = run::command("debootstrap");
        debootstrap.args(["--variant=minbase", RELEASE]).arg(&folder).arg(mirror()?);
        quiet(&mut debootstrap)?;
    }
    let mut apt = inside(&[], Path::new("/"));
    apt.args([
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-qq",
        "-o=Dpkg::Use-Pty=0",
        "-o=Acquire::Retries=3",
    ]);
    quiet(apt.args(["install", "--yes", "--no-install-recommends"]).args(PACKAGES))?;
    fs::write(stamp(), RELEASE).map_err(|error| format!("cannot write {}: {error}", stamp().display()))
}

/// A command of the toolchain, for example `swift`, that works in `place`.
pub(crate) fn command(program: &str, place: &Path) -> Command {
    if is_installed() {
        let mut command = run::command(program);
        command.current_dir(place);
        return command;
    }
    let mut command = inside(&[run::root(), run::target_dir()], place);
    command.arg(program);
    command
}

fn is_installed() -> bool {
    run::output(run::command("swift").arg("--version")).is_some()
}

/// A command inside the folder, which sees `folders` of this system.
fn inside(folders: &[PathBuf], place: &Path) -> Command {
    let mut command = run::command("unshare");
    // Whatever the command leaves running ends with it.
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER]);
    command.arg(folder()).arg(folders.len().to_string()).args(folders).arg(place);
    command
}

fn quiet(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.len().saturating_sub(10);
    Err(format!("Swift could not be installed:\n{}", lines.get(last..).unwrap_or_default().join("\n")))
}

fn folder() -> PathBuf {
    run::cache_dir().join("keybound-swift")
}

fn stamp() -> PathBuf {
    folder().join(".installed")
}

/// Where this system gets its packages from.
fn mirror() -> Result<String, Failure> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let found = texts.flat_map(|text| text.lines().filter_map(source).collect::<Vec<_>>()).next();
    found.ok_or_else(|| "no Debian mirror is named in /etc/apt".to_owned())
}

/// The mirror that a line of a source list names; none for security updates, which have no releases.
fn source(line: &str) -> Option<String> {
    let uri = match line.strip_prefix("URIs:") {
        Some(rest) => rest.split_whitespace().next()?,
        None => line.strip_prefix("deb ")?.split_whitespace().find(|word| word.contains("://"))?,
    };
    (!uri.contains("security")).then(|| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn reads_both_kinds_of_source_lists() {
        let mirror = Some("http://mirror.example/debian".to_owned());
        assert_eq!(source("URIs: http://mirror.example/debian"), mirror);
        assert_eq!(source("deb [signed-by=/a] http://mirror.example/debian bookworm main"), mirror);
        assert_eq!(source("URIs: http://mirror.example/debian-security"), None);
        assert_eq!(source("# deb http://mirror.example/debian bookworm main"), None);
    }
}
