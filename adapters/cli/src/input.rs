//! Reading what a command is given: files, standard input, and texts that may be either.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output::Output;

/// Nothing that is read here has a reason to be longer.
const LIMIT: u64 = 1024 * 1024;

/// The bytes of a file, or of standard input for `-`. They may be secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if path.as_os_str() == "-" {
        return read_stdin();
    }
    let file = File::open(path).map_err(|error| match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(bare) => Failure::undecided(format!(
            "cannot read {}: {error}; a path is given without @ here: {bare}",
            path.display()
        )),
        None => Failure::file("read", path, &error),
    })?;
    limited(file, path)
}

/// Notes that a private key's file can be read by others.
pub(crate) fn note_readable(path: &Path, output: &Output) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let is_open = |file: std::fs::Metadata| file.is_file() && file.permissions().mode() & 0o044 != 0;
        if path.as_os_str() != "-" && std::fs::metadata(path).is_ok_and(is_open) {
            let shown = path.display();
            output.note(format_args!(
                "other users of this machine can read the private key in {shown}; chmod 600 {shown}"
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, output);
}

fn read_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    static WAS_READ: AtomicBool = AtomicBool::new(false);
    if WAS_READ.swap(true, Ordering::Relaxed) {
        return Err(Failure::usage("two things cannot both come from standard input; put one of them into a file"));
    }
    let stdin = io::stdin();
    if stdin.is_terminal() {
        eprintln!("reading standard input; end it with Ctrl-D");
    }
    limited(stdin, Path::new("standard input"))
}

fn limited(source: impl Read, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    source.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::undecided(format!("{} is longer than 1 MiB; is it the right file?", path.display())));
    }
    Ok(bytes)
}

/// What an argument means: its own text, the content of a file for `@FILE`, or standard input for `-`.
pub(crate) fn argument(argument: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if argument == "-" {
        return read_stdin();
    }
    match argument.strip_prefix('@') {
        Some(path) => read(Path::new(path)),
        // The name would be taken for the content, and the verdict would be about that.
        None if Path::new(argument).is_file() => {
            Err(Failure::usage(format!("there is a file {argument}; write @{argument} for its content")))
        }
        None => Ok(Zeroizing::new(argument.as_bytes().to_vec())),
    }
}

/// As [`argument`], for a line of text such as a token: `what` names it in errors, which never show it.
pub(crate) fn text_argument(given: &str, what: &str) -> Result<Zeroizing<String>, Failure> {
    let bytes = argument(given)?;
    text(without_line_end(&bytes), what)
}

/// Bytes that must be UTF-8.
pub(crate) fn text(bytes: &[u8], what: &str) -> Result<Zeroizing<String>, Failure> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::undecided(format!("the {what} is not text; is it the right file?"))),
    }
}

/// `bytes` without the one line end that editors and `echo` add.
pub(crate) fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::without_line_end;

    #[test]
    fn one_line_end_is_taken_and_no_more() {
        for (given, left) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a ", "a "), ("", "")] {
            assert_eq!(without_line_end(given.as_bytes()), left.as_bytes(), "{given:?}");
        }
    }
}
