//! What the boundary itself promises: no secrets in texts, misfits that change nothing, and errors with their kind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests stand outside of test functions"
)]

use std::sync::Arc;

use keybound_uniffi::*;

const NOW: i64 = 1_700_000_000;

fn client() -> CoreClient {
    CoreClient::new(options(SecurityLevel::Enhanced)).unwrap()
}

fn options(level: SecurityLevel) -> ClientOptions {
    ClientOptions {
        level,
        redirect_uri: None,
        credentials: Vec::new(),
        metadata_document: None,
        register: None,
        accept_issuers: Vec::new(),
        entra_tenant: None,
        servers: Vec::new(),
        also_origins: Vec::new(),
        algorithms: None,
        hardware_keys: false,
        allow_loopback: false,
        push_with_proof: false,
        danger_assume_pkce: false,
        danger_assume_endpoints: false,
        danger_accept_bearer: false,
    }
}

fn presented(key: &Key, proof: &str) -> PresentedProof {
    let (method, url) = ("GET".to_owned(), "https://api.example.com/items".to_owned());
    PresentedProof::at_resource(method, url, vec![proof.into()], "token".into(), key.thumbprint(), None)
}

#[test]
fn a_proof_is_made_judged_and_refused_as_a_replay() {
    let key = Arc::new(Key::generate("ES256").unwrap());
    let made = proof("GET", "https://api.example.com/items", &key, Some("token".into()), None, Some(NOW)).unwrap();
    let store = Arc::new(MemoryReplayStore::new(VerifierOptions::default(), 100, Some(NOW - 3600), 64, false).unwrap());
    let verifier = Verifier::new(VerifierOptions::default(), Some(store.clone())).unwrap();
    let shown = presented(&key, &made);
    assert_eq!(verifier.verify(&shown, &store, Some(NOW)).unwrap().thumbprint, key.thumbprint());
    let error = verifier.verify(&shown, &store, Some(NOW)).unwrap_err();
    let KeyboundError::Rejected { fault } = error else { panic!("{error:?}") };
    assert_eq!((fault.reason.as_str(), fault.status), ("replayed", Some(401)));
    assert_eq!(fault.refusal.unwrap().status, 401);
}

#[test]
fn what_can_be_used_once_says_so() {
    let key = Arc::new(Key::generate("ES256").unwrap());
    let made = proof("GET", "https://api.example.com/items", &key, Some("token".into()), None, Some(NOW)).unwrap();
    let verifier = Verifier::new(VerifierOptions::default(), None).unwrap();
    let pending = verifier.check(&presented(&key, &made), Some(NOW)).unwrap();
    assert_eq!(pending.entry().lifetime(Some(NOW)), pending.entry().keep_until() - NOW + 1);
    assert!(pending.settle(Insertion::Fresh, Some(NOW)).is_ok());
    let error = pending.settle(Insertion::Fresh, Some(NOW)).unwrap_err();
    assert!(matches!(error, KeyboundError::Misuse { ref fault } if fault.reason == "already_used"));
}

#[test]
fn a_reply_that_does_not_fit_leaves_the_flow_as_it_is() {
    let operation = CoreOperation::DiscoverIssuer { issuer: "https://as.example.com".into() };
    let flow = client().begin(&operation, Some(NOW)).unwrap();
    let Step::Fetch { request } = flow.step().unwrap() else { panic!("a request") };
    assert!(request.url.starts_with("https://as.example.com/.well-known/"));
    for wrong in [Reply::Completed, Reply::Saved { stored: true }, Reply::KeyMissing] {
        let error = flow.resume(wrong, Some(NOW)).unwrap_err();
        assert!(matches!(error, KeyboundError::Misuse { ref fault } if fault.reason == "reply_mismatch"), "{error:?}");
    }
    let response = HttpResponse { status: 70_000, headers: Vec::new(), body: Vec::new() };
    assert!(matches!(flow.resume(Reply::Answered { response }, Some(NOW)), Err(KeyboundError::Misuse { .. })));
    assert!(matches!(flow.step().unwrap(), Step::Fetch { .. }));
    // Metadata is asked for again, after a while.
    let wait = flow.resume(Reply::Failed { detail: "no network".into() }, Some(NOW)).unwrap();
    assert!(matches!(wait, Step::Wait { milliseconds: 1.. }), "{wait:?}");
    assert!(matches!(flow.resume(Reply::Completed, Some(NOW)).unwrap(), Step::Fetch { .. }));
}

#[test]
fn an_error_says_whether_a_login_helps() {
    let flow = client().begin(&CoreOperation::Open { name: "work".into(), bound_to: None }, Some(NOW)).unwrap();
    assert!(matches!(flow.step().unwrap(), Step::Load { ref slot } if slot == "session/work"));
    let error = flow.resume(Reply::Loaded { value: None }, Some(NOW)).unwrap_err();
    assert!(matches!(error, KeyboundError::LoginRequired { ref fault } if fault.reason == "no_session"), "{error:?}");
    assert!(matches!(flow.step(), Err(KeyboundError::Misuse { .. })), "a flow that failed is over");
}

#[test]
fn numbers_below_zero_and_texts_that_are_no_json_are_misuse() {
    let odd = VerifierOptions { max_age: Some(-1), ..VerifierOptions::default() };
    assert!(matches!(Verifier::new(odd, None), Err(KeyboundError::Misuse { .. })));
    let odd = ClientOptions { register: Some("{".into()), ..options(SecurityLevel::Enhanced) };
    assert!(matches!(CoreClient::new(odd), Err(KeyboundError::Misuse { ref fault }) if fault.reason == "not_json"));
    let client = Credentials {
        issuer: "https://as.example.com".into(),
        client_id: "app".into(),
        method: Some("private_key_jwt".into()),
        secret: None,
        public_jwk: Some("{".into()),
        algorithm: Some("ES256".into()),
        key_id: None,
    };
    for (odd, reason) in [
        (Credentials { public_jwk: None, ..client.clone() }, "missing_option"),
        (Credentials { method: None, ..client.clone() }, "missing_option"),
        (Credentials { method: Some("other".into()), ..client.clone() }, "unknown_value"),
        (client, "key_unusable"),
    ] {
        let odd = ClientOptions { credentials: vec![odd], ..options(SecurityLevel::Enhanced) };
        assert!(matches!(CoreClient::new(odd), Err(KeyboundError::Misuse { ref fault }) if fault.reason == reason));
    }
    let odd = RefusedResponse { status: -1, headers: Vec::new(), body: Vec::new(), now: None, proof_issued_at: None };
    assert!(matches!(explain_response(odd), Err(KeyboundError::Misuse { .. })));
}

#[test]
fn texts_for_people_hold_no_secrets() {
    const SECRET: &str = "s3cr3t";
    let header = || vec![Header { name: "authorization".into(), value: SECRET.into() }];
    let key = Key::generate("ES256").unwrap();
    let stored = || StoredValue { version: 1, value: SECRET.into() };
    let texts = [
        presented(&key, SECRET).to_string(),
        NonceKey { id: 1, secret: SECRET.into() }.to_string(),
        stored().to_string(),
        Reply::Loaded { value: Some(stored()) }.to_string(),
        Step::Save { slot: SECRET.into(), expected: None, version: 1, value: Some(SECRET.into()) }.to_string(),
        HttpResponse { status: 200, headers: header(), body: SECRET.into() }.to_string(),
        IssuedToken { token: SECRET.into(), token_type: "x".into(), expires_at: None }.to_string(),
        CoreOperation::Exchange { callback: SECRET.into() }.to_string(),
        CallRequest { method: "GET".into(), url: "u".into(), headers: header(), body: CallBody::Empty }.to_string(),
        header().remove(0).to_string(),
        RefusedResponse { status: 401, headers: header(), body: SECRET.into(), now: None, proof_issued_at: None }
            .to_string(),
        Authorization { url: SECRET.into(), state: SECRET.into(), expires_at: NOW, pushed: true }.to_string(),
        DevicePrompt {
            user_code: SECRET.into(),
            verification_uri: "https://as.example.com/device".into(),
            verification_uri_complete: Some(SECRET.into()),
            expires_at: NOW,
        }
        .to_string(),
    ];
    assert!(texts.iter().all(|text| !text.contains(SECRET)), "{texts:?}");
}

#[test]
fn texts_for_people_name_members_as_both_languages_do_and_leave_out_what_is_not_set() {
    let key = Key::generate("ES256").unwrap();
    let shown = |bound_to| {
        let (method, url) = ("GET".to_owned(), "https://a.example/\"".to_owned());
        PresentedProof::at_authorization_server(method, url, vec!["token".into()], bound_to, None).to_string()
    };
    let expected =
        format!("PresentedProof(method: \"GET\", url: \"https://a.example/\\\"\", boundTo: \"{}\")", key.thumbprint());
    assert_eq!(shown(Some(key.thumbprint())), expected);
    assert_eq!(shown(None), "PresentedProof(method: \"GET\", url: \"https://a.example/\\\"\")");
    let call = CallRequest { method: "GET".into(), url: "u".into(), headers: Vec::new(), body: CallBody::OneShot };
    assert_eq!(call.to_string(), "CallRequest(method: \"GET\", url: \"u\", body: OneShot)");
    assert_eq!(key.to_string(), format!("Key(algorithm: \"ES256\", thumbprint: \"{}\")", key.thumbprint()));
}

#[cfg(unix)]
#[test]
fn a_folder_for_secrets_is_no_link_and_of_this_user_alone() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    let place = std::env::temp_dir().join(format!("keybound-folder-{}", std::process::id()));
    let (own, link) = (place.join("own"), place.join("link"));
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let refused = |path: &std::path::Path| match private_folder(&text(path)).unwrap_err() {
        KeyboundError::Misuse { fault } => fault.detail,
        error => panic!("{error:?}"),
    };
    private_folder(&text(&own)).unwrap();
    private_folder(&text(&own)).unwrap();
    assert_eq!(own.metadata().unwrap().mode() & 0o777, 0o700);
    symlink(&own, &link).unwrap();
    assert!(refused(&link).contains("is a link"));
    assert!(refused(&link.join("")).contains("is a link"), "with a slash behind it too");
    let lock = own.join("lock");
    symlink(place.join("elsewhere"), &lock).unwrap();
    assert!(matches!(try_lock_file(&text(&lock)), Err(KeyboundError::Host { .. })));
    assert!(!place.join("elsewhere").exists(), "nothing is made where a link points to");
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o750)).unwrap();
    assert!(refused(&own).contains("chmod 700"));
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700)).unwrap();
    // Root alone can give a folder away.
    if chown(&own, Some(4_242), None).is_ok() {
        assert!(refused(&own).contains("belongs to user 4242"), "{}", refused(&own));
    }
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_lock_on_a_file_is_had_by_one() {
    let path = std::env::temp_dir().join(format!("keybound-lock-{}", std::process::id()));
    let path = path.to_str().unwrap();
    let held = try_lock_file(path).unwrap().unwrap();
    assert!(try_lock_file(path).unwrap().is_none());
    held.release();
    held.release();
    assert!(try_lock_file(path).unwrap().is_some());
    std::fs::remove_file(path).unwrap();
    assert!(matches!(try_lock_file("/nowhere/at/all"), Err(KeyboundError::Host { .. })));
}
