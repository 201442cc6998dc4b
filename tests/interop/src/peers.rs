//! Programs that others wrote, for Node, Python and Java.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The peers and their interpreters.
#[derive(Clone, Debug)]
pub struct Peers {
    folder: PathBuf,
}

/// A peer that serves until this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it said about itself when it began to listen.
    pub about: Value,
}

impl Peers {
    /// The peers, if they are installed. `None` comes with a reason on standard error, and means that a test cannot be run.
    ///
    /// # Panics
    /// If they are not installed in the gate, where `CI` is set.
    pub fn here() -> Option<Self> {
        let peers = Self { folder: PathBuf::from(env!("CARGO_MANIFEST_DIR")) };
        let parts = [peers.node(), peers.python(), peers.folder.join("peers/nimbus/.jars")];
        let Some(missing) = parts.into_iter().find(|part| !part.exists()) else {
            return Some(peers);
        };
        let text = format!("{} is not installed; run: cargo xtask test --only interop", missing.display());
        assert!(std::env::var_os("CI").is_none(), "{text}");
        eprintln!("skipped: {text}");
        None
    }

    fn node(&self) -> PathBuf {
        self.folder.join("node_modules/node/bin/node")
    }

    fn python(&self) -> PathBuf {
        let bin = if cfg!(windows) { "Scripts" } else { "bin" };
        self.folder.join(".venv").join(bin).join("python")
    }

    /// A command that runs a program of `peers/` or of an installed package. A program in Java is compiled first, with what is in the folder
    /// `.jars` beside it.
    pub fn command(&self, program: &str) -> Command {
        let path = Path::new(program);
        let mut command = match path.extension().and_then(OsStr::to_str) {
            Some("py") => Command::new(self.python()),
            Some("java") => {
                let mut java = Command::new("java");
                java.arg("-XX:TieredStopAtLevel=1").arg("-classpath").arg(path.with_file_name(".jars").join("*"));
                java
            }
            _ => Command::new(self.node()),
        };
        command.current_dir(&self.folder).arg(program);
        command
    }

    /// Runs a peer to its end and gives the lines it wrote.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, program: &str, about: &Value) -> Vec<String> {
        let output = self.command(program).arg(about.to_string()).output().expect("the interpreter runs");
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program} failed after these steps:\n{said}\n{errors}");
        said.lines().map(str::to_owned).collect()
    }

    /// Starts a peer that serves.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start(&self, program: &str, about: &Value) -> Running {
        let mut command = self.command(program);
        // It ends when its standard input does, so that it never outlives the test, however that ends.
        let command = command.arg(about.to_string());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the interpreter runs");
        pass_on(child.stderr.take().expect("a pipe"));
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let about = loop {
            let mut line = String::new();
            let length = output.read_line(&mut line).expect("text");
            assert!(length > 0, "{program} ended and did not begin to serve");
            match serde_json::from_str(&line) {
                Ok(about) => break about,
                Err(_) => print!("{line}"),
            }
        };
        pass_on(output);
        Running { child, about }
    }
}

/// Prints what a peer says with the output of the test, which is shown if it fails.
pub(crate) fn pass_on(output: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
        }
    });
}

impl Running {
    /// A text that the peer said about itself.
    ///
    /// # Panics
    /// If it did not say it.
    pub fn text(&self, member: &str) -> &str {
        self.about[member].as_str().unwrap_or_else(|| panic!("no {member} in {}", self.about))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Builds a program of the workspace, by its name, and gives its path.
///
/// # Panics
/// If it cannot be built.
pub fn example(program: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // With the features of the whole workspace, so that nothing is built twice.
    command.args(["build", "--quiet", "--locked", "--workspace", "--all-features", "--message-format=json"]);
    let output = command.args(["--bin", program]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable =
        |line: &str| Some(PathBuf::from(serde_json::from_str::<Value>(line).ok()?["executable"].as_str()?));
    messages.lines().rev().find_map(executable).expect("a program")
}
