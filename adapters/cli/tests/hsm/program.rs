//! `keybound key`, `proof`, `login` and `call` with a token, and the guide that shows them.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use keybound::oauth::Secret;
use keybound_cli::serve::{ClientSecret, Options, start};
use serde_json::Value;

use crate::place::{LABEL, PIN, Place, story};

/// Runs the program with the options that name the token.
fn keybound(place: &Place, arguments: &[&str]) -> Output {
    let module = place.softhsm();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
    command.args(arguments).arg("--pkcs11").arg(module).args(["--token", LABEL, "--pin-file"]).arg(place.pin_file());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

#[test]
fn a_key_is_made_listed_used_and_deleted() {
    story(module_path!(), "a_key_is_made_listed_used_and_deleted", |place| {
        let jkt = text(&keybound(place, &["key", "generate"]));
        let listed: Value =
            serde_json::from_str(&text(&keybound(place, &["key", "list", "--format", "json"]))).unwrap();
        assert_eq!(listed["keys"][0]["jkt"], jkt);
        assert_eq!(listed["keys"][0]["protected"], true);
        let request = ["--method", "GET", "--url", "https://api.example.com/items"];
        let proof = text(&keybound(place, &[&["proof", "--key", &jkt], request.as_slice()].concat()));
        let verify = [&["verify", "--jkt", &jkt], request.as_slice(), &[&proof]].concat();
        text(&Command::new(env!("CARGO_BIN_EXE_keybound")).args(verify).output().unwrap());
        text(&keybound(place, &["key", "delete", &jkt]));
        let again = keybound(place, &["key", "delete", &jkt]);
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        // A key that another program made, by its label.
        place.pkcs11_tool(&["--keypairgen", "--key-type", "rsa:2048", "--id", "07", "--label", "old", "--usage-sign"]);
        text(&keybound(place, &[&["proof", "--key", "old"], request.as_slice()].concat()));
    });
}

/// The commands of the guide, as they are in it, for a user with nothing but SoftHSM and this program.
#[test]
fn the_guide_makes_a_proof() {
    story(module_path!(), "the_guide_makes_a_proof", |place| {
        let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hsm.md")).unwrap();
        let section = guide.split("## ").find(|section| section.starts_with("Sign a proof with SoftHSM\n")).unwrap();
        let mut script = "set -e\n".to_owned();
        for line in section.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap().lines()) {
            // Installed already.
            if line.starts_with("sudo ") || line.starts_with("cargo ") {
                continue;
            }
            script.push_str(line);
            // It asks at a terminal.
            if line.starts_with("softhsm2-util --init-token ") {
                script.push_str(&format!(" --so-pin 00001111 --pin {PIN}"));
            }
            script.push('\n');
        }
        let script = script.replace("/usr/lib/softhsm/libsofthsm2.so", &place.softhsm().display().to_string());
        let programs = std::path::Path::new(env!("CARGO_BIN_EXE_keybound")).parent().unwrap().to_owned();
        let paths = std::env::var_os("PATH").unwrap();
        let paths = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&paths))).unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .env("PATH", paths)
            .env_remove("SOFTHSM2_CONF")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(format!("{PIN}\n").as_bytes()).unwrap();
        let told = text(&shell.wait_with_output().unwrap());
        assert!(told.contains("accepted") && told.contains("ES256 made by Keybound (cli)"), "{told}");
    });
}

/// The mistakes people make, and what they are told to type.
#[test]
fn mistakes_are_answered_by_what_to_type() {
    story(module_path!(), "mistakes_are_answered_by_what_to_type", |place| {
        let run = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_keybound")).args(arguments).output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let module = place.softhsm().display().to_string();
        let token = ["--pkcs11", &module, "--token", LABEL];
        for (arguments, code, told) in [
            (vec!["key", "list"], 2, "--pkcs11 MODULE --token LABEL"),
            (vec!["key", "list", "--pkcs11", &module], 2, "--token <LABEL>"),
            (
                vec!["key", "list", "--pkcs11", "libsofthsm2.so", "--token", LABEL, "--pin-file", "pin"],
                2,
                "absolute path",
            ),
            (
                [&["key", "list"], token.as_slice()].concat(),
                2,
                "--pin-file FILE, or set the environment variable KEYBOUND_PIN",
            ),
            ([&["key", "list"], token.as_slice(), &["--pin-file", "/none"]].concat(), 3, "/none"),
            ([&["key", "list"], token.as_slice(), &["--serial", "1", "--pin-file", "pin"]].concat(), 3, LABEL),
            (
                [&["key", "generate", "--pem"], token.as_slice(), &["--pin-file", "pin"]].concat(),
                2,
                "leave --out and --pem out",
            ),
            (vec!["key", "list", "--pin", PIN], 2, "unexpected argument"),
        ] {
            let (found, message) = run(&arguments);
            assert_eq!(found, Some(code), "{arguments:?}: {message}");
            assert!(message.contains(told), "{arguments:?}: {message}");
        }
        let missing =
            keybound(place, &["proof", "--key", "none", "--method", "GET", "--url", "https://api.example.com"]);
        assert_eq!(missing.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&missing.stderr).contains("keybound key list"));
        // A wrong PIN is in no message.
        place.write_pin("730156");
        for _ in 0..2 {
            let refused = keybound(place, &["key", "list"]);
            assert_eq!(refused.status.code(), Some(3));
            assert!(!format!("{refused:?}").contains("730156"));
        }
    });
}

/// `login` remembers the token, so that `call` and `logout` need not name it. The key is in the token, and is destroyed at the end.
#[test]
fn a_session_has_its_key_in_the_token() {
    story(module_path!(), "a_session_has_its_key_in_the_token", |place| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let secret = ClientSecret { client_id: "service".into(), secret: Secret::new("s3cr:t%+") };
        let options = Options { clients: vec![secret], ..Options::default() };
        let running = runtime.block_on(start(options)).unwrap();
        let folder = place.folder().join("sessions");
        let with_token = |arguments: &[&str]| {
            let folder = folder.display().to_string();
            let output = keybound(place, &[arguments, &["--folder", &folder]].concat());
            serde_json::from_str::<Value>(&text(&output)).unwrap()
        };
        let without = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
            command.args(arguments).arg("--folder").arg(&folder).output().unwrap()
        };
        let url = running.resource.as_str();
        let machine = ["--machine", "--client-id", "service", "--client-secret", "s3cr:t%+", "--format", "json"];
        let login = with_token(&[&["login", url], machine.as_slice()].concat());
        let listed = with_token_keys(place);
        assert_eq!(listed["keys"][0]["jkt"], login["thumbprint"]);
        assert_eq!(listed["keys"][0]["owner"], "session");
        let echo: Value = serde_json::from_str(&text(&without(&["call", url, "--no-login"]))).unwrap();
        assert_eq!(echo["bound_to"], login["thumbprint"]);
        // Its key is in no other token, and in no file.
        let other = without(&["call", url, "--pkcs11", "/none", "--token", "other", "--pin-file", "/none"]);
        assert_eq!(other.status.code(), Some(2), "{other:?}");
        assert_eq!(fs::read_dir(folder.join("key")).map_or(0, Iterator::count), 0);
        assert!(without(&["logout", url]).status.success());
        assert_eq!(with_token_keys(place)["keys"], Value::Array(Vec::new()));
        // With the token away, the session ends all the same, and the user is told which key is left.
        let again = with_token(&[&["login", url], machine.as_slice()].concat());
        place.take_away();
        let away = without(&["logout", url]);
        let told = String::from_utf8(away.stderr).unwrap();
        let advice = format!("keybound key delete {}", again["thumbprint"].as_str().unwrap());
        assert!(!away.status.success() && told.contains("has ended here") && told.contains(&advice), "{told}");
        place.bring_back();
        assert_eq!(with_token_keys(place)["keys"][0]["jkt"], again["thumbprint"]);
        assert_eq!(without(&["logout", url]).status.code(), Some(1));
    });
}

fn with_token_keys(place: &Place) -> Value {
    serde_json::from_str(&text(&keybound(place, &["key", "list", "--format", "json"]))).unwrap()
}
