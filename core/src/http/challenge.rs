//! `WWW-Authenticate`: challenges read and written (RFC 9110 sections 11.2 to 11.6.1).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::bytes::{TOKEN68, is_in, letters_digits_and};

/// The most that is read of all fields together, in bytes.
pub const MAX_FIELDS_LEN: usize = 8 * 1024;
/// How many challenges are read at most.
pub const MAX_CHALLENGES: usize = 32;
/// How many parameters all challenges together have at most.
pub const MAX_PARAMS: usize = 64;

/// One challenge: a scheme, with a token68 or with parameters.
///
/// ```
/// use keybound::http::challenge::Challenge;
/// let fields: [&[u8]; 1] = [br#"Bearer realm="api", dpop algs="ES256 PS256", error=use_dpop_nonce"#];
/// let challenges = Challenge::parse_fields(&fields);
/// assert_eq!(challenges.ignored, None);
/// let dpop = challenges.list.iter().find(|challenge| challenge.is("DPoP")).expect("there is one");
/// assert_eq!(dpop.param("error"), Some("use_dpop_nonce"));
/// assert_eq!(dpop.algs().collect::<Vec<_>>(), ["ES256", "PS256"]);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    scheme: String,
    token68: Option<String>,
    params: Vec<(String, String)>,
}

/// What the `WWW-Authenticate` fields of a response hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Challenges {
    /// Every challenge of the field lines that can be read, in order.
    pub list: Vec<Challenge>,
    /// Why a field line was ignored: the first one, if any was.
    pub ignored: Option<ChallengeError>,
}

/// Why a field line holds no list of challenges, or a challenge cannot be written.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChallengeError {
    /// More than [`MAX_FIELDS_LEN`], [`MAX_CHALLENGES`] or [`MAX_PARAMS`].
    TooLong,
    /// A scheme or a parameter's name is no token.
    Token,
    /// A parameter has no value, or one that is neither a token nor a quoted string.
    Value,
    /// A quoted string does not end.
    UnclosedQuote,
    /// A character that a field cannot hold.
    Character,
    /// A challenge has a parameter twice (names are compared without regard to case).
    DuplicateParam,
    /// Something stands where a comma should.
    MissingComma,
}

impl fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the challenges are longer or more than is read",
            Self::Token => "a scheme or parameter name is not a token",
            Self::Value => "a parameter has no value, or one that must be quoted",
            Self::UnclosedQuote => "a quoted string does not end",
            Self::Character => "a character that a field cannot hold",
            Self::DuplicateParam => "a challenge has the same parameter twice",
            Self::MissingComma => "a comma is missing between parameters or challenges",
        })
    }
}

impl core::error::Error for ChallengeError {}
debug_as_text!(ChallengeError);

impl Challenge {
    /// Reads all `WWW-Authenticate` fields of a response, one slice for each field line.
    ///
    /// Several challenges may share a field line. A line that is malformed, or goes beyond [`MAX_FIELDS_LEN`],
    /// [`MAX_CHALLENGES`] or [`MAX_PARAMS`], is ignored as a whole: nothing is guessed from it, and the other lines count.
    /// Bytes outside ASCII, which occur in old realms, are read as Latin-1.
    pub fn parse_fields(fields: &[&[u8]]) -> Challenges {
        let mut read = Challenges::default();
        let (mut bytes, mut params) = (MAX_FIELDS_LEN, MAX_PARAMS);
        for field in fields {
            let most = MAX_CHALLENGES.saturating_sub(read.list.len());
            let line = match bytes.checked_sub(field.len()) {
                Some(left) => {
                    bytes = left;
                    Self::parse_line(field, most, params)
                }
                None => Err(ChallengeError::TooLong),
            };
            match line {
                Ok(line) => {
                    params = line.iter().fold(params, |left, challenge| left.saturating_sub(challenge.params.len()));
                    read.list.extend(line);
                }
                Err(error) => read.ignored = read.ignored.or(Some(error)),
            }
        }
        read
    }

    /// The challenges of one field line.
    fn parse_line(field: &[u8], most: usize, mut params: usize) -> Result<Vec<Self>, ChallengeError> {
        let mut line: Vec<Self> = Vec::new();
        let mut reader = Reader { rest: field };
        while let Some(challenge) = reader.challenge(params)? {
            if line.len() >= most {
                return Err(ChallengeError::TooLong);
            }
            params = params.saturating_sub(challenge.params.len());
            line.push(challenge);
        }
        Ok(line)
    }

    /// A challenge without parameters.
    ///
    /// # Errors
    /// [`ChallengeError::Token`] if `scheme` is no token.
    pub fn new(scheme: &str) -> Result<Self, ChallengeError> {
        if !is_token(scheme) {
            return Err(ChallengeError::Token);
        }
        Ok(Self { scheme: scheme.to_owned(), token68: None, params: Vec::new() })
    }

    /// Adds a parameter; its value is quoted when written.
    ///
    /// # Errors
    /// [`ChallengeError::Token`] if `name` is no token, [`ChallengeError::DuplicateParam`] if it is there already,
    /// [`ChallengeError::Character`] if `value` has control characters or others outside ASCII.
    pub fn with_param(mut self, name: &str, value: &str) -> Result<Self, ChallengeError> {
        if !is_token(name) {
            return Err(ChallengeError::Token);
        }
        if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
            return Err(ChallengeError::Character);
        }
        self.push(name.to_owned(), value.to_owned(), MAX_PARAMS)?;
        Ok(self)
    }

    fn push(&mut self, name: String, value: String, most: usize) -> Result<(), ChallengeError> {
        if self.param(&name).is_some() {
            return Err(ChallengeError::DuplicateParam);
        }
        if self.params.len() >= most {
            return Err(ChallengeError::TooLong);
        }
        self.params.push((name, value));
        Ok(())
    }

    /// The scheme as written.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether the scheme is `scheme`, case not regarded (RFC 9110 section 11.1).
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The token68, for schemes that have one instead of parameters.
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    /// The value of a parameter, without quotes; names are compared without regard to case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All parameters as written, in order. Unknown ones are to be ignored (RFC 9449 section 7.1).
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names in `algs`: the algorithms a resource server accepts (RFC 9449 section 7.1).
    pub fn algs(&self) -> impl Iterator<Item = &str> {
        self.param("algs").unwrap_or_default().split(' ').filter(|name| !name.is_empty())
    }
}

/// The challenge as a field's value; several are joined by a comma and a space.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        if let Some(token68) = &self.token68 {
            return write!(f, " {token68}");
        }
        for (position, (name, value)) in self.params().enumerate() {
            f.write_str(if position == 0 { " " } else { ", " })?;
            write!(f, "{name}=\"")?;
            for character in value.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    is_in(&TOKEN_BYTES, byte)
}

/// `tchar` (RFC 9110 section 5.6.2).
const TOKEN_BYTES: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// A cursor over one field.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next challenge, with `most` parameters at most; none at the end of the field.
    fn challenge(&mut self, most: usize) -> Result<Option<Challenge>, ChallengeError> {
        self.skip_list_padding();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut challenge = Challenge::new(self.token()?)?;
        if !self.skip_space() {
            return self.end_of_challenge(challenge);
        }
        if let Some(token68) = self.token68() {
            challenge.token68 = Some(token68.to_owned());
            return self.end_of_challenge(challenge);
        }
        loop {
            // A parameter has an equals sign behind its name; the next challenge has not. Padding is given back then.
            let before = self.rest;
            self.skip_list_padding();
            let Some((name, value)) = self.param()? else {
                self.rest = before;
                return self.end_of_challenge(challenge);
            };
            challenge.push(name, value, most)?;
            self.skip_space();
            if !matches!(self.rest, [] | [b',', ..]) {
                return Err(ChallengeError::MissingComma);
            }
        }
    }

    fn end_of_challenge(&mut self, challenge: Challenge) -> Result<Option<Challenge>, ChallengeError> {
        self.skip_space();
        match self.rest {
            [] | [b',', ..] => Ok(Some(challenge)),
            _ => Err(ChallengeError::MissingComma),
        }
    }

    /// A parameter, if one stands here; nothing is consumed if not.
    fn param(&mut self) -> Result<Option<(String, String)>, ChallengeError> {
        let before = self.rest;
        let Ok(name) = self.token() else { return Ok(None) };
        self.skip_space();
        let [b'=', after @ ..] = self.rest else {
            self.rest = before;
            return Ok(None);
        };
        self.rest = after;
        self.skip_space();
        let value = match self.rest {
            [b'"', after @ ..] => {
                self.rest = after;
                self.quoted()?
            }
            _ => self.token().map_err(|_| ChallengeError::Value)?.to_owned(),
        };
        Ok(Some((name.to_owned(), value)))
    }

    /// The rest of a quoted string (RFC 9110 section 5.6.4).
    fn quoted(&mut self) -> Result<String, ChallengeError> {
        let end = memchr::memchr(b'"', self.rest).ok_or(ChallengeError::UnclosedQuote)?;
        let plain = self.rest.get(..end).unwrap_or_default();
        if plain.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'[' | b']'..=b'~')) {
            self.rest = self.rest.get(end.saturating_add(1)..).unwrap_or_default();
            return core::str::from_utf8(plain).map(ToOwned::to_owned).map_err(|_| ChallengeError::Character);
        }
        let mut value = Vec::with_capacity(end.saturating_mul(2));
        let mut rest = self.rest;
        loop {
            let (byte, after) = match rest {
                [b'"', after @ ..] => {
                    self.rest = after;
                    return String::from_utf8(value).map_err(|_| ChallengeError::Character);
                }
                [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
                [] => return Err(ChallengeError::UnclosedQuote),
            };
            match byte {
                b'\t' | b' '..=b'~' => value.push(byte),
                // Latin-1: U+0080 to U+00FF, in two bytes.
                0x80.. => {
                    value.push(0xc0 | byte >> 6);
                    value.push(0x80 | byte & 0x3f);
                }
                _ => return Err(ChallengeError::Character),
            }
            rest = after;
        }
    }

    /// A token68 that is all there is of this challenge; nothing is consumed otherwise.
    fn token68(&mut self) -> Option<&'a str> {
        let body = self.rest.iter().take_while(|byte| is_in(&TOKEN68, **byte)).count();
        let padding = self.rest.iter().skip(body).take_while(|byte| **byte == b'=').count();
        let (text, mut tail) = self.rest.split_at_checked(body.saturating_add(padding))?;
        let after = tail;
        while let [b' ' | b'\t', rest @ ..] = tail {
            tail = rest;
        }
        // `a=b` is a parameter, and a bare word before another word is a scheme without a comma.
        if body == 0 || !matches!(tail, [] | [b',', ..]) {
            return None;
        }
        self.rest = after;
        core::str::from_utf8(text).ok()
    }

    fn token(&mut self) -> Result<&'a str, ChallengeError> {
        let length = self.rest.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = self.rest.split_at_checked(length).ok_or(ChallengeError::Token)?;
        if token.is_empty() {
            return Err(ChallengeError::Token);
        }
        self.rest = rest;
        core::str::from_utf8(token).map_err(|_| ChallengeError::Token)
    }

    /// Skips spaces and tabs; says whether there were any.
    fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.len() < before
    }

    /// Skips commas and the space around them: elements of a list may be empty (RFC 9110 section 5.6.1).
    fn skip_list_padding(&mut self) {
        while let [b' ' | b'\t' | b',', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Challenge, ChallengeError};
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn parse(fields: &[&str]) -> Result<Vec<Challenge>, ChallengeError> {
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        let read = Challenge::parse_fields(&fields);
        read.ignored.map_or(Ok(read.list), Err)
    }

    fn schemes(fields: &[&str]) -> Vec<String> {
        parse(fields).unwrap().iter().map(|challenge| challenge.scheme().to_string()).collect()
    }

    #[test]
    fn the_figures_of_rfc_9449() {
        let figure_16 =
            parse(&[r#"DPoP error="invalid_token", error_description="Invalid DPoP key binding", algs="ES256""#]);
        let dpop = &figure_16.unwrap()[0];
        assert!(dpop.is("dpop"));
        assert_eq!(dpop.param("ERROR"), Some("invalid_token"));
        assert_eq!(dpop.param("error_description"), Some("Invalid DPoP key binding"));
        let figure_17 = parse(&["Bearer, DPoP algs=\"ES256 PS256\""]).unwrap();
        assert_eq!(figure_17[0].scheme(), "Bearer");
        assert_eq!(figure_17[1].algs().collect::<Vec<_>>(), ["ES256", "PS256"]);
        let figure_18 =
            parse(&[r#"Bearer error="invalid_token", error_description="Invalid token", DPoP algs="ES256 PS256""#]);
        assert_eq!(figure_18.unwrap()[1].param("algs"), Some("ES256 PS256"));
        let figure_19 = parse(&["Bearer", r#"DPoP algs="ES256 PS256", error="invalid_token""#]).unwrap();
        assert_eq!(figure_19.len(), 2);
        let nonce = parse(&[
            r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof""#,
        ]);
        assert_eq!(nonce.unwrap()[0].param("error"), Some("use_dpop_nonce"));
    }

    #[test]
    fn lists_in_every_shape() {
        assert_eq!(schemes(&["Bearer, DPoP"]), ["Bearer", "DPoP"]);
        assert_eq!(schemes(&["DPoP algs=ES256, Bearer realm=x, Basic"]), ["DPoP", "Bearer", "Basic"]);
        assert_eq!(schemes(&[" , ,Bearer ,, DPoP algs=ES256 ,, error=x ,"]), ["Bearer", "DPoP"]);
        assert_eq!(schemes(&["Negotiate YWJj==, Bearer a = \"b\" , c=d", ""]), ["Negotiate", "Bearer"]);
        assert_eq!(schemes(&[]), Vec::<String>::new());
        let list = parse(&["Negotiate YWJj==, NTLM abc, DPoP"]).unwrap();
        assert_eq!((list[0].token68(), list[1].token68(), list[2].token68()), (Some("YWJj=="), Some("abc"), None));
        let quoted = parse(&[r#"Bearer realm="a, DPoP \"x\" \\", scope="""#]).unwrap();
        assert_eq!(quoted.len(), 1);
        assert_eq!((quoted[0].param("realm"), quoted[0].param("scope")), (Some(r#"a, DPoP "x" \"#), Some("")));
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (field, error) in [
            ("Bearer realm=\"a", ChallengeError::UnclosedQuote),
            ("Bearer realm=\"a\\", ChallengeError::UnclosedQuote),
            ("Bearer realm=\"a\nb\"", ChallengeError::Character),
            ("Bearer realm=\"a\\\nb\"", ChallengeError::Character),
            ("Bearer a=b, realm=", ChallengeError::Value),
            ("Bearer realm=a b", ChallengeError::MissingComma),
            ("Bearer realm=\"a\"x=y", ChallengeError::MissingComma),
            ("Bearer a b c", ChallengeError::MissingComma),
            ("Bearer realm=a, REALM=b", ChallengeError::DuplicateParam),
            ("=x", ChallengeError::Token),
            ("Bea\"rer", ChallengeError::MissingComma),
            ("\"Bearer\"", ChallengeError::Token),
            ("Bearer\r\nDPoP", ChallengeError::MissingComma),
        ] {
            assert_eq!(parse(&[field]), Err(error), "{field:?}");
        }
        assert_eq!(parse(&[&"a,".repeat(33)]), Err(ChallengeError::TooLong));
        assert_eq!(parse(&[&" ".repeat(20_000)]), Err(ChallengeError::TooLong));
        let many: String = (0..65).map(|i| format!("p{i}=x,")).collect();
        assert_eq!(parse(&[&format!("Bearer {many}")]), Err(ChallengeError::TooLong));
    }

    #[test]
    fn a_malformed_challenge_spoils_its_own_field_line_alone() {
        let long = format!("Bearer realm=\"{}\"", "x".repeat(9_000));
        for bad in ["Bearer realm=\"a", "DPoP error=use_dpop_nonce, x=", &long, &"a,".repeat(40)] {
            let read = Challenge::parse_fields(&[b"Basic realm=x", bad.as_bytes(), b"DPoP algs=ES256"]);
            let schemes: Vec<_> = read.list.iter().map(Challenge::scheme).collect();
            assert_eq!((schemes, read.ignored.is_some()), (Vec::from(["Basic", "DPoP"]), true), "{bad:.40}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let challenge = Challenge::new("DPoP").unwrap().with_param("error", "use_dpop_nonce").unwrap();
        let challenge = challenge.with_param("error_description", "a \"b\" \\ ,c=d").unwrap();
        assert_eq!(challenge.to_string(), r#"DPoP error="use_dpop_nonce", error_description="a \"b\" \\ ,c=d""#);
        let bearer = Challenge::new("Bearer").unwrap();
        assert_eq!(parse(&[&format!("{bearer}, {challenge}")]).unwrap(), [bearer.clone(), challenge.clone()]);
        assert_eq!(parse(&[&format!("{challenge}, {bearer}")]).unwrap(), [challenge.clone(), bearer]);
        assert_eq!(Challenge::new("a b"), Err(ChallengeError::Token));
        assert_eq!(challenge.clone().with_param("x", "a\r\nSet-Cookie: b"), Err(ChallengeError::Character));
        assert_eq!(challenge.clone().with_param("Error", "x"), Err(ChallengeError::DuplicateParam));
        assert_eq!(challenge.with_param("a b", "x"), Err(ChallengeError::Token));
    }
}
