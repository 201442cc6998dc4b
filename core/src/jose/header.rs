//! The protected header of a proof or token as read (RFC 7515 section 4), before any rule is applied.

use super::jwk::raw::RawJwk;
use crate::json::{self, JsonError, Member, Text};

/// The longest of their names, in bytes.
const LONGEST_NAME: usize = 4;

/// The header parameters that matter.
#[derive(Default)]
pub(crate) struct Header<'a> {
    pub(crate) typ: Member<Text<'a>>,
    pub(crate) alg: Member<Text<'a>>,
    pub(crate) jwk: Member<RawJwk<'a>>,
    #[cfg(feature = "oauth")]
    pub(crate) kid: Member<Text<'a>>,
    /// `crit` is there, whatever its value: this library understands no extension that it could name.
    pub(crate) crit: bool,
    /// `b64` is there and `false` (RFC 7797).
    pub(crate) unencoded: bool,
}

impl<'a> Header<'a> {
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, JsonError> {
        let mut header = Self::default();
        json::read_object(json, |reader, name| {
            match &*name.among_known(LONGEST_NAME) {
                b"typ" => header.typ = reader.text()?,
                b"alg" => header.alg = reader.text()?,
                #[cfg(feature = "oauth")]
                b"kid" => header.kid = reader.text()?,
                b"jwk" => {
                    let mut jwk = RawJwk::default();
                    let is_object = reader.object_or_skip(|reader, name| jwk.member(reader, name))?;
                    header.jwk = is_object.then_some(jwk).into();
                }
                b"crit" => {
                    header.crit = true;
                    reader.skip()?;
                }
                b"b64" => header.unencoded = reader.is_false()?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(header)
    }
}
