//! One session for each resource: APIs that share an origin have their own, and a session's token goes to other origins only if told.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use axum::Router;
use axum::extract::{Path as Segments, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use keybound::json::Value;
use keybound_cli::serve::{Options, Running, start};

/// Two APIs, `/one` and `/two`, at one origin. They tell the audience of the token they get, and check nothing.
#[derive(Clone)]
struct Apis {
    origin: String,
    issuer: String,
}

async fn api(State(apis): State<Apis>, Segments(segments): Segments<String>, fields: HeaderMap) -> Response {
    let name = segments.split('/').next().unwrap_or_default();
    let Some(token) = fields.get("authorization").and_then(|value| value.to_str().ok()) else {
        let metadata = format!("{}/.well-known/oauth-protected-resource/{name}", apis.origin);
        let challenge = format!("DPoP resource_metadata=\"{metadata}\"");
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    };
    if name == "stern" {
        let challenge = "DPoP error=\"invalid_token\", error_description=\"the access token is from an issuer that is not trusted here\"";
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    let payload = keybound::base64url::decode(token.split('.').nth(1).expect("a JWT").as_bytes()).expect("base64url");
    let claims = Value::parse_object(&payload).expect("claims");
    claims.text("aud").expect("an audience").to_owned().into_response()
}

async fn metadata(State(apis): State<Apis>, Segments(name): Segments<String>) -> Response {
    let document = Value::object()
        .with("resource", format!("{}/{name}", apis.origin).as_str())
        .with("authorization_servers", Value::Array(vec![apis.issuer.as_str().into()]));
    ([("content-type", "application/json")], document.to_json()).into_response()
}

struct Setting {
    _runtime: tokio::runtime::Runtime,
    _running: Running,
    origins: Vec<String>,
    folder: tempfile::TempDir,
}

/// Two servers with both APIs.
fn setting() -> Setting {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (running, origins) = runtime.block_on(async {
        let listeners =
            [tokio::net::TcpListener::bind("127.0.0.1:0").await, tokio::net::TcpListener::bind("127.0.0.1:0").await];
        let listeners = listeners.map(|listener| listener.expect("loopback"));
        let origins =
            listeners.each_ref().map(|listener| format!("http://{}", listener.local_addr().expect("an address")));
        let also_resources = origins
            .iter()
            .flat_map(|origin| [format!("{origin}/one"), format!("{origin}/two"), format!("{origin}/stern")]);
        let options = Options { also_resources: also_resources.collect(), ..Options::default() };
        let running = start(options).await.expect("loopback");
        for (listener, origin) in listeners.into_iter().zip(&origins) {
            let apis = Apis { origin: origin.clone(), issuer: running.issuer.clone() };
            let app = Router::new()
                .route("/.well-known/oauth-protected-resource/{name}", get(metadata))
                .route("/{*segments}", get(api))
                .with_state(apis);
            tokio::spawn(async move { axum::serve(listener, app).await });
        }
        (running, origins.to_vec())
    });
    Setting { _runtime: runtime, _running: running, origins, folder: tempfile::tempdir().expect("a folder") }
}

/// A browser that opens the login page, which approves at once.
fn browser(folder: &Path) -> String {
    let path = folder.join("browser");
    std::fs::write(&path, "#!/bin/sh\nexec curl --silent --location --output /dev/null \"$1\"\n").expect("a file");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
    path.to_str().expect("text").to_owned()
}

impl Setting {
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybound"));
        command.args(arguments).args(["--browser", &browser(self.folder.path())]).stdin(Stdio::null());
        let home = self.folder.path().join("home");
        let Output { status, stdout, stderr } = command.env("KEYBOUND_HOME", home).output().expect("the program");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    fn audience(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(&[&["call"], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?} {err}");
        out
    }
}

#[test]
fn each_resource_of_an_origin_has_its_session() {
    let setting = setting();
    let [one, two] = ["one", "two"].map(|name| format!("{}/{name}", setting.origins[0]));
    assert_eq!(setting.audience(&[&format!("{one}/items?page=2")]), one);
    assert_eq!(setting.audience(&[&two]), two, "the session of one is not in its way");
    for resource in [&one, &two] {
        let (again, below) = (resource.clone(), format!("{resource}/more"));
        assert_eq!(&setting.audience(&[&again, "--no-login"]), resource);
        assert_eq!(&setting.audience(&[&below, "--no-login"]), resource);
    }
    // One ends, the other goes on.
    assert_eq!(setting.run(&["logout", &format!("{one}/items")]).0, Some(0));
    let (code, _, told) = setting.run(&["call", &one, "--no-login"]);
    assert_eq!(code, Some(1));
    assert!(told.contains(&format!("keybound login {one}")), "{told}");
    assert_eq!(setting.audience(&[&two, "--no-login"]), two);
}

#[test]
fn a_session_named_by_its_origin_stays_usable() {
    let setting = setting();
    let (origin, one) = (&setting.origins[0], format!("{}/one", setting.origins[0]));
    // This is how sessions were named before.
    assert_eq!(setting.audience(&[&one, "--session", origin]), one);
    assert_eq!(setting.audience(&[&format!("{one}/items"), "--no-login"]), one);
    let two = format!("{origin}/two");
    assert_eq!(setting.run(&["call", &two, "--no-login"]).0, Some(1));
    assert_eq!(setting.audience(&[&two]), two);
    assert_eq!(setting.audience(&[&one, "--no-login"]), one, "it was not replaced");
}

#[test]
fn another_origin_gets_the_token_only_if_it_is_named() {
    let setting = setting();
    let one = format!("{}/one", setting.origins[0]);
    let elsewhere = format!("{}/one", setting.origins[1]);
    setting.audience(&[&one]);
    let call = |more: &[&str]| setting.run(&[&["call", &elsewhere, "--session", &one, "--no-login"], more].concat());
    let (code, _, told) = call(&[]);
    assert!(code == Some(2) && told.contains("--also-origin") && !told.contains("also_origin"), "{told}");
    let (code, _, told) = call(&["--also-origin", &elsewhere]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("not an origin"), "{told}");
    let origin = format!("{}/", setting.origins[1]);
    assert_eq!(call(&["--also-origin", &origin]).1, one);
}

#[test]
fn a_token_that_is_refused_after_a_login_is_said_to_be() {
    let setting = setting();
    for _ in 0..2 {
        let (code, _, told) = setting.run(&["call", &format!("{}/stern", setting.origins[0])]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("the API answered 401") && told.contains("not trusted here"), "{told}");
        assert!(told.contains("another would not help") && !told.contains("run the command again"), "{told}");
        assert!(told.contains("keybound reasons issuer_mismatch"), "{told}");
    }
}
