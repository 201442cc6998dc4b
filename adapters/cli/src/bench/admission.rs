//! T14: a whole admission at a resource server, against the bare signature of the proof.

use std::cell::RefCell;
use std::sync::Arc;

use keybound::base64url::encode;
use keybound::jose::jwk::PublicJwk;
use keybound::key::soft::SoftKey;
use keybound::key::{Signer, SigningInput};
use keybound::replay::memory::MemoryStore;
use keybound::server::resource::{IncomingRequest, Principal, ResourcePolicy, ResourceServer};
use keybound::server::{Consumption, JwkSet, KeySource};
use keybound::{Algorithm, Crypto, Policy, ProofBuilder, TargetUri, UnixTime, Verifier};
use keybound_aws_lc::AWS_LC;

use super::measure::{Candidate, micros, time};
use super::proofs::{METHOD, NOW, URL};
use super::{BenchError, Figure, Reading};

const ISSUER: &str = "https://as.example.com";
const AUDIENCE: &str = "https://api.example.com/";
const KEYS: usize = 64;
const PROOFS: usize = 1024;

/// A resource server that knows its issuer's key and has its replay store in memory, and requests that it admits: 64 keys with an
/// ES256 access token each, and 1,024 distinct proofs.
pub struct Admissions {
    server: RefCell<ResourceServer>,
    target: TargetUri,
    policy: ResourcePolicy,
    crypto: Crypto,
    requests: Vec<Sent>,
}

/// The fields of one request.
struct Sent {
    authorization: String,
    proof: String,
}

impl Admissions {
    /// Keys, tokens and proofs, made and judged with `crypto`.
    ///
    /// # Errors
    /// [`BenchError`] if one of them cannot be made.
    pub fn new(crypto: &Crypto) -> Result<Self, BenchError> {
        let key = || SoftKey::generate(Algorithm::Es256, crypto).map_err(|error| ("no key", error));
        let issuer = key()?;
        let keys: Vec<SoftKey> = (0..KEYS).map(|_| key()).collect::<Result<_, _>>()?;
        let tokens: Vec<String> =
            keys.iter().map(|key| token(&issuer, key.public_key(), crypto)).collect::<Result<_, _>>()?;
        let requests = (0..PROOFS).map(|index| {
            let (key, token) = (&keys[index % KEYS], &tokens[index % KEYS]);
            let proof = ProofBuilder::new(METHOD, URL).access_token(token).sign(crypto, key, NOW);
            let proof = proof.map_err(|error| ("no proof", error))?.into_string();
            Ok(Sent { authorization: format!("DPoP {token}"), proof })
        });
        let requests = requests.collect::<Result<_, BenchError>>()?;
        let keys = KeySource::Given(JwkSet::default().with_key(Some("1"), issuer.public_key().clone()));
        let policy = ResourcePolicy::new(AUDIENCE).and_then(|policy| policy.with_issuer_keys(ISSUER, keys));
        let policy = policy.map_err(|error| ("no policy", error))?;
        Ok(Self {
            server: RefCell::new(server(&policy, crypto)?),
            target: TargetUri::parse(URL).map_err(|error| ("no target", error))?,
            policy,
            crypto: *crypto,
            requests,
        })
    }

    /// Forgets the used proofs, so that the next 1,024 are new again.
    ///
    /// # Errors
    /// [`BenchError`] if there is no new store.
    pub fn start_over(&self) -> Result<(), BenchError> {
        *self.server.borrow_mut() = server(&self.policy, &self.crypto)?;
        Ok(())
    }

    /// Admits request `index`: from the fields to the principal. Each of the first 1,024 is new.
    ///
    /// # Errors
    /// [`BenchError`] with the refusal.
    pub fn admit(&self, index: usize) -> Result<Box<Principal>, BenchError> {
        let Sent { authorization, proof } = &self.requests[index % PROOFS];
        let fields = [
            ("Host", b"api.example.com".as_slice()),
            ("Authorization", authorization.as_bytes()),
            ("DPoP", proof.as_bytes()),
        ];
        let request = IncomingRequest::new(METHOD, &self.target, &fields);
        let step = self.server.borrow().admit(&request, NOW).map_err(|error| ("interrupted", error))?;
        match step.finished() {
            Some(admission) => admission.map_err(|refusal| ("refused", refusal).into()),
            None => Err(("not at once", "a step").into()),
        }
    }
}

/// A server with an empty store.
fn server(policy: &ResourcePolicy, crypto: &Crypto) -> Result<ResourceServer, BenchError> {
    let verifier = Verifier::new(Policy::default(), crypto);
    // Made long before, so that its floor is out of the way.
    let made = UnixTime::from_secs(NOW.secs() - 3600);
    let store = MemoryStore::new(2 * PROOFS, verifier.replay_agreement(), crypto.random, made);
    let store = store.map_err(|error| ("no store", error))?;
    let server = ResourceServer::new(policy.clone(), verifier, Consumption::local(Arc::new(store)));
    server.map_err(|error| ("no server", error).into())
}

/// An access token (RFC 9068) of some 600 characters, bound to `key`.
fn token(issuer: &SoftKey, key: &PublicJwk, crypto: &Crypto) -> Result<String, BenchError> {
    let header = r#"{"typ":"at+jwt","alg":"ES256","kid":"1"}"#;
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"5ba552d67","client_id":"s6BhdRkqt3","jti":"{}","iat":{},"exp":{},"scope":"transfers.read transfers.write accounts.read","auth_time":{},"acr":"urn:example:loa:2","cnf":{{"jkt":"{}"}}}}"#,
        key.thumbprint(crypto.digest),
        NOW.secs() - 60,
        NOW.secs() + 300,
        NOW.secs() - 90,
        key.thumbprint(crypto.digest)
    );
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    let input = SigningInput::new(Algorithm::Es256, signed.as_bytes(), crypto.digest);
    let signature = issuer.sign(&input).map_err(|error| ("no token", error))?;
    Ok(format!("{signed}.{}", encode(signature.as_bytes())))
}

pub(super) fn admission() -> Result<Figure, BenchError> {
    use super::proofs::Bench;
    use super::verification::{must, raw_verify};

    let (bench, admissions) = (Bench::new()?, Admissions::new(&AWS_LC)?);
    let timings = time(&mut [
        Candidate::new(|index| raw_verify(&bench, index)),
        Candidate::new(|index| {
            if index % PROOFS == 0 {
                must(admissions.start_over());
            }
            drop(std::hint::black_box(must(admissions.admit(index))));
        }),
    ]);
    Ok(Figure {
        id: "T14",
        title: "a whole admission, ES256 access token seen before, new proof / raw aws-lc-rs verification from the key's bytes",
        readings: vec![Reading {
            name: "",
            value: timings[1].ratio_to(timings[0]),
            target: 2.27,
            note: micros(timings[1], timings[0]),
        }],
    })
}
