//! Presenting the proof of an entry to a verifier set up as the entry asks.

use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::memory::MemoryStore;
use keybound::verify::policy::Policy;
use keybound::{
    Algorithm, AlgorithmSet, Context, Crypto, Misuse, Presentation, Rejection, TargetUri, Thumbprint, UnixTime,
    Verifier, VerifyError, base64url,
};
use serde_json::{Map, Value};

use super::{Settings, number, segment_of, text};

/// What became of a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Presented {
    Accepted,
    Refused(Rejection),
    /// The entry is none, or the store failed.
    Undecided(&'static str),
}

/// Room for two proofs of one key, which may hold only a share of a store.
const STORE_CAPACITY: usize = 1024;
/// How long a store has existed if the entry does not say: longer than any window.
const STORE_AGE: u64 = 3600;

/// Presents the entry's proof. What an entry leaves out is taken from the proof itself, since that is not what it tests.
pub(super) fn present(entry: &Map<String, Value>, crypto: &Crypto, settings: &Settings) -> Presented {
    let policy = match policy(entry, settings) {
        Ok(Some(policy)) => policy,
        Ok(None) => return Presented::Refused(Rejection::AlgNotPermitted),
        Err(_) => return Presented::Undecided("max_age or max_ahead is outside the bounds of a policy"),
    };
    let crypto = if flag(entry, "without_verifiers") { &Crypto { verifiers: &[], ..*crypto } } else { crypto };
    let mut verifier = Verifier::new(policy, crypto);
    match entry.get("nonce_issuer").map(|issuer| nonce_issuer(issuer, crypto)) {
        None => {}
        Some(Some(issuer)) => verifier = verifier.with_nonces(issuer),
        Some(None) => return Presented::Undecided("nonce_issuer needs secret (32 bytes), key_id and namespace"),
    }

    let fields: Vec<&[u8]> = match entry.get("proof") {
        Some(Value::String(proof)) => vec![proof.as_bytes()],
        Some(Value::Array(proofs)) => proofs.iter().filter_map(Value::as_str).map(str::as_bytes).collect(),
        _ => Vec::new(),
    };
    let claims = fields.first().and_then(|proof| segment_of(proof, 1)).unwrap_or_default();
    let Ok(target) = TargetUri::parse(text(entry, "url").or(text(&claims, "htu")).unwrap_or_default()) else {
        return Presented::Refused(Rejection::TargetMalformed);
    };
    let request = Request {
        verifier: &verifier,
        method: text(entry, "method").or(text(&claims, "htm")).unwrap_or("GET"),
        target: &target,
        now: number(entry, "now").or(number(&claims, "iat")).map_or_else(UnixTime::now, UnixTime::from_secs),
        access_token: text(entry, "access_token"),
        nonce: text(entry, "nonce"),
    };

    let used_before = match entry.get("already_used") {
        Some(Value::Bool(true)) => Some(fields.clone()),
        Some(Value::String(other)) => Some(vec![other.as_bytes()]),
        _ => None,
    };
    let floor = number(entry, "store_floor").map(UnixTime::from_secs);
    if used_before.is_none() && floor.is_none() {
        return request.check(&fields, text(entry, "jkt"));
    }
    let floor = floor.unwrap_or(request.now.saturating_sub(STORE_AGE));
    let Ok(store) = MemoryStore::new(STORE_CAPACITY, verifier.replay_agreement(), crypto.random, floor) else {
        return Presented::Undecided("no randomness for a store");
    };
    if let Some(used_before) = used_before {
        // What became of this one does not count, only what it leaves behind.
        let _ = request.verify(&used_before, None, &store);
    }
    request.verify(&fields, text(entry, "jkt"), &store)
}

/// A request and who judges it, but for its proof.
struct Request<'a> {
    verifier: &'a Verifier,
    method: &'a str,
    target: &'a TargetUri,
    now: UnixTime,
    access_token: Option<&'a str>,
    nonce: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Every check but replay.
    fn check(&self, fields: &[&[u8]], jkt: Option<&str>) -> Presented {
        match self.verifier.check(&self.presentation(fields, jkt), self.now) {
            Ok(_) => Presented::Accepted,
            Err(rejection) => Presented::Refused(rejection),
        }
    }

    /// Every check; the proof is used up in `store`.
    fn verify(&self, fields: &[&[u8]], jkt: Option<&str>, store: &MemoryStore) -> Presented {
        match self.verifier.verify(&self.presentation(fields, jkt), self.now, store) {
            Ok(_) => Presented::Accepted,
            Err(VerifyError::Rejected(rejection)) => Presented::Refused(rejection),
            Err(_) => Presented::Undecided("the store could not decide"),
        }
    }

    /// The presentation of `fields`, bound to `jkt` or, without it, to the proof's own key.
    fn presentation<'f>(&self, fields: &'f [&'f [u8]], jkt: Option<&str>) -> Presentation<'f>
    where
        'a: 'f,
    {
        let unbound = Presentation::new(self.method, self.target, fields, Context::TokenEndpoint { dpop_jkt: None });
        let nobody = Thumbprint::from_bytes([0; 32]);
        let bound_to = match jkt {
            // A text that is not a thumbprint is that of no key.
            Some(jkt) => Some(Thumbprint::parse(jkt).unwrap_or(nobody)),
            None => self.verifier.claimed_thumbprint(&unbound),
        };
        let context = match self.access_token {
            Some(access_token) => Context::Resource { access_token, bound_to: bound_to.unwrap_or(nobody) },
            None => Context::TokenEndpoint { dpop_jkt: bound_to },
        };
        Presentation { context, nonce: self.nonce, ..unbound }
    }
}

/// The policy for this entry; none if it leaves no algorithm.
fn policy(entry: &Map<String, Value>, settings: &Settings) -> Result<Option<Policy>, Misuse> {
    let mut algorithms = settings.algorithms;
    if let Some(names) = entry.get("allowed_algs").and_then(Value::as_array) {
        let named: AlgorithmSet = names.iter().filter_map(Value::as_str).filter_map(Algorithm::from_name).collect();
        algorithms = algorithms.iter().filter(|algorithm| named.contains(*algorithm)).collect();
    }
    if algorithms.is_empty() {
        return Ok(None);
    }
    let seconds = |name: &str, otherwise| entry.get(name).and_then(Value::as_u64).unwrap_or(otherwise);
    let policy = Policy::default()
        .with_max_age(seconds("max_age", settings.max_age))?
        .with_max_ahead(seconds("max_ahead", settings.max_ahead))?
        .with_algorithms(algorithms)?;
    Ok(Some(if flag(entry, "bare_htu") { policy.requiring_bare_htu() } else { policy }))
}

fn nonce_issuer(settings: &Value, crypto: &Crypto) -> Option<NonceIssuer> {
    let settings = settings.as_object()?;
    let secret = base64url::decode(text(settings, "secret")?.as_bytes()).ok()?;
    let id = u8::try_from(number(settings, "key_id")?).ok()?;
    let key = NonceKey::from_secret(id, secret.try_into().ok()?).ok()?;
    Some(NonceIssuer::new(crypto.mac, NonceKeys::new(key), text(settings, "namespace")?))
}

fn flag(entry: &Map<String, Value>, name: &str) -> bool {
    entry.get(name).and_then(Value::as_bool).unwrap_or(false)
}
