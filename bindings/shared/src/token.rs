//! Access tokens that the caller signs itself: for the issuers of tests.

use keybound::json::Value;
use keybound::server::authorization::{AccessClaims, access_token as signed};
use keybound::{Crypto, UnixTime, base64url};

use crate::error::{Error, Own};
use crate::key::Key;
use crate::plain::Options;

const OPTIONS: &[&str] =
    &["issuer", "audience", "subject", "client_id", "scopes", "lifetime", "bound_to", "claims", "key_id"];

/// An access token (RFC 9068), signed with `key`, which the issuer publishes under `key_id`. `token` is an object with `issuer`, `audience`,
/// `subject`, `client_id`, `lifetime` (seconds), `key_id` and any of `scopes`, `bound_to` (the thumbprint of the key that may use it) and `claims`:
/// an object whose members are added, and count instead of those of the same name.
///
/// # Errors
/// Misuse names what is missing or of a wrong type.
pub fn access_token(token: &str, key: &Key, crypto: &Crypto, now: i64) -> Result<String, Error> {
    let token = Options::parse(token, OPTIONS)?;
    let mut random = [0; 16];
    crypto.random.fill(&mut random).map_err(keybound::Misuse::from)?;
    let lifetime = token.number("lifetime")?.ok_or_else(|| Error::missing("lifetime"))?;
    let claims = AccessClaims {
        issuer: token.needed("issuer")?,
        audience: token.needed("audience")?,
        subject: token.needed("subject")?,
        client_id: token.needed("client_id")?,
        scope: &token.texts("scopes")?.join(" "),
        id: &base64url::encode(&random),
        issued_at: UnixTime::from_secs(now),
        lifetime,
        bound_to: token.thumbprint("bound_to")?,
    };
    let mut claims = claims.to_value();
    match token.value("claims") {
        Some(Value::Object(more)) => more.iter().for_each(|(name, value)| claims.set(name, value.clone())),
        Some(_) => return Err(Error::own(Own::WrongType, "`claims` has to be an object")),
        None => {}
    }
    let failed = |error: keybound::key::SignerError| Error::own(Own::SigningFailed, error.to_string());
    signed(&claims, token.needed("key_id")?, &key.soft, crypto).map_err(failed)
}

#[cfg(test)]
mod tests {
    use keybound::json::Value;
    use keybound::{RUSTCRYPTO, base64url};

    use super::access_token;
    use crate::Key;

    const TOKEN: &str = r#"{"issuer":"https://as.example.com","audience":"https://api.example.com","subject":"alice","client_id":"app",
        "scopes":["read","write"],"lifetime":60,"key_id":"k1","claims":{"tenant":7,"sub":"bob"}}"#;

    fn part(token: &str, at: usize) -> Value {
        let part = token.split('.').nth(at).unwrap_or_default();
        Value::parse_object(&base64url::decode(part.as_bytes()).unwrap_or_default()).unwrap_or_else(|_| Value::object())
    }

    #[test]
    fn a_token_says_what_it_was_told() {
        let key = Key::generate("ES256", &RUSTCRYPTO).unwrap();
        let bound = TOKEN.replacen('{', &format!(r#"{{"bound_to":"{}","#, key.thumbprint()), 1);
        let token = access_token(&bound, &key, &RUSTCRYPTO, 1000).unwrap();
        let (header, claims) = (part(&token, 0), part(&token, 1));
        assert_eq!((header.text("typ"), header.text("kid")), (Some("at+jwt"), Some("k1")));
        assert_eq!((claims.text("sub"), claims.text("scope")), (Some("bob"), Some("read write")));
        assert_eq!(
            (claims.integer("iat"), claims.integer("exp"), claims.integer("tenant")),
            (Some(1000), Some(1060), Some(7))
        );
        assert_eq!(claims.member("cnf").and_then(|cnf| cnf.text("jkt")), Some(key.thumbprint().as_str()));
        let unbound = part(&access_token(TOKEN, &key, &RUSTCRYPTO, 1000).unwrap(), 1);
        assert!(unbound.member("cnf").is_none() && unbound.text("jti") != claims.text("jti"));
    }

    #[test]
    fn what_cannot_be_a_token_is_misuse() {
        let key = Key::generate("ES256", &RUSTCRYPTO).unwrap();
        let refused = |text: &str| access_token(text, &key, &RUSTCRYPTO, 1000).unwrap_err().reason.clone();
        assert_eq!(refused("{}"), "missing_option");
        assert_eq!(refused(&TOKEN.replace(r#""k1""#, "1")), "wrong_type");
        assert_eq!(refused(&TOKEN.replace("lifetime", "life")), "unknown_option");
        assert_eq!(refused(&TOKEN.replace(r#"{"tenant":7,"sub":"bob"}"#, "[]")), "wrong_type");
    }
}
