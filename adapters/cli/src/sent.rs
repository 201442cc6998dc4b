//! What was sent: a proof, the fields of a request, or a curl command, and what is mistaken for one of them.

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::{curl, input};

/// What was sent, as far as it was given together.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) method: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) token: Option<Zeroizing<String>>,
    /// The token came as a bearer token.
    pub(crate) as_bearer: bool,
    pub(crate) proofs: Vec<Vec<u8>>,
}

impl Sent {
    /// Reads a proof, the header fields of a request that has one, or a curl command that sends one.
    ///
    /// # Errors
    /// Wrong usage if it is none of these: nothing at all, a key, an answer, or a field with a line break in it, which no request can have.
    pub(crate) fn read(given: &[u8]) -> Result<Self, Failure> {
        let mut sent = Self::default();
        if curl::is_curl(given) {
            let request = curl::parse(&input::text(given, "curl command")?)?;
            (sent.method, sent.url) = (Some(request.method), Some(request.url));
            for (name, value) in &request.fields {
                sent.field(name.as_bytes(), value.as_bytes());
            }
        } else {
            if let Some(mistaken) = mistaken(given) {
                return Err(Failure::usage(mistaken));
            }
            let (method, rest) = without_request_line(given);
            sent.method = method;
            match fields(rest) {
                Some(fields) => fields.into_iter().for_each(|(name, value)| sent.field(name, value)),
                None => sent.proofs = vec![input::without_line_end(given).to_vec()],
            }
        }
        if sent.proofs.iter().any(|proof| proof.iter().any(|byte| b"\r\n".contains(byte))) {
            return Err(Failure::usage(
                "the proof has a line break in it, and a header field cannot; copy it again as one line",
            ));
        }
        Ok(sent)
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"dpop") {
            self.proofs.push(value.to_vec());
        } else if name.eq_ignore_ascii_case(b"authorization") {
            let Ok(value) = std::str::from_utf8(value) else { return };
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            self.as_bearer = scheme.eq_ignore_ascii_case("bearer");
            if self.as_bearer || scheme.eq_ignore_ascii_case("dpop") {
                self.token = Some(Zeroizing::new(token.trim_start().to_owned()));
            }
        }
    }
}

/// What was given in place of a proof, and what to give.
fn mistaken(given: &[u8]) -> Option<&'static str> {
    let text = given.trim_ascii();
    if text.is_empty() {
        return Some(
            "the proof is empty; did the command before this one fail? Give the value of the DPoP field, @FILE, or - for standard input",
        );
    }
    if text.starts_with(b"-----BEGIN") {
        return Some(
            "this is a key in PEM, not a proof; `keybound proof --key FILE --method GET --url URL` makes a proof with it",
        );
    }
    if text.starts_with(b"{") {
        let value: Option<serde_json::Value> = serde_json::from_slice(text).ok();
        return Some(match value {
            Some(value) if value.get("kty").is_some() => {
                "this is a key, not a proof; `keybound proof --key FILE --method GET --url URL` makes a proof with it"
            }
            _ => "this is JSON, not a proof; give the value of the DPoP field",
        });
    }
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"http/")) {
        return Some("this is a response, not a proof; `keybound explain` tells what a 401 says");
    }
    None
}

/// The method of a request line (RFC 9112 section 3) and what follows it; all of it if it begins with no request line.
fn without_request_line(text: &[u8]) -> (Option<String>, &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let line = text[..end].trim_ascii();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words.as_slice() {
        [method, _, version] if version.starts_with(b"HTTP/") => {
            let method = std::str::from_utf8(method).ok().map(str::to_owned);
            (method, text.get(end + 1..).unwrap_or_default())
        }
        _ => (None, text),
    }
}

/// Name and value of each field, if every line is one and one of them is `DPoP`.
fn fields(text: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let field = |line: &'_ [u8]| line.iter().position(|byte| *byte == b':');
    let fields = lines.filter(|line| !line.is_empty()).map(|line| {
        let colon = field(line)?;
        Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
    });
    let fields: Vec<(&[u8], &[u8])> = fields.collect::<Option<_>>()?;
    fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"dpop")).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::Sent;

    fn proofs(text: &str) -> Vec<String> {
        let sent = Sent::read(text.as_bytes()).unwrap_or_else(|failure| panic!("{text:?}: {failure}"));
        sent.proofs.into_iter().map(|proof| String::from_utf8(proof).unwrap()).collect()
    }

    #[test]
    fn a_pasted_line_and_a_bare_proof_are_the_same() {
        for text in ["a.b.c", "a.b.c\n", "DPoP: a.b.c\n", "dpop:a.b.c\r\n", "DPoP: a.b.c\nHost: b\n"] {
            assert_eq!(proofs(text), ["a.b.c"], "{text:?}");
        }
        assert_eq!(proofs("DPoP: a\nDPoP: b\n"), ["a", "b"]);
        let sent = Sent::read(b"Authorization: DPoP t\r\nDPoP: a\r\n\r\n").unwrap();
        assert_eq!((sent.token.unwrap().as_str(), sent.as_bearer), ("t", false));
    }

    #[test]
    fn a_whole_request_is_read_with_its_request_line() {
        let sent = Sent::read(b"PUT /items HTTP/1.1\r\nHost: h\r\nDPoP: a.b.c\r\n\r\n").unwrap();
        assert_eq!((sent.method.as_deref(), sent.proofs), (Some("PUT"), vec![b"a.b.c".to_vec()]));
    }

    #[test]
    fn what_is_not_a_line_of_the_field_stays_as_it_is() {
        for text in ["DPoP a.b.c", " a.b.c", "a.b.c "] {
            assert_eq!(proofs(text), [text], "{text:?}");
        }
        assert_eq!(proofs("DPoP:\n"), [""], "a field without a value was sent");
    }

    #[test]
    fn what_cannot_be_a_proof_is_not_refused_as_one() {
        for (text, told) in [
            ("", "empty"),
            (" \n", "empty"),
            ("a.b\n.c\n", "line break"),
            ("a.b.c\n\n", "line break"),
            ("DPoP: a.b\n c", "line break"),
            ("curl https://h/ -H 'DPoP: a\nb'", "line break"),
            (r#"{"kty":"EC","d":"s3cret"}"#, "key"),
            ("-----BEGIN PRIVATE KEY-----\ns3cret", "key"),
            (r#"{"proof":"a.b.c"}"#, "JSON"),
            ("HTTP/1.1 401 Unauthorized\r\n\r\n", "response"),
        ] {
            let failure = Sent::read(text.as_bytes()).err().unwrap_or_else(|| panic!("{text:?}"));
            assert!(failure.message().contains(told) && !failure.message().contains("s3cret"), "{text:?}: {failure}");
        }
    }
}
