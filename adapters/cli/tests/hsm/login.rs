//! Logins at level Maximum, whose keys are in hardware, one for each intent.

use keybound::intent::request_detail;
use keybound::json::Value;
use keybound::key::KeyProtection;
use keybound::oauth::host::KeyHost;
use keybound::oauth::{Client as OAuth, Session, SessionRequest};
use keybound::{RUSTCRYPTO, SecurityLevel, Thumbprint};
use keybound_cli::serve::{Options, Running, start};
use keybound_pkcs11::Pkcs11Keys;
use keybound_reqwest::{Client, Files, Split};
use reqwest::Method;
use reqwest::header::LOCATION;

use crate::place::{Place, story};

const BODY: &str = r#"{"to":"bob","eur":"10.00"}"#;

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future);
}

/// A session at level Maximum for one payment, with its key in the token.
async fn agreed(place: &Place, keys: Pkcs11Keys, running: &Running) -> (Client, Session, String) {
    let sessions = Files::open(place.folder().join("sessions")).unwrap();
    let oauth = OAuth::builder(SecurityLevel::Maximum, &RUSTCRYPTO)
        .redirect_uri("http://127.0.0.1/callback")
        .register(Value::object().with("client_name", "Payments"))
        .allow_loopback()
        .build()
        .unwrap();
    let client = Client::new(oauth, Split { keys, sessions }).unwrap();
    let url = format!("{}/intent", running.resource);
    let detail = request_detail("POST", &url, Some(BODY.as_bytes()), RUSTCRYPTO.digest);
    let found = client.discover(&running.resource).await.unwrap();
    let request = SessionRequest::new("payment", &found).intent(Value::from(vec![detail]));
    let authorization = client.authorize(request).await.unwrap();
    let page = client.request(Method::GET, &authorization.url).send().await.unwrap();
    let callback = page.headers()[LOCATION].to_str().unwrap().to_owned();
    (client.clone(), client.exchange(&callback).await.unwrap(), url)
}

fn held(keys: &Pkcs11Keys) -> Vec<Thumbprint> {
    KeyHost::keys(keys).unwrap().into_iter().map(|key| key.thumbprint).collect()
}

#[test]
fn login_at_maximum_with_keybound_serve() {
    story(module_path!(), "login_at_maximum_with_keybound_serve", |place| {
        run(async {
            let running = start(Options::default()).await.unwrap();
            let keys = place.keys();
            let (client, session, url) = agreed(place, keys.clone(), &running).await;
            assert_eq!(session.level(), SecurityLevel::Maximum);
            assert_eq!(held(&keys), [session.thumbprint().unwrap()]);
            let key = KeyHost::signer(&keys, session.thumbprint().unwrap()).unwrap();
            assert_eq!(key.protection(), KeyProtection::Hsm);
            // The token may be away for a moment: the session outlives that.
            place.take_away();
            let answer = client.call(&session, client.request(Method::POST, &url).body(BODY)).await;
            assert!(answer.is_err());
            place.bring_back();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let answer = client.call(&session, client.request(Method::POST, &url).body(BODY)).await.unwrap();
            assert_eq!(answer.status(), 200);
        });
    });
}

#[test]
fn an_intents_key_is_gone_afterwards() {
    story(module_path!(), "an_intents_key_is_gone_afterwards", |place| {
        run(async {
            let running = start(Options::default()).await.unwrap();
            let keys = place.keys();
            let (client, session, url) = agreed(place, keys.clone(), &running).await;
            assert_eq!(held(&keys).len(), 1);
            let answer = client.call(&session, client.request(Method::POST, &url).body(BODY)).await.unwrap();
            assert_eq!(answer.status(), 200);
            client.end(&session).await.unwrap();
            assert!(held(&keys).is_empty());
            let objects = place.pkcs11_tool(&["--list-objects"]);
            assert_eq!(objects.matches("Object").count(), 0, "{objects}");
        });
    });
}
