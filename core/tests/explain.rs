//! Explanations of the defects that developers meet, each made from the proof of RFC 9449 Figure 13.
#![cfg(all(feature = "std", feature = "rustcrypto", feature = "dpop"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests stand outside of test functions")]

use keybound::base64url;
use keybound::jose::jwk::PublicJwk;
use keybound::jose::signature::Signature;
use keybound::key::Signer;
use keybound::key::soft::SoftKey;
use keybound::nonce::Role;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys};
use keybound::replay::StoreEpoch;
use keybound::{
    Algorithm, Check, Context, Explanation, Failure, Outcome, Policy, Presentation, ProofBuilder, RUSTCRYPTO,
    TargetUri, Thumbprint, UnixTime, Verifier,
};

const HEADER: &str = r#"{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}}"#;
const CLAIMS: &str = r#"{"jti":"e1j3V_bKic8-LAEB","htm":"GET","htu":"https://resource.example.org/protectedresource","iat":1562262618,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}"#;
const SIGNATURE: &str = "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const ATH: &str = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
const URL: &str = "https://resource.example.org/protectedresource";
const NOW: i64 = 1_562_262_618;

/// One request with its proof; the default is that of Figure 13, which is accepted.
struct Request {
    verifier: Verifier,
    proofs: Vec<String>,
    method: &'static str,
    url: String,
    token: &'static str,
    jkt: String,
    nonce: Option<&'static str>,
    now: i64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            verifier: Verifier::new(Policy::default(), &RUSTCRYPTO),
            proofs: vec![join(HEADER, CLAIMS, SIGNATURE)],
            method: "GET",
            url: URL.to_owned(),
            token: TOKEN,
            jkt: JKT.to_owned(),
            nonce: None,
            now: NOW,
        }
    }
}

impl Request {
    fn with_proof(proof: String) -> Self {
        Self { proofs: vec![proof], ..Self::default() }
    }

    fn with_header(from: &str, to: &str) -> Self {
        assert!(HEADER.contains(from), "{from}");
        Self::with_proof(join(&HEADER.replacen(from, to, 1), CLAIMS, SIGNATURE))
    }

    fn with_claims(from: &str, to: &str) -> Self {
        assert!(CLAIMS.contains(from), "{from}");
        Self::with_proof(join(HEADER, &CLAIMS.replacen(from, to, 1), SIGNATURE))
    }

    fn with_signature(bytes: &[u8]) -> Self {
        Self::with_proof(join(HEADER, CLAIMS, &base64url::encode(bytes)))
    }

    fn explain(&self) -> Explanation {
        let target = TargetUri::parse(&self.url).unwrap();
        let proofs: Vec<&[u8]> = self.proofs.iter().map(|proof| proof.as_bytes()).collect();
        let bound_to = Thumbprint::parse(&self.jkt).unwrap();
        let context = Context::Resource { access_token: self.token, bound_to };
        let presentation =
            Presentation { nonce: self.nonce, ..Presentation::new(self.method, &target, &proofs, context) };
        let explanation = self.verifier.explain(&presentation, UnixTime::from_secs(self.now));
        assert_eq!(explanation.rejection(), self.verifier.check(&presentation, UnixTime::from_secs(self.now)).err());
        self.keeps_secrets(&explanation);
        explanation
    }

    fn keeps_secrets(&self, explanation: &Explanation) {
        let texts = [explanation.to_string(), explanation.to_json(), format!("{explanation:?}")];
        let segments = self.proofs.iter().flat_map(|proof| proof.split('.')).filter(|segment| segment.len() >= 8);
        let key = ["l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"];
        for secret in segments.chain([TOKEN, SIGNATURE, JKT, ATH]).chain(key).chain(self.nonce) {
            for text in &texts {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }

    /// The failure, which must be for `reason`; all its texts in one for looking up facts.
    fn fails(&self, reason: &str) -> String {
        let explanation = self.explain();
        assert_eq!(explanation.rejection().map(|rejection| rejection.reason()), Some(reason));
        let Failure { expected, found, cause, fix, .. } = explanation.failure().unwrap().clone();
        names_nothing_of_rust(&cause);
        names_nothing_of_rust(&fix);
        format!("{expected}\n{found}\n{cause}\n{fix}")
    }

    fn says(&self, reason: &str, facts: &[&str]) {
        let text = self.fails(reason);
        for fact in facts {
            assert!(text.contains(fact), "{fact:?} is missing in:\n{text}");
        }
    }
}

fn join(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()))
}

/// Other languages show these texts.
fn names_nothing_of_rust(text: &str) {
    assert!(!text.contains("::") && !text.contains("with_"), "{text}");
}

#[test]
fn no_text_names_an_item_of_rust() {
    for rejection in keybound::Rejection::ALL {
        for text in [rejection.to_string().as_str(), rejection.cause(), rejection.fix()] {
            names_nothing_of_rust(text);
        }
    }
    #[cfg(feature = "oauth")]
    for rejection in keybound::server::resource::TokenRejection::ALL {
        names_nothing_of_rust(&rejection.to_string());
    }
}

#[test]
fn acceptance_means_every_check_but_replay() {
    let explanation = Request::default().explain();
    assert_eq!(explanation.rejection(), None);
    assert_eq!(explanation.failure(), None);
    for finding in explanation.findings() {
        let expected =
            if finding.check == Check::Replay { Outcome::NotJudged { because: None } } else { Outcome::Passed };
        assert_eq!(finding.outcome, expected);
    }
    assert!(explanation.to_string().contains("never consumes"));
    assert!(explanation.to_json().starts_with(
        r#"{"accepted":true,"reason":null,"section":null,"checks":[{"check":"fields","outcome":"passed"},"#
    ));
}

#[test]
fn one_mistake_fails_one_check() {
    let explanation = Request { method: "POST", ..Request::default() }.explain();
    for finding in explanation.findings() {
        let expected = match finding.check {
            Check::Method => "failed",
            Check::Replay => "not_judged",
            _ => "passed",
        };
        assert_eq!(finding.outcome.name(), expected, "{}", finding.check);
    }
    let json = explanation.to_json();
    assert!(
        json.starts_with(r#"{"accepted":false,"reason":"method_mismatch","section":"RFC 9449 section 4.3 check 8","#)
    );
    assert!(
        json.contains(
            r#"{"check":"method","outcome":"failed","reason":"method_mismatch","section":"RFC 9449 section 4.3 check 8","expected":"htm \"POST\"","found":"htm \"GET\"","cause":""#
        )
    );
    assert!(json.ends_with(r#"{"check":"replay","outcome":"not_judged","because":"method"}]}"#));
    let text = explanation.to_string();
    assert_eq!(text.lines().filter(|line| line.starts_with("ok ")).count(), 14);
    assert!(text.contains("FAILED  method") && text.contains("        cause "));
    assert!(text.ends_with("(not judged because of method)\n"), "{text}");
}

#[test]
fn fields() {
    let proof = Request::default().proofs[0].clone();
    Request { proofs: vec![], ..Request::default() }.says("proof_missing", &["no DPoP field", "CORS"]);
    Request { proofs: vec![proof.clone(), proof.clone()], ..Request::default() }
        .says("multiple_proofs", &["2 DPoP fields", "same proof"]);
    Request { proofs: vec![proof.clone(), "a.b.c".into()], ..Request::default() }
        .says("multiple_proofs", &["Two different"]);
    Request::with_proof(format!("{proof}, {proof}")).says("multiple_proofs", &["commas", "folded", "2 values"]);
    Request::with_proof(r#"{"payload":"e30","signature":"AA"}"#.into())
        .says("multiple_proofs", &["JSON serialization"]);
    Request::with_proof("A".repeat(20_000)).says("proof_too_large", &["20000 bytes"]);
}

#[test]
fn shape() {
    let proof = Request::default().proofs[0].clone();
    for (text, reason, facts) in [
        (format!("DPoP {proof}"), "base64_non_canonical", ["scheme", "Authorization"]),
        (format!("\"{proof}\""), "base64_non_canonical", ["quotes", "without quotes"]),
        (format!("{proof}\n"), "base64_non_canonical", ["white space", "Trim"]),
        (format!("DPoP: {proof}"), "base64_non_canonical", ["name of the field", "value"]),
        ("a.b.c.d.e".into(), "jwt_malformed", ["five segments", "encrypted"]),
        ("opaque-token".into(), "jwt_malformed", ["one segment", "opaque"]),
        ("a.b".into(), "jwt_malformed", ["two segments", "signature"]),
        ("e30.e30.".into(), "typ_missing", ["typ", "typ"]),
        (join(HEADER, CLAIMS, ""), "signature_malformed", ["empty signature", "cut off"]),
        (String::new(), "jwt_malformed", ["empty DPoP field", "empty"]),
        (join(HEADER, CLAIMS, &format!("{SIGNATURE}==")), "base64_non_canonical", ["padding", "signature segment"]),
        (join(HEADER, CLAIMS, &SIGNATURE.replace('-', "+")), "base64_non_canonical", ["standard base64", "signature"]),
        (proof.replacen("eyJ0", "eyJ\n0", 1), "base64_non_canonical", ["white space", "header segment"]),
        (proof.replacen(".eyJ", ".%65yJ", 1), "base64_non_canonical", ["percent", "payload segment"]),
        (join(&base64url::encode(HEADER.as_bytes()), CLAIMS, SIGNATURE), "header_malformed", ["encoded twice", "once"]),
        (join(HEADER, "{'jti':'x'}", SIGNATURE), "claims_malformed", ["single quotes", "json.dumps"]),
        (join(HEADER, "[1]", SIGNATURE), "claims_malformed", ["array", "payload"]),
        (join(HEADER, "\"{}\"", SIGNATURE), "claims_malformed", ["JSON string", "twice"]),
    ] {
        Request::with_proof(text).says(reason, &facts);
    }
    Request::with_header(r#""typ":"#, r#""alg":"ES256","typ":"#).says("header_duplicate", &["\"alg\""]);
    Request::with_claims(r#""htm":"#, r#""htm":"PUT","htm":"#).says("claims_duplicate", &["\"htm\""]);
    Request { proofs: vec!["opaque~token".into()], token: "opaque~token", ..Request::default() }
        .says("jwt_malformed", &["access token itself"]);
}

#[test]
fn typ_and_alg() {
    let typ = |to: &str| Request::with_header("dpop+jwt", to);
    typ("at+jwt").says("typ_mismatch", &["access token", "Authorization"]);
    typ("JWT").says("typ_mismatch", &["default typ"]);
    typ("DPoP+JWT").says("typ_mismatch", &["case"]);
    typ("application/dpop+jwt").says("typ_mismatch", &["media type"]);
    let id_token =
        join(r#"{"typ":"JWT","alg":"RS256","kid":"1"}"#, r#"{"iss":"https://as.example","sub":"x"}"#, "AAAA");
    Request::with_proof(id_token).says("typ_mismatch", &["access token or ID token"]);

    let alg = |to: &str| Request::with_header("\"ES256\"", &format!("\"{to}\""));
    alg("none").says("alg_not_asymmetric", &["not signed"]);
    alg("HS256").says("alg_not_asymmetric", &["shared secret"]);
    alg("es256").says("alg_unknown", &["case sensitive", "Write ES256."]);
    alg("ES-256").says("alg_unknown", &["hyphen", "Write ES256."]);
    alg("ES256K").says("alg_unknown", &["secp256k1"]);
    alg("Ed448").says("alg_unknown", &["Ed448 is not supported"]);
    alg("RSA-OAEP").says("alg_unknown", &["encryption"]);
    alg("ES384").says("alg_not_permitted", &["ES256 Ed25519 EdDSA PS256", "ES384"]);
}

#[test]
fn keys() {
    let header = Request::with_header;
    header(r#""crv":"#, r#""d":"AAAAAAAAAAAA","crv":"#).says("jwk_private", &["private member d", "Destroy"]);
    header(r#""kty":"EC""#, r#""kty":"oct","k":"c2VjcmV0LXNlY3JldA""#).says("jwk_symmetric", &["oct"]);
    header("P-256", "X25519").says("jwk_unsupported", &["key agreement"]);
    let vague =
        header("P-256", "P-999").fails("jwk_unsupported") + &header("\"EC\"", "\"XX\"").fails("jwk_unsupported");
    assert!(!vague.contains("case sensitive"), "{vague}");
    header("P-256", "secp256k1").says("jwk_unsupported", &["blockchains"]);
    header("P-256", "prime256v1").says("jwk_unsupported", &["another name"]);
    header(r#""kty":"EC""#, r#""kty":"ec""#).says("jwk_unsupported", &["case sensitive"]);
    header("P-256", "P-384").says("jwk_alg_mismatch", &["EC key on P-256", "EC key on P-384", "ES384"]);
    header(r#""kty":"EC""#, r#""alg":"ES384","kty":"EC""#).says("jwk_alg_conflict", &["\"ES384\""]);
    header(r#""kty":"EC""#, r#""use":"enc","kty":"EC""#).says("jwk_not_for_signatures", &["\"enc\""]);
    header(r#""kty":"EC""#, r#""key_ops":["sign"],"kty":"EC""#).says("jwk_not_for_signatures", &["key_ops"]);
    header(r#""y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","#, "").says("jwk_malformed", &["without y"]);
    header(r#""jwk":{"#, r#""kid":"1","jwt":{"#).says("jwk_missing", &["kid"]);
    Request::with_proof(join(r#"{"typ":"dpop+jwt","alg":"ES256","jwk":"{}"}"#, CLAIMS, SIGNATURE))
        .says("jwk_malformed", &["no object"]);
    header("ES256", "none").fails("alg_not_asymmetric");

    let x = base64url::decode(b"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs").unwrap();
    let y = base64url::decode(b"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA").unwrap();
    let with_x = |x: &str| header("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", x);
    with_x(&base64url::encode(&[&[0], &x[..]].concat())).says("jwk_non_canonical", &["33 bytes", "added"]);
    with_x(&base64url::encode(&x[1..])).says("jwk_non_canonical", &["31 bytes", "dropped"]);
    with_x(&base64url::encode(&[&[4], &x[..], &y[..]].concat())).says("jwk_non_canonical", &["65 bytes", "whole"]);
    with_x("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs=").says("jwk_non_canonical", &["padding", "in x"]);
    with_x(&x.iter().map(|byte| format!("{byte:02x}")).collect::<String>()).says("jwk_non_canonical", &["hexadecimal"]);

    let swapped = HEADER.replace("\"x\"", "\"t\"").replace("\"y\"", "\"x\"").replace("\"t\"", "\"y\"");
    let swapped_point = [&[4], &y[..], &x[..]].concat();
    let jkt = PublicJwk::from_ec_point(&swapped_point).unwrap().thumbprint(RUSTCRYPTO.digest).to_string();
    Request { jkt, ..Request::with_proof(join(&swapped, CLAIMS, SIGNATURE)) }.says("key_off_curve", &["swapped"]);
}

#[test]
fn claims_and_method() {
    Request::with_claims(r#""jti":"e1j3V_bKic8-LAEB","#, "").says("jti_missing", &["no jti"]);
    Request::with_proof(join(HEADER, r#"{"sub":"x"}"#, SIGNATURE))
        .says("jti_missing", &["no jti, no htm, no htu, no iat, no ath", "another JWT"]);
    Request::with_claims(&format!(r#","ath":"{ATH}""#), "").says("ath_missing", &["no ath"]);
    Request::with_claims("e1j3V_bKic8-LAEB", "").says("jti_invalid", &["empty jti"]);
    Request::with_claims("e1j3V_bKic8-LAEB", &"j".repeat(513)).says("jti_too_long", &["513 bytes"]);
    Request::with_claims("\"GET\"", "\"get\"").says("method_mismatch", &["case", "\"get\""]);
    Request::with_claims("\"GET\"", "\"POST\"").says("method_mismatch", &["redirect"]);
}

#[test]
fn target() {
    let sees = |url: &str| Request { url: url.into(), ..Request::default() };
    let htu = |htu: &str| Request::with_claims(URL, htu);
    sees("http://resource.example.org/protectedresource").says("target_mismatch", &["scheme", "proxy", "TLS"]);
    sees("http://localhost:8080/protectedresource").says("target_mismatch", &["proxy", "internal"]);
    sees("http://10.0.3.7/protectedresource").says("target_mismatch", &["proxy", "internal"]);
    sees("https://api.default.svc/protectedresource").says("target_mismatch", &["proxy", "internal"]);
    sees("https://other.example.org/protectedresource").says("target_mismatch", &["hosts differ", "other.example.org"]);
    sees("https://resource.example.org:8443/protectedresource").says("target_mismatch", &["port", "8443", "443"]);
    sees("https://resource.example.org/other").says("target_mismatch", &["another endpoint"]);
    htu("https://resource.example.org/api/v1/protectedresource")
        .says("target_mismatch", &["prefix \"/api/v1\"", "strips"]);
    sees("https://resource.example.org/app/protectedresource").says("target_mismatch", &["prefix \"/app\""]);
    htu("https://resource.example.org/protectedresource/").says("target_mismatch", &["trailing slash"]);
    htu("https://resource.example.org/ProtectedResource").says("target_mismatch", &["case"]);
    Request { url: "https://h.example/a/b".into(), ..htu("https://h.example/a%2Fb") }
        .says("target_mismatch", &["percent-encoding", "%2F"]);
    Request { url: "https://h.example/a%20b".into(), ..htu("https://h.example/a%2520b") }
        .says("target_mismatch", &["twice"]);
}

#[test]
fn time() {
    let iat = |iat: &str| Request::with_claims("1562262618", iat);
    iat("1562262618000").says("iat_in_future", &["milliseconds", "Math.floor"]);
    Request { now: NOW + 412, ..Request::default() }.says("iat_too_old", &["412 s behind", "limit 60 s"]);
    Request { now: NOW - 25, ..Request::default() }.says("iat_in_future", &["25 s ahead", "limit 10 s"]);
    Request { now: NOW + 7201, ..Request::default() }.says("iat_too_old", &["7201 s", "UTC"]);
    iat("-5").says("iat_too_old", &["negative"]);
    iat("1234.5").says("iat_too_old", &["1970", "1234.5"]);
    iat("1e400").says("iat_in_future", &["1e400", "thousands of years"]);
    iat("1562262618,\"exp\":1562262600").says("expired", &["18 s before"]);
    iat("1562262618,\"nbf\":1562262648").says("not_yet_valid", &["30 s after"]);
}

#[test]
fn nonces() {
    let with_nonce = |nonce: &str| Request::with_claims(r#""htm""#, &format!(r#""nonce":"{nonce}","htm""#));
    let expecting = |request: Request| Request { nonce: Some("expected-nonce-1"), ..request };
    expecting(Request::default()).says("nonce_missing", &["no nonce", "\"expect…\""]);
    expecting(with_nonce("another-nonce-22")).says("nonce_mismatch", &["\"anothe…\"", "\"expect…\""]);
    expecting(with_nonce("expected-nonce-2")).says("nonce_mismatch", &["begins alike"]);
    expecting(with_nonce("EXPECTED-nonce-1")).says("nonce_mismatch", &["another case"]);
    expecting(with_nonce("")).says("nonce_mismatch", &["empty"]);
    expecting(with_nonce(" expected-nonce-1")).says("nonce_mismatch", &["white space"]);

    let keys = || NonceKeys::new(NonceKey::from_secret(1, [7; 32]).unwrap());
    let issuer = || NonceIssuer::new(RUSTCRYPTO.mac, keys(), "test");
    let issued = |role, time| issuer().issue(role, None, StoreEpoch::from_u64(0), UnixTime::from_secs(time)).unwrap();
    let followed = |nonce: &str| Request {
        verifier: Verifier::new(Policy::default(), &RUSTCRYPTO).with_nonces(issuer()),
        ..with_nonce(nonce)
    };
    followed(issued(Role::ResourceServer, NOW - 400).as_str()).says("nonce_stale", &["idle"]);
    followed(issued(Role::AuthorizationServer, NOW).as_str()).says("nonce_mismatch", &["by the authorization server"]);
    Request { verifier: Verifier::new(Policy::fapi2(), &RUSTCRYPTO), ..with_nonce("some-nonce-123") }
        .says("nonce_mismatch", &["no issuer"]);
}

#[test]
fn binding_and_token_hash() {
    let other = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    Request { jkt: other.into(), ..Request::default() }.says("binding_mismatch", &["\"NzbLsX…\"", "\"0ZcOCO…\""]);

    let sha256 = |text: &str| RUSTCRYPTO.digest.sha256(&[text.as_bytes()]);
    let own = sha256(TOKEN);
    let hex: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash_of = |text: &str| base64url::encode(&sha256(text));
    for (ath, fact) in [
        (hex.clone(), "hexadecimal"),
        (base64url::encode(hex.as_bytes()), "hexadecimal text"),
        (format!("{ATH}="), "padded"),
        (base64url::encode(&own[..16]), "left half"),
        (hash_of(&format!("DPoP {TOKEN}")), "scheme"),
        (hash_of(&format!("Bearer {TOKEN}")), "scheme"),
        (hash_of("undefined"), "undefined"),
        (hash_of(""), "empty text"),
        (hash_of("the token before this one"), "refreshed"),
        (TOKEN.to_owned(), "access token itself"),
        (base64url::encode(&RUSTCRYPTO.digest.sha512(&[TOKEN.as_bytes()])), "SHA-512"),
    ] {
        Request::with_claims(ATH, &ath).says("ath_mismatch", &[fact, "fUHyO2"]);
    }
    // A token whose hash has a character in which the two alphabets differ.
    let token = "token-4";
    let standard = base64url::encode(&sha256(token)).replace('-', "+").replace('_', "/");
    assert!(standard.contains(['+', '/']));
    Request { token, ..Request::with_claims(ATH, &standard) }.says("ath_mismatch", &["standard base64"]);
}

#[test]
fn signatures() {
    let raw = base64url::decode(SIGNATURE.as_bytes()).unwrap();
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        [&[2, u8::try_from(sign.len() + bytes.len()).unwrap()], sign, bytes].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    Request::with_signature(&der).says("signature_malformed", &["DER", "64 bytes"]);
    Request::with_signature(&raw[..63]).says("signature_malformed", &["63 bytes", "64 bytes"]);
    Request::with_signature(SIGNATURE.as_bytes()).says("signature_malformed", &["base64url twice"]);
    Request::with_signature(&[1; 96]).says("signature_malformed", &["another algorithm"]);
    Request::with_signature(&[0; 64]).says("signature_invalid", &["zero bytes"]);
    Request::with_signature(&[&raw[32..], &raw[..32]].concat()).says("signature_invalid", &["S before R"]);
    Request::with_claims("e1j3V_bKic8-LAEB", "e1j3V_bKic8-LAEC").says("signature_invalid", &["changed", "another key"]);
}

#[test]
fn signatures_over_something_else() {
    let key = SoftKey::generate(Algorithm::Es256, &RUSTCRYPTO).unwrap();
    let jkt = key.public_key().thumbprint(RUSTCRYPTO.digest).to_string();
    let builder = ProofBuilder::new("GET", URL).access_token(TOKEN);
    let unsigned =
        || builder.prepare(&RUSTCRYPTO, key.public_key(), Algorithm::Es256, "jti", UnixTime::from_secs(NOW)).unwrap();
    let message = unsigned().message().to_vec();
    let payload = message.split(|byte| *byte == b'.').nth(1).unwrap().to_vec();
    for (signed, fact) in
        [(RUSTCRYPTO.digest.sha256(&[&message]).to_vec(), "hash of the hash"), (payload, "another part")]
    {
        let input = keybound::key::SigningInput::new(Algorithm::Es256, &signed, RUSTCRYPTO.digest);
        let signature: Signature = key.sign(&input).unwrap();
        let proof = unsigned().attach(signature).unwrap();
        Request { jkt: jkt.clone(), ..Request::with_proof(proof.into_string()) }.says("signature_invalid", &[fact]);
    }
}

#[test]
fn secrets_in_the_wrong_place_are_hidden() {
    // Each request checks that no secret occurs in its explanation; here they stand where peer text is shown.
    let escaped = TOKEN.replace('z', "\\u007a");
    for token in [TOKEN, &escaped] {
        Request::with_header("dpop+jwt", token).says("typ_mismatch", &["hidden"]);
        Request::with_header("\"ES256\"", &format!("\"{token}\"")).says("alg_unknown", &["hidden"]);
        Request::with_claims("\"GET\"", &format!("\"{token}\"")).says("method_mismatch", &["hidden"]);
        Request::with_claims("/protectedresource", &format!("/x/{token}")).says("target_mismatch", &["hidden"]);
        Request::with_claims(ATH, token).says("ath_mismatch", &["hidden"]);
    }
    Request::with_header("P-256", SIGNATURE).says("jwk_unsupported", &["hidden"]);
    Request::with_claims("/protectedresource", &format!("/{JKT}")).says("target_mismatch", &["0ZcOCO…"]);
    let text = Request::with_claims(URL, "https://user:hunter2@h.example/a?secret=1#frag").explain().to_string();
    for part in ["user:", "hunter2", "secret", "frag"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn hostile_text_is_escaped_and_cut() {
    let long = Request::with_claims("\"GET\"", &format!("\"\\u001b[2J\\u202e{}\"", "GE ".repeat(2000))).explain();
    let found = &long.failure().unwrap().found;
    assert!(found.contains("\\u{1b}") && found.contains("\\u{202e}") && found.chars().count() < 230, "{found}");
    for text in [long.to_string(), long.to_json()] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }
}
