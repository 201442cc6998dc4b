//! The program's `login`, `call` and `logout` against `keybound serve`, as a user runs them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use keybound::SecurityLevel;
use keybound::oauth::Secret;
use keybound_cli::serve::{ClientSecret, Faults, Options, Running, start};
use serde_json::Value;

struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn spawn(folder: &Path, arguments: &[&str], secret: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
    command.args(arguments).env("KEYBOUND_HOME", folder).env_remove("KEYBOUND_CLIENT_SECRET");
    command.envs(secret.map(|secret| ("KEYBOUND_CLIENT_SECRET", secret)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// Runs the program; whatever login page it names is opened, and approves at once.
fn run(folder: &Path, arguments: &[&str]) -> Ended {
    run_with(folder, arguments, None)
}

fn run_with(folder: &Path, arguments: &[&str], secret: Option<&str>) -> Ended {
    let mut child = spawn(folder, arguments, secret);
    let browser = reqwest::blocking::Client::new();
    let mut stderr = String::new();
    for line in BufReader::new(child.stderr.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        let asked = serde_json::from_str::<Value>(&line).ok();
        let asked = asked.and_then(|asked| asked["log_in_at"].as_str().map(str::to_owned));
        if let Some(url) = asked.or_else(|| line.strip_prefix("log in at ").map(str::to_owned)) {
            let page = browser.get(url.trim()).send().expect("the browser comes back").text().expect("a page");
            assert!(page.contains("close this window"), "{page}");
        }
        stderr += &line;
        stderr.push('\n');
    }
    let mut stdout = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("text");
    Ended { status: child.wait().expect("an end"), stdout, stderr }
}

struct Setting {
    /// Runs the servers.
    _runtime: tokio::runtime::Runtime,
    running: Running,
    folder: tempfile::TempDir,
}

fn setting(options: Options) -> Setting {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let running = runtime.block_on(start(options)).expect("loopback");
    Setting { _runtime: runtime, running, folder: tempfile::tempdir().expect("a folder") }
}

impl Setting {
    fn run(&self, arguments: &[&str]) -> Ended {
        let home = self.folder.path().join("home");
        run(&home, &[arguments, &["--no-browser"]].concat())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.running.resource)
    }
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{} {}", ended.stdout, ended.stderr))
}

#[test]
fn a_first_call_logs_in_and_the_next_goes_on() {
    let setting = setting(Options::default());
    let first = setting.run(&["call", &setting.url("/items?x=1")]);
    let echo = json(&first);
    assert_eq!((first.status.code(), &echo["path"], &echo["query"]), (Some(0), &"/api/items".into(), &"x=1".into()));
    assert!(first.stderr.contains("log in at"));
    let second = setting.run(&["call", &setting.url(""), "--no-login", "--data", "hello", "--format", "json"]);
    assert_eq!(second.status.code(), Some(0), "{}", second.stderr);
    let answer = json(&second);
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!((&answer["status"], &body["method"]), (&200.into(), &"POST".into()));
    assert_eq!(body["bound_to"], echo["bound_to"], "one session, one key");
    // The token is revoked: the session refreshes itself.
    setting.running.revoke_access_tokens();
    let third = setting.run(&["call", &setting.url(""), "--no-login"]);
    assert_eq!(third.status.code(), Some(0), "{}", third.stderr);
    assert_eq!(setting.running.redeemed(), 1);
}

#[test]
fn more_scope_is_asked_for_where_it_is_needed() {
    let setting = setting(Options::default());
    let login = setting.run(&["login", &setting.running.resource, "--scope", "read", "--format", "json"]);
    assert_eq!((login.status.code(), &json(&login)["scope"]), (Some(0), &"read".into()));
    let refused = setting.run(&["call", &setting.url("/admin"), "--no-login"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("403"), "{}", refused.stderr);
    let call = setting.run(&["call", &setting.url("/admin")]);
    assert_eq!((call.status.code(), &json(&call)["scope"]), (Some(0), &"read admin".into()));
}

#[test]
fn devices_and_machines_log_in_without_a_browser() {
    let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("s3cr:t%+") };
    let setting = setting(Options { clients: vec![secret], ..Options::default() });
    let device = setting.run(&["login", &setting.running.resource, "--device", "--session", "tv", "--format", "json"]);
    assert_eq!(device.status.code(), Some(0), "{}", device.stderr);
    let call = setting.run(&["call", &setting.url(""), "--session", "tv", "--no-login"]);
    assert_eq!(json(&call)["subject"], "alice");
    let url = setting.url("");
    let machine =
        ["call", &url, "--session", "m", "--machine", "--client-id", "service", "--client-secret", "s3cr:t%+"];
    let call = setting.run(&machine);
    assert_eq!(json(&call)["subject"], "service", "{}", call.stderr);
    let again = setting.run(&[&machine[..], &["--no-login"]].concat());
    assert_eq!(again.status.code(), Some(0), "the session was kept: {}", again.stderr);
}

#[test]
fn a_client_with_a_key_authenticates_with_it() {
    let setting = setting(Options::default());
    let key = setting.folder.path().join("key.json");
    let made = run(setting.folder.path(), &["key", "generate", "--out", key.to_str().unwrap()]);
    assert_eq!(made.status.code(), Some(0), "{}", made.stderr);
    let public = run(setting.folder.path(), &["key", "public", key.to_str().unwrap(), "--format", "json"]);
    let mut jwk = json(&public);
    if let Some(inner) = jwk.get("jwk") {
        jwk = inner.clone();
    }
    let metadata = serde_json::json!({
        "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [jwk] },
    });
    let http = reqwest::blocking::Client::new();
    let answer = http
        .post(format!("{}/register", setting.running.issuer))
        .header("Content-Type", "application/json")
        .body(metadata.to_string());
    let registered: Value = serde_json::from_str(&answer.send().unwrap().text().unwrap()).expect("JSON");
    let id = registered["client_id"].as_str().unwrap_or_else(|| panic!("{registered}"));
    let url = setting.url("");
    let call = setting.run(&["call", &url, "--machine", "--client-id", id, "--client-key", key.to_str().unwrap()]);
    assert_eq!(json(&call)["client_id"], id, "{}", call.stderr);
}

#[test]
fn a_session_remembers_the_client_it_was_made_with() {
    let secret = |id: &str| ClientSecret { client_id: id.into(), secret: Secret::new("s3cr:t%+") };
    let setting = setting(Options { clients: vec![secret("service"), secret("other")], ..Options::default() });
    let (url, api) = (setting.url(""), setting.running.resource.clone());
    let with = |id: &'static str| ["--machine", "--client-id", id, "--client-secret", "s3cr:t%+"];
    let login = setting.run(&[&["login", &api], &with("service")[..]].concat());
    assert_eq!(login.status.code(), Some(0), "{}", login.stderr);
    // No option says again who asks, neither now nor when the token has ended.
    let call = setting.run(&["call", &url, "--no-login"]);
    assert_eq!(json(&call)["subject"], "service", "{}", call.stderr);
    setting.running.revoke_access_tokens();
    let call = setting.run(&["call", &url]);
    assert_eq!(json(&call)["subject"], "service", "{}", call.stderr);
    // Another client does not take its place, whichever command names it.
    for command in ["login", "call", "logout"] {
        let refused = setting.run(&[&[command, &url], &with("other")[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{command} {}", refused.stderr);
        assert!(refused.stderr.contains("made by the client service"), "{}", refused.stderr);
        assert!(refused.stderr.contains("--session"), "{}", refused.stderr);
    }
    let second = setting.run(&[&["call", &url, "--session", "second"], &with("other")[..]].concat());
    assert_eq!(json(&second)["subject"], "other", "{}", second.stderr);
    let ended = setting.run(&["logout", &api]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // What is gone binds no one.
    let login = setting.run(&[&["login", &api], &with("other")[..]].concat());
    assert_eq!(login.status.code(), Some(0), "{}", login.stderr);
}

#[test]
fn a_registered_session_gives_way_to_no_named_client() {
    let setting = setting(Options { level: SecurityLevel::Standard, ..Options::default() });
    let (url, api) = (setting.url(""), setting.running.resource.clone());
    let standard = setting.run(&["login", &api, "--level", "standard", "--session", "plain"]);
    assert_eq!(standard.status.code(), Some(0), "{}", standard.stderr);
    let call = setting.run(&["call", &url, "--no-login", "--session", "plain"]);
    assert_eq!(call.status.code(), Some(0), "the level was remembered: {}", call.stderr);
    let refused = setting.run(&["call", &url, "--session", "plain", "--client-id", "other"]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("registered itself"), "{}", refused.stderr);
}

#[test]
fn an_issuer_that_is_given_never_replaces_the_one_that_the_api_names() {
    let setting = setting(Options::default());
    let login = setting.run(&["login", &setting.url(""), "--issuer", "http://127.0.0.1:9", "--format", "json"]);
    assert_eq!(login.status.code(), Some(0), "{}", login.stderr);
    assert_eq!(json(&login)["issuer"], setting.running.issuer);
    let told = setting.run(&["login", &setting.url(""), "--issuer", "http://127.0.0.1:9"]);
    assert!(told.stderr.contains("--issuer http://127.0.0.1:9 was not used"), "{}", told.stderr);
}

#[test]
fn a_secret_of_the_environment_is_not_another_clients() {
    let setting = setting(Options::default());
    let url = setting.url("");
    assert_eq!(setting.run(&["call", &url]).status.code(), Some(0));
    setting.running.revoke_access_tokens();
    let home = setting.folder.path().join("home");
    // It is neither sent in the name of the client that registered itself, nor in its way.
    let call = run_with(&home, &["call", &url, "--no-login"], Some("another client's"));
    assert_eq!(call.status.code(), Some(0), "{}", call.stderr);
    let refused = setting.run(&["call", &url, "--client-secret", "x"]);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
}

#[test]
fn a_named_client_is_not_replaced_where_the_api_names_another_server() {
    let setting = setting(Options::default());
    let url = setting.url("");
    let login = setting.run(&["login", &url, "--client-id", "app", "--issuer", "http://127.0.0.1:9"]);
    assert_eq!(login.status.code(), Some(1), "{}", login.stderr);
    assert!(login.stderr.contains("is known at http://127.0.0.1:9"), "{}", login.stderr);
}

#[test]
fn a_stored_session_asks_for_no_metadata() {
    let service = ClientSecret { client_id: "service".into(), secret: Secret::new("s3cr:t%+") };
    let setting = setting(Options { clients: vec![service], ..Options::default() });
    let url = setting.url("");
    let options = ["call", &url, "--machine", "--client-id", "service", "--client-secret", "s3cr:t%+"];
    assert_eq!(setting.run(&options).status.code(), Some(0));
    let mut faults = Faults::default();
    faults.add("metadata-failing").unwrap();
    setting.running.set_faults(faults);
    for options in [&["call", &url][..], &options] {
        let call = setting.run(options);
        assert_eq!(call.status.code(), Some(0), "{}", call.stderr);
    }
}

#[test]
fn a_refused_call_says_why() {
    let setting = setting(Options::default());
    setting.run(&["login", &setting.running.resource, "--scope", "read"]);
    let refused = setting.run(&["call", &setting.url("/admin"), "--no-login"]);
    assert!(refused.stderr.contains("insufficient_scope"), "{}", refused.stderr);
}

#[test]
fn a_missing_session_is_named_with_what_makes_it() {
    let setting = setting(Options::default());
    let call = setting.run(&["call", &setting.url(""), "--no-login", "--session", "work"]);
    assert!(call.stderr.contains("under the name work; `keybound login"), "{}", call.stderr);
    let logout = setting.run(&["logout", &setting.url(""), "--session", "work"]);
    assert!(logout.stderr.contains("no session work to end"), "{}", logout.stderr);
    setting.run(&["login", &setting.running.resource, "--session", "work", "--scope", "read"]);
    let refused = setting.run(&["call", &setting.url("/admin"), "--session", "work", "--no-login"]);
    assert!(refused.stderr.contains("needs the scope admin"), "{}", refused.stderr);
    let logout = setting.run(&["logout", &setting.url(""), "--session", "work", "--format", "json"]);
    let told = json(&logout);
    assert_eq!((&told["session"], &told["revoked"]), (&"work".into(), &true.into()));
}

#[test]
fn what_asks_for_no_token_is_called_without_a_login() {
    let setting = setting(Options::default());
    let nowhere = format!("{}/nope", setting.running.issuer);
    let call = setting.run(&["call", &nowhere]);
    assert_eq!(call.status.code(), Some(1), "{}", call.stderr);
    assert!(call.stderr.contains("asked for no token") && call.stderr.contains("answered 404"), "{}", call.stderr);
    assert!(!call.stderr.contains("refused"), "{}", call.stderr);
    let open = setting.run(&["call", &format!("{}/jwks", setting.running.issuer)]);
    assert_eq!(open.status.code(), Some(0), "{}", open.stderr);
    assert!(open.stderr.contains("asked for no token") && open.stdout.contains("\"keys\""), "{}", open.stderr);
}

/// Any of these may be what a request without a token gets, with no challenge beside it.
#[test]
fn what_may_be_a_refusal_is_answered_by_a_login() {
    let setting = setting(Options::default());
    for status in [302, 400, 401, 403, 429, 500, 503] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                drop(stream.read(&mut [0; 4_096]));
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nLocation: /login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        let call = setting.run(&["call", &url]);
        assert!(!call.stderr.contains("asked for no token"), "{status}: {}", call.stderr);
        assert_ne!(call.status.code(), Some(0), "{status}: no server to log in at is found");
    }
}

#[test]
fn a_session_that_is_named_is_ended_without_a_url() {
    let setting = setting(Options::default());
    assert!(setting.run(&["logout"]).stderr.contains("no session is stored"));
    setting.run(&["login", &setting.running.resource, "--session", "work"]);
    let which = setting.run(&["logout"]);
    assert!(which.status.code() == Some(2) && which.stderr.contains("stored are: work"), "{}", which.stderr);
    let logout = setting.run(&["logout", "--session", "work", "--format", "json"]);
    assert_eq!((logout.status.code(), &json(&logout)["revoked"]), (Some(0), &true.into()), "{}", logout.stderr);
}

#[test]
fn servers_that_cannot_answer_decide_nothing() {
    for fault in ["metadata-failing", "store-failing"] {
        let setting = setting(Options::default());
        let mut faults = Faults::default();
        faults.add(fault).unwrap();
        setting.running.set_faults(faults);
        let login = setting.run(&["login", &setting.url("")]);
        assert_eq!(login.status.code(), Some(3), "{fault}: {}", login.stderr);
    }
}

#[test]
fn tokens_that_were_not_revoked_are_said_to_be() {
    let setting = setting(Options::default());
    let url = setting.url("");
    setting.run(&["login", &url]);
    let Setting { _runtime: runtime, running, folder } = setting;
    running.stop();
    drop(runtime);
    let logout = run(&folder.path().join("home"), &["logout", &url]);
    assert_ne!(logout.status.code(), Some(0));
    assert!(logout.stderr.contains("its tokens were not revoked"), "{}", logout.stderr);
    assert!(!logout.stderr.contains("key delete"), "the key is in a file: {}", logout.stderr);
}

#[test]
fn sessions_are_readable_by_their_owner_alone() {
    let setting = setting(Options::default());
    setting.run(&["call", &setting.url("")]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut folders = vec![setting.folder.path().join("home")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
            for entry in folder.read_dir().unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
                    files += 1;
                }
            }
        }
        assert!(files >= 3, "a session, a key and a registration");
        let home = setting.folder.path().join("home");
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = setting.run(&["call", &setting.url("")]);
        assert_eq!(refused.status.code(), Some(3));
        assert!(refused.stderr.contains("chmod 700"), "{}", refused.stderr);
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_is_not_set() {
    let setting = setting(Options::default());
    let home = setting.folder.path();
    let url = setting.url("");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
    command.args(["call", &url, "--device"]).current_dir(home).stdin(Stdio::null());
    for variable in ["KEYBOUND_HOME", "KEYBOUND_CLIENT_SECRET", "KEYBOUND_PIN"] {
        command.env(variable, "");
    }
    let ended = command.env("HOME", home).env_remove("XDG_STATE_HOME").output().expect("the program starts");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(home.join(".local/state/keybound/session").is_dir(), "the folder that --help names");
}

#[test]
fn logging_out_leaves_nothing_to_steal() {
    let setting = setting(Options::default());
    setting.run(&["call", &setting.url("")]);
    let ended = setting.run(&["logout", &setting.running.resource]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    for kind in ["session", "key", "login"] {
        let left = setting.folder.path().join("home").join(kind).read_dir().unwrap().count();
        assert_eq!(left, 0, "{kind}");
    }
    assert_eq!(setting.run(&["call", &setting.url(""), "--no-login"]).status.code(), Some(1));
}

#[test]
fn servers_that_misbehave_are_told_apart() {
    let with = |fault: &str| {
        let mut faults = Faults::default();
        faults.add(fault).unwrap();
        setting(Options { faults, ..Options::default() })
    };
    for fault in ["new-nonce-each-call", "clock-skew=7200", "clock-skew=-7200", "drop-cors", "slow=50"] {
        let setting = with(fault);
        for _ in 0..2 {
            let call = setting.run(&["call", &setting.url("")]);
            assert_eq!(call.status.code(), Some(0), "{fault}: {}", call.stderr);
        }
    }
    for (fault, said) in
        [("bearer-token-type", "not bound to the key"), ("wrong-iss", "another issuer"), ("store-failing", "503")]
    {
        let setting = with(fault);
        let call = setting.run(&["call", &setting.url("")]);
        assert_ne!(call.status.code(), Some(0), "{fault}");
        assert!(call.stderr.contains(said), "{fault}: {}", call.stderr);
    }
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let setting = setting(Options::default());
    let url = setting.url("");
    for (arguments, code, said) in [
        (&["call", "ftp://example.com"][..], 2, "cannot be called"),
        (&["call", "http://api.example.com/"], 2, "http is for an API on this machine"),
        (&["login", &url, "--entra-tenant", "example.com"], 2, "--entra-tenant is the GUID"),
        (&["call", &url, "-H", "Authorization: x"], 2, "leave it out"),
        (&["call", &url, "-H", "nothing"], 2, "Name: value"),
        (&["call", &url, "--data", "@/nowhere"], 3, "/nowhere"),
        (&["call", "http://127.0.0.1:9/api"], 3, "refused"),
        (&["call", &url, "--machine"], 2, "--client-id"),
    ] {
        let ended = setting.run(arguments);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?} {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{arguments:?} {}", ended.stderr);
    }
    // A session of this machine is not opened for an API elsewhere, and says so without an option that there is not.
    assert_eq!(setting.run(&["call", &url, "--session", "work"]).status.code(), Some(0));
    let ended = setting.run(&["call", "https://api.example.com/", "--session", "work", "--no-login"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("on this machine") && ended.stderr.contains("--session"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("allow"), "{}", ended.stderr);
}
