//! The claims of a proof as read (RFC 9449 section 4.2), before any rule is applied.

use crate::json::{self, JsonError, Member, Text};

/// The longest of their names, in bytes.
const LONGEST_NAME: usize = 5;

/// The claims that matter. Numbers are kept as written.
#[derive(Default)]
pub(crate) struct Claims<'a> {
    pub(crate) jti: Member<Text<'a>>,
    pub(crate) htm: Member<Text<'a>>,
    pub(crate) htu: Member<Text<'a>>,
    pub(crate) iat: Member<&'a str>,
    pub(crate) ath: Member<Text<'a>>,
    pub(crate) nonce: Member<Text<'a>>,
    pub(crate) exp: Member<&'a str>,
    pub(crate) nbf: Member<&'a str>,
}

/// The names of the claims a proof itself uses.
pub(crate) const PROOF_CLAIMS: [&str; 6] = ["jti", "htm", "htu", "iat", "ath", "nonce"];

impl<'a> Claims<'a> {
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, JsonError> {
        let mut claims = Self::default();
        json::read_object(json, |reader, name| {
            match &*name.among_known(LONGEST_NAME) {
                b"jti" => claims.jti = reader.text()?,
                b"htm" => claims.htm = reader.text()?,
                b"htu" => claims.htu = reader.text()?,
                b"iat" => claims.iat = reader.number()?,
                b"ath" => claims.ath = reader.text()?,
                b"nonce" => claims.nonce = reader.text()?,
                b"exp" => claims.exp = reader.number()?,
                b"nbf" => claims.nbf = reader.number()?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(claims)
    }
}
