//! A refused response, explained to the developer of the client.

use keybound::oauth::refused::{Advice, RefusedResponse};
use keybound::{Spelling, UnixTime};

use crate::error::{Error, Own};
use crate::plain::Options;

const RESPONSE: &[&str] = &["status", "headers", "body", "cross_origin", "now", "proof_iat"];

/// Says what is wrong with a request that was refused, what led to it and what to do: a JSON object, see [`Advice::to_json`].
///
/// `response` is an object with `status` (0 where the host was shown no response), `headers` (pairs, values are byte strings) and
/// any of `body` (a byte string), `cross_origin` (a browser received it from another origin, and hides fields), `now` (the
/// client's clock) and `proof_iat` (when the proof was made).
///
/// # Errors
/// Misuse.
pub fn explain_response(response: &str, spelling: Spelling) -> Result<String, Error> {
    let given = Options::parse(response, RESPONSE)?;
    let status = given.number("status")?.and_then(|status| u16::try_from(status).ok());
    let status = status.ok_or_else(|| Error::own(Own::MissingOption, "a response has a status, 0 for none"))?;
    let headers = given.fields("headers")?;
    let fields: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let body = given.bytes("body")?.unwrap_or_default();
    let time = |name: &str| given.integer(name).map(|seconds| seconds.map(UnixTime::from_secs));
    let mut refused = RefusedResponse::new(status, &fields);
    refused.body = &body;
    refused.cross_origin = given.flag("cross_origin")?;
    refused.now = time("now")?;
    refused.proof_iat = time("proof_iat")?;
    Ok(Advice::of(&refused).spelled(spelling).to_json())
}

#[cfg(test)]
mod tests {
    use keybound::Spelling;

    use super::explain_response;

    #[test]
    fn a_response_is_explained() {
        let advice = explain_response(
            r#"{"status":401,"headers":[["WWW-Authenticate","DPoP error=\"use_dpop_nonce\""]],"cross_origin":true,"now":-1}"#,
            Spelling::Snake,
        );
        assert!(advice.unwrap().contains(r#""nonce_state":"hidden""#));
    }

    #[test]
    fn what_is_no_response_is_misuse() {
        for (wrong, reason) in [
            ("{}", "missing_option"),
            (r#"{"status":70000}"#, "missing_option"),
            (r#"{"status":401,"header":[]}"#, "unknown_option"),
            (r#"{"status":401,"now":"1"}"#, "wrong_type"),
            (r#"{"status":401,"body":"\u0100"}"#, "not_bytes"),
        ] {
            assert_eq!(explain_response(wrong, Spelling::Snake).unwrap_err().reason, reason, "{wrong}");
        }
    }
}
