//! The target URI of a request, as the server knows it.

use alloc::string::String;
use core::fmt;

use super::source::TargetSource;
use crate::http::uri::{Parts, UriError};

/// The target URI of a request: absolute, `http` or `https`, in the normal form of RFC 3986 sections 6.2.2 and 6.2.3,
/// without query and fragment.
///
/// ```
/// use keybound::TargetUri;
/// let target = TargetUri::parse("HTTPS://API.example.com:443/a/../items?page=2")?;
/// assert_eq!(target.as_str(), "https://api.example.com/items");
/// # Ok::<(), keybound::http::uri::UriError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUri {
    normal: String,
    /// Where the path begins.
    origin_len: usize,
}

impl TargetUri {
    /// Reads the URI of a request that the server knows whole.
    ///
    /// Most servers know a path and a configured origin instead: see [`TargetUri::fixed`].
    ///
    /// # Errors
    /// [`UriError`] names the defect.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        let parts = Parts::parse(uri)?;
        let mut normal = String::with_capacity(uri.len().saturating_add(1));
        parts.write_normal(&mut normal);
        let origin_len = parts.origin_len(&normal);
        Ok(Self { normal, origin_len })
    }

    /// Where targets come from in a server that is reached under one public origin, such as `https://api.example.com`.
    ///
    /// # Errors
    /// [`UriError`] if `origin` is no scheme, host and optional port; a path other than `/` is a
    /// [`UriError::Character`]: give it with [`TargetSource::path_prefix`].
    pub fn fixed(origin: &str) -> Result<TargetSource, UriError> {
        TargetSource::new(origin)
    }

    /// The URI in normal form.
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// Scheme, host and port, and the path.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.normal.split_at_checked(self.origin_len).unwrap_or((&self.normal, ""))
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

impl fmt::Debug for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUri({})", self.normal)
    }
}
