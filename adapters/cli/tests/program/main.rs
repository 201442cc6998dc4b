//! The program `keybound` as its users meet it: arguments in, output and exit code out.

mod demo;
mod exit_codes;
mod explain;
mod help;
mod key_files;
mod reasons;
mod round_trip;
mod secrets;
mod serve;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const METHOD_AND_URL: [&str; 4] = ["--method", "GET", "--url", "https://api.example.com/items"];
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/// What one run of the program left behind.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.out, self.err))
    }

    /// The one line that was written.
    fn line(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out.strip_suffix('\n').filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("{:?}", self.out))
    }
}

/// Runs the program with nothing on standard input.
fn keybound(arguments: &[&str]) -> Ran {
    keybound_reading(arguments, b"")
}

/// Runs the program with `input` on standard input.
fn keybound_reading(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keybound"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that needs no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and gives its path.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A new key in a file.
    fn key(&self, name: &str, algorithm: &str) -> String {
        let path = self.path(name);
        let made = keybound(&["key", "generate", "--alg", algorithm, "--out", &path]);
        assert_eq!((made.code, made.out.as_str()), (Some(0), ""), "{}", made.err);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A proof by the key in a file, for [`METHOD_AND_URL`] and more arguments.
fn proof(key: &str, more: &[&str]) -> String {
    keybound(&[&["proof", "--key", key], METHOD_AND_URL.as_slice(), more].concat()).line().to_owned()
}

/// Judges a proof for [`METHOD_AND_URL`] with more arguments, in JSON.
fn verify(proof: &str, more: &[&str]) -> Ran {
    keybound(&[&["verify", "--format", "json", proof], METHOD_AND_URL.as_slice(), more].concat())
}
