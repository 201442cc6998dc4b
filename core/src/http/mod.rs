//! HTTP as far as OAuth speaks it: URIs, challenges, forms, requests and responses.

pub(crate) mod bytes;
pub mod challenge;
#[cfg(feature = "oauth")]
pub mod date;
#[cfg(feature = "oauth")]
pub mod form;
#[cfg(feature = "oauth")]
pub mod message;
#[cfg_attr(not(any(feature = "dpop", feature = "oauth")), allow(dead_code, reason = "nothing is compared then"))]
pub mod uri;
#[cfg(feature = "oauth")]
pub mod url;
