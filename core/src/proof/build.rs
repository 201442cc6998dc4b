//! Making proofs (RFC 9449 section 4.2).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::claims::PROOF_CLAIMS;
use super::{MAX_JTI_LEN, MAX_PROOF_LEN, Proof, TYP};
use crate::base64url;
use crate::crypto::{Crypto, Digest};
use crate::http::uri;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::PublicJwk;
use crate::jose::signature::Signature;
use crate::json;
use crate::key::checked::verify_own;
use crate::key::{Signer, SignerError, SigningInput};
use crate::{Misuse, UnixTime};

/// Collects what a proof says, for one request.
///
/// A proof is good for one request: build a new one for each, retries and redirects included.
///
/// ```
/// # #[cfg(all(feature = "std", feature = "rustcrypto"))] {
/// use keybound::{Algorithm, ProofBuilder, RUSTCRYPTO, UnixTime, key::soft::SoftKey};
/// let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
/// let proof = ProofBuilder::new("GET", "https://api.example.com/items?page=2")
///     .access_token("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")
///     .sign(&RUSTCRYPTO, &key, UnixTime::now())
///     .unwrap();
/// assert!(proof.as_str().starts_with("eyJ0eXAiOiJkcG9wK2p3dCIs"));
/// # }
/// ```
#[derive(Clone)]
pub struct ProofBuilder<'a> {
    method: &'a str,
    target: &'a str,
    access_token: Option<&'a str>,
    nonce: Option<&'a str>,
    claims: Vec<Extra<'a>>,
    header: Vec<Extra<'a>>,
}

/// A member that the caller adds: its name, and its value as JSON.
#[derive(Clone)]
struct Extra<'a> {
    name: &'a str,
    json: Cow<'a, str>,
}

impl<'a> ProofBuilder<'a> {
    /// A proof for a request with this method and target.
    ///
    /// `target` is the absolute URL of the request; query and fragment may be there and are left out of the proof.
    pub fn new(method: &'a str, target: &'a str) -> Self {
        Self { method, target, access_token: None, nonce: None, claims: Vec::new(), header: Vec::new() }
    }

    /// The access token that goes with the request, without its scheme; its hash becomes `ath`.
    ///
    /// Leave it out for requests to the authorization server (RFC 9449 section 7).
    #[must_use]
    pub fn access_token(mut self, token: &'a str) -> Self {
        self.access_token = Some(token);
        self
    }

    /// The latest nonce this server provided in `DPoP-Nonce` (RFC 9449 sections 8 and 9).
    #[must_use]
    pub fn nonce(mut self, nonce: &'a str) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Adds a claim whose value is the text `value`. Claims of the proof itself cannot be overridden.
    #[must_use]
    pub fn claim_text(mut self, name: &'a str, value: &str) -> Self {
        let mut json = String::new();
        json::write_string(value, &mut json);
        self.claims.push(Extra { name, json: Cow::Owned(json) });
        self
    }

    /// Adds a claim whose value is given as JSON, for example `42` or `{"a":[1]}`.
    #[must_use]
    pub fn claim_json(mut self, name: &'a str, json: &'a str) -> Self {
        self.claims.push(Extra { name, json: Cow::Borrowed(json) });
        self
    }

    /// Adds a header parameter whose value is given as JSON. `typ`, `alg`, `jwk`, `crit` and `b64` cannot be given.
    #[must_use]
    pub fn header_json(mut self, name: &'a str, json: &'a str) -> Self {
        self.header.push(Extra { name, json: Cow::Borrowed(json) });
        self
    }

    /// Writes the proof up to its signature, for a signer outside this library.
    ///
    /// `key` is the public key of the signer, `jti` 1 to 512 bytes that no other proof of this key has (96 random bits or
    /// more, RFC 9449 section 4.2), `now` the server's time as well as it is known. The same arguments give the
    /// same bytes.
    ///
    /// # Errors
    /// [`Misuse`] names the argument that cannot be used.
    pub fn prepare(
        &self,
        crypto: &Crypto,
        key: &PublicJwk,
        algorithm: Algorithm,
        jti: &str,
        now: UnixTime,
    ) -> Result<UnsignedProof, Misuse> {
        if key.key_type() != algorithm.key_type() {
            return Err(Misuse::AlgorithmKey(algorithm));
        }
        let htu = uri::without_query(self.target).map_err(Misuse::Target)?;
        self.check_texts(jti, now)?;
        let mut json = String::with_capacity(self.json_capacity(key, jti));
        json.push_str("{\"typ\":\"");
        json.push_str(TYP);
        json.push_str("\",\"alg\":\"");
        json.push_str(algorithm.name());
        json.push_str("\",\"jwk\":");
        key.write_json(&mut json);
        write_extras(&self.header, &["typ", "alg", "jwk", "crit", "b64"], &mut json)?;
        json.push('}');

        let signature_len = algorithm.signature_len().or(key.rsa_modulus_len()).unwrap_or(1024);
        // The claims take at most as much room as everything together.
        let capacity = base64url::encoded_len(json.len())
            .saturating_add(base64url::encoded_len(json.capacity()))
            .saturating_add(base64url::encoded_len(signature_len))
            .saturating_add(2);
        let mut message = String::with_capacity(capacity);
        base64url::encode_into(json.as_bytes(), &mut message);
        message.push('.');

        json.clear();
        self.write_claims(crypto.digest, &htu, jti, now, &mut json)?;
        base64url::encode_into(json.as_bytes(), &mut message);
        let length = message.len().saturating_add(base64url::encoded_len(signature_len));
        if length >= MAX_PROOF_LEN {
            return Err(Misuse::ProofTooLong);
        }
        Ok(UnsignedProof { message, algorithm, key: key.clone(), digest: crypto.digest })
    }

    /// Makes the proof with `signer`, with a `jti` of 128 random bits.
    ///
    /// # Errors
    /// [`SignerError::Misuse`] for arguments that cannot be used, else what the signer says.
    pub fn sign<S: Signer + ?Sized>(&self, crypto: &Crypto, signer: &S, now: UnixTime) -> Result<Proof, SignerError> {
        let mut random = [0; 16];
        crypto.random.fill(&mut random)?;
        let jti = base64url::Short::encode(&random);
        let unsigned = self.prepare(crypto, signer.public_key(), signer.algorithm(), jti.as_str(), now)?;
        let signature = signer.sign(&unsigned.signing_input())?;
        Ok(unsigned.attach(signature)?)
    }

    fn check_texts(&self, jti: &str, now: UnixTime) -> Result<(), Misuse> {
        if !is_token(self.method) {
            return Err(Misuse::Method);
        }
        // Token68 and every other form of bearer token consist of visible ASCII (RFC 6750 section 2.1).
        if self.access_token.is_some_and(|token| token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Misuse::AccessToken);
        }
        if self.nonce.is_some_and(|nonce| crate::nonce::Nonce::check(nonce.as_bytes()).is_err()) {
            return Err(Misuse::Nonce);
        }
        if jti.is_empty() || jti.len() > MAX_JTI_LEN {
            return Err(Misuse::Jti);
        }
        if now.secs() < 0 { Err(Misuse::Time) } else { Ok(()) }
    }

    fn json_capacity(&self, key: &PublicJwk, jti: &str) -> usize {
        let texts = [self.method, self.target, jti, self.nonce.unwrap_or_default()];
        let extras = self.claims.iter().chain(&self.header);
        let lengths = texts
            .iter()
            .map(|text| text.len())
            .chain(extras.map(|extra| extra.name.len().saturating_add(extra.json.len())));
        lengths
            .fold(key.json_capacity().saturating_add(224), |sum, length| sum.saturating_add(length).saturating_add(4))
    }

    fn write_claims(
        &self,
        digest: &dyn Digest,
        htu: &str,
        jti: &str,
        now: UnixTime,
        json: &mut String,
    ) -> Result<(), Misuse> {
        json.push_str("{\"jti\":");
        json::write_string(jti, json);
        json.push_str(",\"htm\":\"");
        json.push_str(self.method);
        json.push_str("\",\"htu\":\"");
        json.push_str(htu);
        json.push_str("\",\"iat\":");
        write_number(now.secs().unsigned_abs(), json);
        if let Some(token) = self.access_token {
            json.push_str(",\"ath\":\"");
            base64url::encode_into(&digest.sha256(&[token.as_bytes()]), json);
            json.push('"');
        }
        if let Some(nonce) = self.nonce {
            json.push_str(",\"nonce\":\"");
            json.push_str(nonce);
            json.push('"');
        }
        write_extras(&self.claims, &PROOF_CLAIMS, json)?;
        json.push('}');
        Ok(())
    }
}

impl fmt::Debug for ProofBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofBuilder")
            .field("method", &self.method)
            .field("access_token", &self.access_token.map(|_| "redacted"))
            .finish_non_exhaustive()
    }
}

/// So many values a header or a set of claims may hold besides what the caller adds, the members of the key counted.
const OWN_VALUES: usize = 16;

fn write_extras(extras: &[Extra<'_>], reserved: &[&str], json: &mut String) -> Result<(), Misuse> {
    if extras.len().saturating_add(reserved.len()) > json::MAX_MEMBERS {
        return Err(Misuse::TooManyMembers);
    }
    let mut values = OWN_VALUES;
    for (position, extra) in extras.iter().enumerate() {
        if reserved.contains(&extra.name) {
            return Err(Misuse::ReservedName);
        }
        if extras.iter().take(position).any(|earlier| earlier.name == extra.name) {
            return Err(Misuse::DuplicateName);
        }
        values = values.saturating_add(json::check_value(&extra.json).map_err(|_| Misuse::Json)?);
        // The verifier counts them in all, and would refuse the proof.
        if values > json::MAX_VALUES {
            return Err(Misuse::TooManyMembers);
        }
        json.push(',');
        json::write_string(extra.name, json);
        json.push(':');
        json.push_str(&extra.json);
    }
    Ok(())
}

fn write_number(number: u64, json: &mut String) {
    let mut digits = [b'0'; 20];
    let mut rest = number;
    let mut length = 0_usize;
    for slot in digits.iter_mut().rev() {
        let [digit, ..] = (rest % 10).to_le_bytes();
        *slot = b'0'.saturating_add(digit);
        rest /= 10;
        length = length.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let written = digits.get(digits.len().saturating_sub(length)..).unwrap_or_default();
    json.push_str(core::str::from_utf8(written).unwrap_or_default());
}

/// Whether `text` is a token (RFC 9110 section 5.6.2), as methods are.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A proof that lacks only its signature.
pub struct UnsignedProof {
    message: String,
    algorithm: Algorithm,
    key: PublicJwk,
    digest: &'static dyn Digest,
}

impl UnsignedProof {
    /// The bytes to sign: the two encoded segments and the dot between them.
    pub fn message(&self) -> &[u8] {
        self.message.as_bytes()
    }

    /// The digest of the message by the algorithm's own hash (32, 48 or 64 bytes), for signers that want it; none for
    /// Ed25519 and ML-DSA.
    pub fn digest(&self) -> Option<Vec<u8>> {
        self.signing_input().digest()
    }

    /// The algorithm to sign with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Message and digest in the form a [`Signer`] takes.
    pub fn signing_input(&self) -> SigningInput<'_> {
        SigningInput::new(self.algorithm, self.message.as_bytes(), self.digest)
    }

    /// Completes the proof.
    ///
    /// # Errors
    /// [`Misuse::SignatureAlgorithm`], and [`Misuse::Signature`] if the length does not fit the key.
    pub fn attach(self, signature: Signature) -> Result<Proof, Misuse> {
        // EdDSA and Ed25519 are two names of one algorithm, so a signer may know either.
        let same_signatures = signature.algorithm() == self.algorithm
            || (signature.algorithm().key_type() == self.algorithm.key_type() && self.key.ed25519().is_some());
        if !same_signatures {
            return Err(Misuse::SignatureAlgorithm);
        }
        if self.key.rsa_modulus_len().is_some_and(|length| length != signature.as_bytes().len()) {
            return Err(crate::jose::signature::SignatureError::Length.into());
        }
        let mut text = self.message;
        text.push('.');
        base64url::encode_into(signature.as_bytes(), &mut text);
        Ok(Proof::new(text))
    }

    /// Completes the proof after verifying the signature: for the first signature of an outside key, and the first
    /// after every reconnect.
    ///
    /// # Errors
    /// [`Misuse::SignatureDoesNotVerify`], [`Misuse::AlgorithmUnavailable`] and those of [`attach`](Self::attach).
    pub fn attach_verified(self, signature: Signature, crypto: &Crypto) -> Result<Proof, Misuse> {
        verify_own(crypto, &self.key, self.message.as_bytes(), &signature)?;
        self.attach(signature)
    }
}

impl fmt::Debug for UnsignedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsignedProof({}, {} bytes)", self.algorithm, self.message.len())
    }
}

#[cfg(test)]
#[cfg(all(feature = "std", feature = "rustcrypto"))]
mod tests {
    use super::{ProofBuilder, write_number};
    use crate::crypto::{Crypto, RandomUnavailable, SecureRandom};
    use crate::http::uri::UriError;
    use crate::jose::jwk::PublicJwk;
    use crate::key::soft::SoftKey;
    use crate::{Algorithm, Misuse, RUSTCRYPTO, UnixTime};
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn prepare(builder: &ProofBuilder<'_>) -> Result<String, Misuse> {
        prepare_with(builder, Algorithm::Ed25519, "a-jti", 1_700_000_000)
    }

    fn prepare_with(builder: &ProofBuilder<'_>, algorithm: Algorithm, jti: &str, now: i64) -> Result<String, Misuse> {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = PublicJwk::parse(key).unwrap();
        let unsigned = builder.prepare(&RUSTCRYPTO, &key, algorithm, jti, UnixTime::from_secs(now))?;
        let message = String::from_utf8(unsigned.message().to_vec()).unwrap();
        let claims = crate::base64url::decode(message.split('.').nth(1).unwrap().as_bytes()).unwrap();
        Ok(String::from_utf8(claims).unwrap())
    }

    fn get() -> ProofBuilder<'static> {
        ProofBuilder::new("GET", "https://api.example.com/items")
    }

    #[test]
    fn claims_come_in_order_and_without_the_query() {
        let builder =
            ProofBuilder::new("GET", "https://api.example.com/a/../b?page=2#top").nonce("n").claim_json("x", "[1]");
        assert_eq!(
            prepare(&builder).unwrap(),
            r#"{"jti":"a-jti","htm":"GET","htu":"https://api.example.com/a/../b","iat":1700000000,"nonce":"n","x":[1]}"#
        );
    }

    /// Nothing in a URL ends the text that it stands in.
    #[test]
    fn raw_characters_in_a_path_stay_within_the_claim() {
        let builder = ProofBuilder::new("GET", r#"https://api.example.com/[1]/","htm":"PUT?x="y""#);
        let expected = r#""htu":"https://api.example.com/[1]/%22,%22htm%22:%22PUT","#;
        let claims = prepare(&builder).unwrap();
        assert!(claims.contains(expected) && claims.matches("\"htm\"").count() == 1, "{claims}");
    }

    struct NoRandomness;

    impl SecureRandom for NoRandomness {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomUnavailable> {
            Err(RandomUnavailable)
        }
    }

    #[test]
    fn a_proof_has_a_jti_of_128_random_bits_or_is_not_made() {
        let (key, now) = (SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap(), UnixTime::from_secs(1));
        let jti = || {
            let proof = get().sign(&RUSTCRYPTO, &key, now).unwrap().into_string();
            assert!(proof.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{proof}");
            let claims = crate::base64url::decode(proof.split('.').nth(1).unwrap().as_bytes()).unwrap();
            let claims = String::from_utf8(claims).unwrap();
            claims.strip_prefix("{\"jti\":\"").unwrap().split('"').next().unwrap().to_string()
        };
        let (one, other) = (jti(), jti());
        assert_eq!((one.len(), other.len()), (22, 22));
        assert_ne!(one, other);
        let without = Crypto { random: &NoRandomness, ..RUSTCRYPTO };
        assert!(get().sign(&without, &key, now).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let names: Vec<String> = (0..64).map(|number| number.to_string()).collect();
        let crowded = names.iter().fold(get(), |builder, name| builder.claim_json(name, "0"));
        let long = "x".repeat(16 * 1024);
        for (builder, error) in [
            (ProofBuilder::new("GE T", "https://a.example"), Misuse::Method),
            (ProofBuilder::new("", "https://a.example"), Misuse::Method),
            (ProofBuilder::new("GET", "/items"), Misuse::Target(UriError::NotAbsolute)),
            (get().access_token(""), Misuse::AccessToken),
            (get().access_token("a b"), Misuse::AccessToken),
            (get().nonce("a\"b"), Misuse::Nonce),
            (get().claim_text("htu", "x"), Misuse::ReservedName),
            (get().claim_text("nonce", "x"), Misuse::ReservedName),
            (get().header_json("jwk", "{}"), Misuse::ReservedName),
            (get().header_json("crit", "[]"), Misuse::ReservedName),
            (get().claim_text("x", "1").claim_text("x", "2"), Misuse::DuplicateName),
            (get().claim_json("x", "{"), Misuse::Json),
            (get().claim_json("x", "1,\"htm\":2"), Misuse::Json),
            (get().claim_text("x", &long), Misuse::ProofTooLong),
            (crowded, Misuse::TooManyMembers),
        ] {
            assert_eq!(prepare(&builder), Err(error));
        }
        assert_eq!(prepare_with(&get(), Algorithm::Es256, "j", 0), Err(Misuse::AlgorithmKey(Algorithm::Es256)));
        assert_eq!(prepare_with(&get(), Algorithm::EdDsa, "", 0), Err(Misuse::Jti));
        assert_eq!(prepare_with(&get(), Algorithm::EdDsa, &"j".repeat(513), 0), Err(Misuse::Jti));
        assert_eq!(prepare_with(&get(), Algorithm::EdDsa, "j", -1), Err(Misuse::Time));
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 1_700_000_000, u64::MAX] {
            let mut text = String::new();
            write_number(number, &mut text);
            assert_eq!(text, number.to_string());
        }
    }
}
