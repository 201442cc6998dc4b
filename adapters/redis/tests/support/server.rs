//! One server: its process, its folder, its port, and what tests do to it.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keybound::UnixTime;
use redis::{ConnectionLike, RedisResult, Value};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::Kind;

/// How long a server may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// The port on which it talks to other nodes, if it is one of a cluster.
    pub(super) bus: u16,
    folder: tempfile::TempDir,
    options: Vec<String>,
    /// Whether it sees a clock that the test turns.
    has_own_clock: bool,
    process: Option<Child>,
}

impl Server {
    /// A server with an empty memory and further `options`, as its command line takes them.
    pub(crate) fn start(kind: Kind, options: &[&str]) -> Self {
        Self::prepared(kind, options, false)
    }

    /// A Valkey whose clock is turned by [`Server::turn_clock`]: Debian's Redis does not start with such a clock.
    pub(crate) fn with_own_clock(options: &[&str]) -> Self {
        Self::prepared(Kind::Valkey, options, true)
    }

    fn prepared(kind: Kind, options: &[&str], has_own_clock: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("keybound-redis-").tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server =
            Self { kind, port: free_port(), bus: free_port(), folder, options, has_own_clock, process: None };
        if has_own_clock {
            server.turn_clock(0);
        }
        while !server.try_launch() {
            (server.port, server.bus) = (free_port(), free_port());
        }
        server
    }

    /// Starts the process, and waits until it answers; false if it ended at once, as where its port is taken.
    fn try_launch(&mut self) -> bool {
        let mut command = Command::new(self.kind.program().unwrap());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.args(["--bind", "127.0.0.1", "--daemonize", "no", "--save", "", "--protected-mode", "no"]);
        command.args(["--dir", ".", "--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"]);
        command.arg("--port").arg(self.port.to_string()).args(&self.options);
        if self.options.iter().any(|option| option == "--cluster-enabled") {
            command.arg("--cluster-port").arg(self.bus.to_string());
        }
        if self.has_own_clock {
            command.env("LD_PRELOAD", faketime_library().unwrap()).env("FAKETIME_NO_CACHE", "1");
            command.env("FAKETIME_TIMESTAMP_FILE", self.clock_file()).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        // Kept at once: whatever happens now, it is stopped.
        self.process = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.process.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.process = None;
                let log = self.log();
                assert!(log.contains("Address already in use"), "a server ended at once: {log}");
                return false;
            }
            // Loading is an answer too.
            if self.try_say(&["PING"]).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("a server did not answer");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Sends a command as the default user and gives what came back.
    pub(crate) fn say(&self, command: &[&str]) -> Value {
        self.try_say(command).unwrap_or_else(|error| panic!("no answer to {command:?}: {error}\n{}", self.log()))
    }

    /// The end of what it wrote.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    /// An error of the server's is an answer too.
    fn try_say(&self, command: &[&str]) -> RedisResult<Value> {
        loop {
            match self.ask(command) {
                // A signal, such as that of a child which was stopped.
                Err(error) if error.to_string().contains(&io::Error::from(Errno::INTR).to_string()) => {}
                answered => return answered,
            }
        }
    }

    fn ask(&self, command: &[&str]) -> RedisResult<Value> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let mut packed = redis::cmd(command[0]);
        packed.arg(&command[1..]);
        match connection.req_command(&packed) {
            Err(error) if !error.is_io_error() => Ok(Value::SimpleString(error.to_string())),
            answered => answered,
        }
    }

    /// Sends a command that must succeed.
    pub(crate) fn order(&self, command: &[&str]) {
        let answer = self.say(command);
        // `REPLICAOF` says `OK Already connected to specified master` where there is nothing to do.
        let is_ok =
            matches!(&answer, Value::Okay) || matches!(&answer, Value::SimpleString(text) if text.starts_with("OK"));
        assert!(is_ok, "{command:?}: {answer:?}");
    }

    /// Sends a command that the server may refuse.
    pub(crate) fn try_order(&self, command: &[&str]) {
        let _ = self.say(command);
    }

    /// One line of INFO.
    pub(crate) fn info(&self, section: &str, name: &str) -> String {
        let Value::BulkString(text) = self.say(&["INFO", section]) else { panic!("INFO is refused") };
        let text = String::from_utf8(text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{section} has no {name}")).to_owned()
    }

    /// Waits until INFO has this line.
    pub(crate) fn await_info(&self, section: &str, name: &str, value: &str) {
        let begun = Instant::now();
        while self.info(section, name) != value {
            assert!(begun.elapsed() < PATIENCE, "{name} did not become {value}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> i64 {
        let Value::Int(keys) = self.say(&["DBSIZE"]) else { panic!("no number of keys") };
        keys
    }

    /// How many times SET was run.
    pub(crate) fn sets(&self) -> u64 {
        let said = self.info("commandstats", "cmdstat_set");
        let calls = said.split(',').find_map(|part| part.strip_prefix("calls=")).unwrap();
        calls.parse().unwrap()
    }

    /// Kills it: it gets no chance to write anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again after [`kill`](Self::kill), on its port and with what its folder holds.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let begun = Instant::now();
        while !self.try_launch() {
            assert!(begun.elapsed() < PATIENCE, "the port of a killed server is taken");
            thread::sleep(Duration::from_millis(50));
        }
        self.await_info("persistence", "loading", "0");
    }

    /// Stops it without ending it: its connections stay open, and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused server go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server runs");
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// A replica of this server that has everything this one has.
    pub(crate) fn replica(&self, options: &[&str]) -> Self {
        let replica = Self::start(self.kind, options);
        replica.follow(self);
        replica
    }

    /// Makes this server a replica of `primary`, and waits until it has everything.
    pub(crate) fn follow(&self, primary: &Self) {
        self.order(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        self.await_info("replication", "master_link_status", "up");
        let begun = Instant::now();
        // The primary knows a little later.
        while !primary.has_replica(self) {
            assert!(begun.elapsed() < PATIENCE, "the primary does not know its replica");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn has_replica(&self, replica: &Self) -> bool {
        let Value::BulkString(text) = self.say(&["INFO", "replication"]) else { return false };
        String::from_utf8(text).unwrap().contains(&format!("port={},state=online", replica.port))
    }

    /// A replica hears nothing more of its primary.
    pub(crate) fn lose_sight(&self) {
        // Where no one listens.
        self.order(&["REPLICAOF", "127.0.0.1", "1"]);
    }

    /// Makes a replica a primary.
    pub(crate) fn promote(&self) {
        self.order(&["REPLICAOF", "NO", "ONE"]);
    }

    /// How long its log of commands is: it must have been started with `--appendonly yes --appendfsync always`.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(self.log_file()).unwrap().len()
    }

    /// Cuts the log of commands of a server that was killed, as a crash of its machine does.
    pub(crate) fn cut_log(&self, length: u64) {
        assert!(self.process.is_none(), "the server runs");
        fs::OpenOptions::new().write(true).open(self.log_file()).unwrap().set_len(length).unwrap();
    }

    fn log_file(&self) -> PathBuf {
        let entries = fs::read_dir(self.folder.path().join("appendonlydir")).unwrap().flatten();
        let mut files = entries.map(|entry| entry.path());
        files.find(|path| path.to_string_lossy().ends_with(".incr.aof")).expect("a log of commands")
    }

    /// Sets a clock made by [`with_own_clock`](Self::with_own_clock) so many seconds ahead of the machine's.
    pub(crate) fn turn_clock(&self, seconds: i64) {
        // Replaced as a whole: a server that reads half a line would see another time.
        let next = self.folder.path().join("clock.next");
        let mut file = fs::File::create(&next).unwrap();
        file.write_all(format!("{seconds:+}\n").as_bytes()).unwrap();
        fs::rename(next, self.clock_file()).unwrap();
        let begun = Instant::now();
        let is_turned = || {
            let shown: i64 = self.info("server", "server_time_usec").parse().unwrap();
            (shown / 1_000_000 - UnixTime::now().secs()).abs_diff(seconds) < 3
        };
        while self.process.is_some() && !is_turned() {
            assert!(begun.elapsed() < PATIENCE, "the clock was not turned");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn clock_file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The library that turns clocks, as the program `faketime` names it to the linker; `None` where there is none.
///
/// It is asked for once: `faketime` names memory by its process and refuses to start where an earlier process of that number left some.
pub(crate) fn faketime_library() -> Option<String> {
    static LIBRARY: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let said = Command::new("faketime").args(["-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]).output().ok()?;
        let library = String::from_utf8(said.stdout).ok()?.trim().to_owned();
        library.contains("faketime").then_some(library)
    };
    LIBRARY.get_or_init(ask).clone()
}

/// A port below those that systems give to clients, so that it can be taken again after a restart.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 97).unwrap() * 110;
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
