//! A token in a temporary folder, and a process for each test: a module belongs to its process.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use keybound_pkcs11::{PinSource, Pkcs11Keys, Settings};

pub(crate) const LABEL: &str = "keybound";
pub(crate) const PIN: &str = "648219";
/// A variable that holds the PIN.
pub(crate) const TEST_PIN_VARIABLE: &str = "KEYBOUND_TEST_PIN";
const STORY: &str = "KEYBOUND_STORY";

/// Where SoftHSM is, by system.
const MODULES: [&str; 6] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
];

/// A folder with SoftHSM's configuration, one token and a PIN file.
pub(crate) struct Place(PathBuf);

/// Runs a test in a process of its own. Without SoftHSM it is left out, except in the gate.
pub(crate) fn story(module: &str, name: &str, tell: fn(&Place)) {
    if let Some(folder) = std::env::var_os(STORY) {
        return tell(&Place(folder.into()));
    }
    if softhsm().is_none() || !has("softhsm2-util") || !has("pkcs11-tool") {
        assert!(std::env::var_os("CI").is_none(), "SoftHSM and OpenSC are missing: apt-get install softhsm2 opensc");
        println!("left out: SoftHSM and OpenSC are missing: apt-get install softhsm2 opensc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = Place(folder.path().to_owned());
    place.make();
    // A test's name is its path without the crate.
    let path = module.split_once("::").map_or(name.to_owned(), |(_, inner)| format!("{inner}::{name}"));
    let mut child = place
        .with_environment(Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", &path, "--nocapture", "--include-ignored"])
        .env(STORY, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A module that hangs must not hold up all other tests.
    let end = Instant::now() + Duration::from_secs(120);
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = thread::spawn(move || read(&mut out));
    let err = thread::spawn(move || read(&mut err));
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > end => child.kill().unwrap(),
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let told = out.join().unwrap() + &err.join().unwrap();
    assert!(status.success() && told.contains("1 passed"), "{status}: {told}");
    // What a measurement says.
    told.lines().filter(|line| line.contains("adapter")).for_each(|line| println!("{line}"));
}

fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn softhsm() -> Option<PathBuf> {
    MODULES.iter().map(PathBuf::from).find(|path| path.exists())
}

fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

impl Place {
    fn make(&self) {
        fs::create_dir(self.0.join("tokens")).unwrap();
        let tokens = self.0.join("tokens");
        let text =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(self.0.join("softhsm2.conf"), text).unwrap();
        fs::write(self.rules(), "").unwrap();
        self.write_pin(PIN);
        self.make_token(LABEL);
        // A copy: where cargo builds may be writable by others. Before any thread loads it.
        let built = std::env::current_exe().unwrap();
        let built = built.ancestors().nth(2).unwrap().join("examples/libkeybound_test_module.so");
        if built.exists() {
            fs::copy(built, self.module()).unwrap();
            fs::set_permissions(self.module(), Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn module(&self) -> PathBuf {
        self.0.join("module.so")
    }

    /// Makes another token.
    pub(crate) fn make_token(&self, label: &str) {
        let made = self
            .with_environment(Command::new("softhsm2-util"))
            .args(["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "00001111"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn with_environment(&self, mut command: Command) -> Command {
        command
            .env("SOFTHSM2_CONF", self.0.join("softhsm2.conf"))
            .env("KEYBOUND_TEST_RULES", self.rules())
            .env("KEYBOUND_TEST_TARGET", softhsm().unwrap())
            .env(TEST_PIN_VARIABLE, PIN)
            .env_remove("XDG_STATE_HOME")
            .env("HOME", &self.0);
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn pin_file(&self) -> PathBuf {
        self.0.join("pin")
    }

    /// Writes the PIN file anew.
    pub(crate) fn write_pin(&self, pin: &str) {
        let new = self.0.join("pin.new");
        fs::write(&new, format!("{pin}\n")).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o400)).unwrap();
        fs::rename(new, self.pin_file()).unwrap();
    }

    /// Where SoftHSM is.
    pub(crate) fn softhsm(&self) -> PathBuf {
        softhsm().unwrap()
    }

    /// SoftHSM itself.
    pub(crate) fn settings(&self) -> Settings {
        Settings::new(softhsm().unwrap(), LABEL, PinSource::file(self.pin_file())).state_folder(self.state())
    }

    pub(crate) fn keys(&self) -> Pkcs11Keys {
        Pkcs11Keys::open(self.settings()).unwrap()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// SoftHSM with faults and a record of calls.
    pub(crate) fn faulty_settings(&self) -> Settings {
        let module = self.module();
        assert!(module.exists(), "run: cargo build -p keybound-pkcs11 --examples");
        Settings::new(module, LABEL, PinSource::file(self.pin_file())).state_folder(self.state())
    }

    pub(crate) fn faulty_keys(&self) -> Pkcs11Keys {
        Pkcs11Keys::open(self.faulty_settings()).unwrap()
    }

    fn rules(&self) -> PathBuf {
        self.0.join("rules")
    }

    /// What the module with faults does from now on.
    pub(crate) fn rule(&self, rules: &str) {
        fs::write(self.rules(), rules).unwrap();
    }

    /// How often a function of the module with faults was called.
    pub(crate) fn calls(&self, function: &str) -> usize {
        let calls = fs::read_to_string(self.0.join("calls")).unwrap_or_default();
        calls.lines().filter(|call| *call == function).count()
    }

    /// Takes the token away.
    pub(crate) fn take_away(&self) {
        let tokens = fs::read_dir(self.0.join("tokens")).unwrap();
        let token = tokens.map(|entry| entry.unwrap()).next().unwrap();
        fs::rename(token.path(), self.0.join(token.file_name())).unwrap();
        fs::write(self.0.join("away"), token.file_name().to_str().unwrap()).unwrap();
    }

    /// Brings it back.
    pub(crate) fn bring_back(&self) {
        let name = fs::read_to_string(self.0.join("away")).unwrap();
        fs::rename(self.0.join(&name), self.0.join("tokens").join(name)).unwrap();
    }

    /// Takes the folder of all tokens away.
    pub(crate) fn take_all_away(&self) {
        fs::rename(self.0.join("tokens"), self.0.join("tokens.away")).unwrap();
    }

    /// Brings it back.
    pub(crate) fn bring_all_back(&self) {
        fs::rename(self.0.join("tokens.away"), self.0.join("tokens")).unwrap();
    }

    /// Copies the tokens for [`delete_and_restore`](Self::delete_and_restore), while nothing uses them: SoftHSM writes to a token that it
    /// reads, and a copy made meanwhile can be half of each.
    pub(crate) fn copy(&self) {
        self.run("cp", &["-a", "tokens", "copy"]);
    }

    /// Deletes the token's files, and restores the folder from the copy as a whole: SoftHSM can spoil a token that it reads half.
    pub(crate) fn delete_and_restore(&self, meanwhile: impl FnOnce()) {
        self.run("cp", &["-a", "copy", "restored"]);
        // SoftHSM may be making lock files there at the same time, which stops both commands.
        self.run("sh", &["-c", "until rm -rf tokens/*; do :; done"]);
        meanwhile();
        let restore = "until rm -rf tokens/* && mv -T restored/* tokens/$(ls restored); do :; done; rmdir restored";
        self.run("sh", &["-c", restore]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = Command::new(program).args(arguments).current_dir(&self.0).status().unwrap();
        assert!(done.success());
    }

    /// Runs OpenSC's tool, logged in.
    pub(crate) fn pkcs11_tool(&self, arguments: &[&str]) -> String {
        let output = self
            .with_environment(Command::new("pkcs11-tool"))
            .arg("--module")
            .arg(softhsm().unwrap())
            .args(["--token-label", LABEL, "--login", "--pin", PIN])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
