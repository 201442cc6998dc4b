//! A proof with the request it came with, borrowed for a call, or owned by a language that has its texts elsewhere.

use keybound::replay::StoreEpoch;
use keybound::{Context, Presentation, Rejection, TargetUri};

use crate::error::{Error, Own};
use crate::plain::{bytes, parse_thumbprint};

/// A proof as it comes with a request.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The method, as received.
    pub method: &'a str,
    /// The target URI from configuration and the raw path: never from a decoded path or an unchecked `Host`.
    pub url: &'a str,
    /// The values of all `DPoP` fields.
    pub proofs: &'a [&'a [u8]],
    /// The access token without scheme; none makes it a request to the authorization server.
    pub access_token: Option<&'a str>,
    /// The thumbprint that the token (`cnf.jkt`), code or refresh token is bound to. A token needs one.
    pub bound_to: Option<&'a str>,
    /// The one nonce this client was given, where the host remembers it itself.
    pub expected_nonce: Option<&'a str>,
    /// The epoch of the replay store, so that nonces vouch for its present life.
    pub epoch: Option<&'a str>,
}

/// The same, owned.
#[derive(Clone)]
pub struct OwnedPresented {
    /// As of [`Presented::method`].
    pub method: String,
    /// As of [`Presented::url`].
    pub url: String,
    /// As of [`Presented::proofs`].
    pub proofs: Vec<Vec<u8>>,
    /// As of [`Presented::access_token`].
    pub access_token: Option<String>,
    /// As of [`Presented::bound_to`].
    pub bound_to: Option<String>,
    /// As of [`Presented::expected_nonce`].
    pub expected_nonce: Option<String>,
    /// As of [`Presented::epoch`].
    pub epoch: Option<String>,
}

impl Presented<'_> {
    /// Hands the request to the core.
    pub(crate) fn with<T>(&self, epoch: StoreEpoch, judge: impl FnOnce(&Presentation<'_>) -> T) -> Result<T, Error> {
        // A target that is none is a fault of the request, not of its proof; or of the caller, who reads what is wrong with it.
        let malformed = |what| Error::from(Rejection::TargetMalformed).with_status(400).because(what);
        let target = TargetUri::parse(self.url).map_err(malformed)?;
        let bound_to = self.bound_to.map(parse_thumbprint).transpose()?;
        let context = match (self.access_token, bound_to) {
            (None, dpop_jkt) => Context::TokenEndpoint { dpop_jkt },
            (Some(access_token), Some(bound_to)) => Context::Resource { access_token, bound_to },
            (Some(_), None) => {
                return Err(Error::own(
                    Own::MissingOption,
                    "an access token is verified with the thumbprint it is bound to: give its cnf.jkt as `bound_to`",
                ));
            }
        };
        let presentation = Presentation::new(self.method, &target, self.proofs, context).in_epoch(epoch);
        Ok(judge(&match self.expected_nonce {
            Some(nonce) => presentation.expecting_nonce(nonce),
            None => presentation,
        }))
    }
}

impl OwnedPresented {
    pub(crate) fn of(presented: &Presented<'_>) -> Self {
        Self {
            method: presented.method.into(),
            url: presented.url.into(),
            proofs: presented.proofs.iter().map(|proof| proof.to_vec()).collect(),
            access_token: presented.access_token.map(Into::into),
            bound_to: presented.bound_to.map(Into::into),
            expected_nonce: presented.expected_nonce.map(Into::into),
            epoch: presented.epoch.map(Into::into),
        }
    }

    /// Lends it for a call.
    pub fn show<T>(&self, judge: impl FnOnce(&Presented<'_>) -> T) -> T {
        let proofs: Vec<&[u8]> = self.proofs.iter().map(Vec::as_slice).collect();
        judge(&Presented {
            method: &self.method,
            url: &self.url,
            proofs: &proofs,
            access_token: self.access_token.as_deref(),
            bound_to: self.bound_to.as_deref(),
            expected_nonce: self.expected_nonce.as_deref(),
            epoch: self.epoch.as_deref(),
        })
    }
}

/// The bytes of byte strings.
///
/// # Errors
/// Misuse, if a text has a character above U+00FF.
pub fn byte_strings(texts: &[String]) -> Result<Vec<Vec<u8>>, Error> {
    texts.iter().map(|text| bytes(text)).collect()
}
