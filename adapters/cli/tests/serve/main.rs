//! `keybound serve` as clients meet it: bytes over a socket in, status, fields and body out.

mod api;
mod clients;
mod faults;
mod login;
mod proofs;
mod requests;
mod tokens;
mod wire;

use keybound::key::{Signer as _, soft::SoftKey};
use keybound::oauth::Secret;
use keybound::{Algorithm, ProofBuilder, RUSTCRYPTO, UnixTime, base64url};
use keybound_cli::serve::{ClientSecret, Faults, Options, Running, start};
use tokio::runtime::Runtime;

use wire::{Received, encode};

const SECRET: &str = "a secret: with & signs";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:5000/callback";

/// A running server.
struct Server {
    running: Option<Running>,
    runtime: Runtime,
    issuer: String,
    resource: String,
}

impl Server {
    /// With nonces, as by default.
    fn start() -> Self {
        Self::with(Options::default())
    }

    fn without_nonces() -> Self {
        Self::with(Options { nonces: false, ..Options::default() })
    }

    fn with(options: Options) -> Self {
        let clients = vec![ClientSecret { client_id: "service".into(), secret: Secret::new(SECRET) }];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let running = runtime.block_on(start(Options { clients, ..options })).unwrap();
        let (issuer, resource) = (running.issuer.clone(), running.resource.clone());
        Self { running: Some(running), runtime, issuer, resource }
    }

    fn set_faults(&self, names: &[&str]) {
        let mut faults = Faults::default();
        names.iter().for_each(|name| faults.add(name).unwrap());
        self.running.as_ref().unwrap().set_faults(faults);
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    fn get(&self, path: &str, fields: &[(&str, &str)]) -> Received {
        wire::send(&self.issuer, "GET", path, fields, b"")
    }

    /// A form, with these proofs.
    fn post(&self, path: &str, form: &[(&str, &str)], proofs: &[String]) -> Received {
        self.post_with(path, form, proofs, &[])
    }

    fn post_with(&self, path: &str, form: &[(&str, &str)], proofs: &[String], more: &[(&str, &str)]) -> Received {
        let mut fields = vec![("Content-Type", "application/x-www-form-urlencoded")];
        fields.extend(proofs.iter().map(|proof| ("DPoP", proof.as_str())));
        fields.extend(more);
        wire::send(&self.issuer, "POST", path, &fields, encode(form).as_bytes())
    }

    /// A form of one of the server's own pages.
    fn post_here(&self, path: &str, form: &[(&str, &str)]) -> Received {
        self.post_with(path, form, &[], &[("Origin", &self.issuer)])
    }

    fn register(&self, metadata: &str) -> Received {
        wire::send(&self.issuer, "POST", "/register", &[("Content-Type", "application/json")], metadata.as_bytes())
    }

    /// A form with a proof by `key`, sent again with the nonce if the server asks for one.
    fn prove(&self, key: &SoftKey, path: &str, form: &[(&str, &str)]) -> Received {
        self.prove_with(key, path, form, &[])
    }

    fn prove_with(&self, key: &SoftKey, path: &str, form: &[(&str, &str)], more: &[(&str, &str)]) -> Received {
        let answer = self.post_with(path, form, &[proof(key, "POST", &self.url(path), None, None)], more);
        if answer.error() != Some("use_dpop_nonce") {
            return answer;
        }
        let nonce = answer.field("DPoP-Nonce").expect("a nonce").to_owned();
        self.post_with(path, form, &[proof(key, "POST", &self.url(path), Some(&nonce), None)], more)
    }

    /// A call of the API with a bound token.
    fn call(&self, key: &SoftKey, method: &str, path: &str, token: &str, body: &[u8]) -> Received {
        let authorization = format!("DPoP {token}");
        let send = |nonce: Option<&str>| {
            let proof = proof(key, method, &self.url(path), nonce, Some(token));
            let fields = [("Authorization", authorization.as_str()), ("DPoP", proof.as_str())];
            wire::send(&self.issuer, method, path, &fields, body)
        };
        let answer = send(None);
        match answer.field("DPoP-Nonce").filter(|_| answer.status == 401) {
            Some(nonce) => send(Some(nonce)),
            None => answer,
        }
    }

    /// The answer to an authorization request of the demo client with these parameters besides the usual ones.
    fn authorize(&self, more: &[(&str, &str)]) -> Received {
        let challenge = challenge();
        let mut form = vec![
            ("response_type", "code"),
            ("client_id", "keybound-demo"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("state", "some state"),
        ];
        for (name, value) in more {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        self.get(&format!("/authorize?{}", encode(&form)), &[])
    }

    fn code(&self, more: &[(&str, &str)]) -> String {
        self.authorize(more).returned("code").expect("a code")
    }

    /// A token request of the demo client for this code.
    fn redeem<'a>(&self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", "keybound-demo"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]
    }

    /// The demo client's tokens, bound to `key`.
    fn login(&self, key: &SoftKey, scope: &str) -> Received {
        let code = self.code(&[("scope", scope)]);
        let answer = self.prove(key, "/token", &self.redeem(&code));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// A token of the confidential client in its own name.
    fn own_token(&self, key: &SoftKey) -> String {
        let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", SECRET)];
        self.prove(key, "/token", &form).text("access_token")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

fn key() -> SoftKey {
    SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap()
}

fn jkt(key: &SoftKey) -> String {
    key.public_key().thumbprint(RUSTCRYPTO.digest).to_string()
}

fn challenge() -> String {
    base64url::encode(&RUSTCRYPTO.digest.sha256(&[VERIFIER.as_bytes()]))
}

fn proof(key: &SoftKey, method: &str, url: &str, nonce: Option<&str>, token: Option<&str>) -> String {
    let mut builder = ProofBuilder::new(method, url);
    if let Some(nonce) = nonce {
        builder = builder.nonce(nonce);
    }
    if let Some(token) = token {
        builder = builder.access_token(token);
    }
    builder.sign(&RUSTCRYPTO, key, UnixTime::now()).unwrap().into_string()
}

/// Any JWT, signed by `key`.
fn jwt(key: &SoftKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
    let input = keybound::key::SigningInput::new(key.algorithm(), message.as_bytes(), RUSTCRYPTO.digest);
    let signature = key.sign(&input).unwrap();
    format!("{message}.{}", base64url::encode(signature.as_bytes()))
}
