//! Where a server's target URIs come from: configuration, or trusted proxies (never an unchecked `Host`).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::forwarded::TrustedProxies;
use super::route::has_dot_segment;
use crate::TargetUri;
use crate::http::uri::{Parts, UriError};

/// Gives the target URI of each request from a configured origin and the raw request target.
///
/// Header fields count for nothing unless [`behind`](Self::behind) names the proxies that set them, and
/// even then the resulting origin must be one of those configured.
///
/// ```
/// use keybound::TargetUri;
/// use keybound::server::source::RequestHead;
/// let source = TargetUri::fixed("https://api.example.com")?;
/// let head = RequestHead { peer: None, raw_target: b"/a%2Fb?page=2", fields: &[] };
/// assert_eq!(source.resolve(&head).unwrap().as_str(), "https://api.example.com/a%2Fb");
/// # Ok::<(), keybound::http::uri::UriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TargetSource {
    /// In normal form, without the slash of the path.
    origins: Vec<String>,
    pub(super) prefix: String,
    pub(super) mount_path: String,
    proxies: Option<TrustedProxies>,
}

/// The parts of a request that its target is taken from.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The address of the peer that this server accepted the connection from.
    pub peer: Option<IpAddr>,
    /// The request target as received, never a decoded path: `/path?query`, or an absolute URI.
    pub raw_target: &'a [u8],
    /// All header fields as received, one element for each field line; only those of trusted proxies are read.
    pub fields: &'a [(&'a str, &'a [u8])],
}

/// Why a request has no target that a proof could be for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// The request target is malformed.
    Uri(UriError),
    /// The request target is neither a path nor an absolute URI (`*`, or the authority form of CONNECT).
    Form,
    /// The path has a segment `.` or `..`, with the dots as they are or as `%2e`: the application would route it as it stands,
    /// and the proof is for the path without it.
    DotSegment,
    /// The request states another mount point than configured, or a path that is not the one it was sent to.
    MountPath,
    /// The peer is not one of the trusted proxies.
    UntrustedPeer,
    /// A forwarding field is missing.
    ForwardedMissing,
    /// A forwarding field occurs twice, or holds another number of values than its rule says.
    ForwardedCount,
    /// A forwarding field is malformed.
    ForwardedMalformed,
    /// The origin is not one of those configured.
    UnknownOrigin,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uri(error) => return write!(f, "the request target cannot be used: {error}"),
            Self::Form => "the request target is neither a path nor an absolute URI",
            Self::DotSegment => "the request target has a segment . or ..; resolve it before the request is sent",
            Self::MountPath => "the request states another mount point than configured; configure the mount point of this application",
            Self::UntrustedPeer => "the peer is not a trusted proxy; list its address, or let requests come through the proxy",
            Self::ForwardedMissing => "a forwarding field is missing; let the proxy set it on every request",
            Self::ForwardedCount => "a forwarding field has another number of values than configured; let the proxy replace it instead of appending, or count the proxies",
            Self::ForwardedMalformed => "a forwarding field is malformed",
            Self::UnknownOrigin => "the origin is not one of those configured; add it if it is yours",
        })
    }
}

impl core::error::Error for TargetError {}
debug_as_text!(TargetError);

impl From<UriError> for TargetError {
    fn from(error: UriError) -> Self {
        Self::Uri(error)
    }
}

impl TargetUri {
    /// Where targets come from in a server that is reached under one public origin, such as `https://api.example.com`.
    ///
    /// # Errors
    /// [`UriError`] if `origin` is no scheme, host and optional port; a path other than `/` is
    /// [`UriError::Origin`]: give it with [`TargetSource::path_prefix`].
    pub fn fixed(origin: &str) -> Result<TargetSource, UriError> {
        TargetSource::new(origin)
    }
}

impl TargetSource {
    pub(super) fn new(origin: &str) -> Result<Self, UriError> {
        Ok(Self {
            origins: alloc::vec![normal_origin(origin)?],
            prefix: String::new(),
            mount_path: String::new(),
            proxies: None,
        })
    }

    /// Permits another origin of this server, for use with trusted proxies or absolute request targets.
    ///
    /// # Errors
    /// As for [`TargetUri::fixed`].
    pub fn also_origin(mut self, origin: &str) -> Result<Self, UriError> {
        self.origins.push(normal_origin(origin)?);
        Ok(self)
    }

    /// Puts `prefix`, which a proxy strips from the paths, back in front of them. It begins with a slash and does not end
    /// with one.
    ///
    /// # Errors
    /// [`UriError::Prefix`] for another form or for dot segments, or what is wrong with its characters.
    pub fn path_prefix(mut self, prefix: &str) -> Result<Self, UriError> {
        let is_path = prefix.starts_with('/') && !prefix.ends_with('/');
        if !is_path || prefix.contains(['?', '#']) || has_dot_segment(prefix) {
            return Err(UriError::Prefix);
        }
        let mut probe = "https://prefix.invalid".to_owned();
        probe.push_str(prefix);
        Parts::parse(&probe)?;
        self.prefix = prefix.to_owned();
        Ok(self)
    }

    /// Takes scheme and host from the fields that these proxies set, for requests that come from them; others are refused.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { proxies: Some(proxies), ..self }
    }

    /// The target URI of a request.
    ///
    /// # Errors
    /// [`TargetError`]; a server answers 400, since it cannot know what the proof should be for.
    pub fn resolve(&self, request: &RequestHead<'_>) -> Result<TargetUri, TargetError> {
        let raw = core::str::from_utf8(request.raw_target).map_err(|_| UriError::NonAscii)?;
        let forwarded = self.proxies.as_ref().map(|proxies| proxies.origin(request)).transpose()?;
        let origin = match &forwarded {
            Some(origin) => normal_origin(origin).map_err(|_| TargetError::ForwardedMalformed)?,
            None => self.origins.first().cloned().unwrap_or_default(),
        };
        if !self.origins.contains(&origin) {
            return Err(TargetError::UnknownOrigin);
        }
        let path = match raw.strip_prefix('/') {
            Some(_) => raw,
            None => self.path_of_absolute(raw, &origin)?,
        };
        if has_dot_segment(path.split(['?', '#']).next().unwrap_or_default()) {
            return Err(TargetError::DotSegment);
        }
        let mut uri = String::with_capacity(origin.len().saturating_add(self.prefix.len()).saturating_add(path.len()));
        uri.push_str(&origin);
        uri.push_str(&self.prefix);
        uri.push_str(path);
        Ok(TargetUri::parse(&uri)?)
    }

    /// The address that a request came from: what a trusted proxy vouches for, where it says so, else the connection's peer. For
    /// [`Arrival::peer`](crate::server::Arrival::peer), and so for limits by address.
    pub fn client(&self, request: &RequestHead<'_>) -> Option<IpAddr> {
        self.proxies.as_ref().and_then(|proxies| proxies.client(request)).or(request.peer)
    }

    /// Whether all requests come through proxies that do not say from which address.
    #[cfg(feature = "oauth")]
    pub(crate) fn hides_clients(&self) -> bool {
        self.proxies.as_ref().is_some_and(|proxies| !proxies.name_clients())
    }

    /// The path and query of an absolute request target, whose origin must be `origin` (RFC 9112 section 3.2.2).
    fn path_of_absolute<'r>(&self, raw: &'r str, origin: &str) -> Result<&'r str, TargetError> {
        let parts = match Parts::parse(raw) {
            Err(UriError::NotAbsolute | UriError::Scheme | UriError::NoAuthority) => return Err(TargetError::Form),
            parts => parts?,
        };
        let root = parts.root();
        let mut own = String::new();
        root.write_normal(&mut own);
        if own.strip_suffix('/') != Some(origin) {
            return Err(TargetError::UnknownOrigin);
        }
        let path_start = parts.bare.len().saturating_sub(parts.path.len());
        Ok(raw.get(path_start..).unwrap_or_default())
    }
}

/// An origin in normal form: `https://api.example.com`, without the slash.
pub(super) fn normal_origin(origin: &str) -> Result<String, UriError> {
    let parts = Parts::parse(origin)?;
    if parts.bare.len() != origin.len() || !matches!(parts.path, "" | "/") {
        return Err(UriError::Origin);
    }
    let mut normal = String::new();
    parts.write_normal(&mut normal);
    normal.pop();
    Ok(normal)
}
