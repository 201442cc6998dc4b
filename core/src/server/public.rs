//! Paths that an application answers without credentials.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::route::has_dot_segment;

/// The paths of an application that need no credentials.
///
/// An entry is one path, or all paths below one: `/static/*` is `/static/app.css` and `/static/a/b`, but neither `/static`, `/static/`
/// nor `/statics`. Both are compared with the decoded path that the application routes by
/// ([`TargetSource::route`](super::source::TargetSource::route)), whole segments at a time.
///
/// ```
/// use keybound::server::public::PublicPaths;
/// let public = PublicPaths::of(["/health", "/static/*"])?;
/// assert!(public.contain("/health") && public.contain("/static/app.css"));
/// assert!(!public.contain("/healthz") && !public.contain("/static/../items"));
/// # Ok::<(), keybound::server::public::NotPublicPath>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PublicPaths(Vec<String>);

/// Why a text is not an entry of [`PublicPaths`]: it would match nothing, or other paths than it seems to.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPublicPath {
    /// It does not begin with a slash.
    Relative,
    /// It has a query or a fragment, which are no part of a path.
    Query,
    /// It has a pattern other than `/*` at its end.
    Pattern,
    /// It has an empty segment or one of dots: such requests are refused.
    Segment,
    /// It has an encoded character, and paths are compared decoded.
    Encoded,
}

impl fmt::Display for NotPublicPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relative => "it does not begin with a slash",
            Self::Query => "it has a query or a fragment, which are not part of a path",
            Self::Pattern => "it has a pattern, and the only one is /* at the end, for all paths below",
            Self::Segment => "it has an empty segment or one of dots, and such requests are refused",
            Self::Encoded => "it has an encoded character, and paths are compared decoded",
        })
    }
}

impl core::error::Error for NotPublicPath {}
debug_as_text!(NotPublicPath);

impl PublicPaths {
    /// These entries.
    ///
    /// # Errors
    /// [`NotPublicPath`] for the first that cannot be used.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, NotPublicPath> {
        entries.into_iter().try_fold(Self::default(), Self::and)
    }

    /// These and one more entry.
    ///
    /// # Errors
    /// [`NotPublicPath`] if it cannot be used.
    pub fn and(mut self, entry: &str) -> Result<Self, NotPublicPath> {
        if !entry.starts_with('/') {
            return Err(NotPublicPath::Relative);
        }
        if entry.contains(['?', '#']) {
            return Err(NotPublicPath::Query);
        }
        let path = entry.strip_suffix('*').filter(|folder| folder.ends_with('/')).unwrap_or(entry);
        if path.contains(['*', '{']) {
            return Err(NotPublicPath::Pattern);
        }
        if path.contains("//") || has_dot_segment(path) {
            return Err(NotPublicPath::Segment);
        }
        if has_escape(path) {
            return Err(NotPublicPath::Encoded);
        }
        self.0.push(entry.to_owned());
        Ok(self)
    }

    /// Whether the application answers this decoded, routed path without credentials.
    ///
    /// # Security
    /// What stands below an entry with `/*` is not public if it has a segment of dots or a backslash, which an escape can bring into a decoded path: a
    /// handler that resolves them would leave the place that is public.
    pub fn contain(&self, path: &str) -> bool {
        self.0.iter().any(|entry| match entry.strip_suffix('*') {
            Some(folder) => {
                path.strip_prefix(folder).is_some_and(|rest| !rest.is_empty())
                    && !has_dot_segment(path)
                    && !path.contains('\\')
            }
            None => path == entry,
        })
    }
}

/// Whether a text has a percent sign and two hexadecimal digits.
fn has_escape(text: &str) -> bool {
    text.split('%').skip(1).any(|rest| {
        let mut digits = rest.bytes();
        matches!((digits.next(), digits.next()), (Some(high), Some(low)) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::{NotPublicPath, PublicPaths};

    #[test]
    fn an_entry_is_one_path_or_all_below_one() {
        let public = PublicPaths::of(["/", "/health", "/100%", "/a.b/..c/", "/static/*", "/docs/v1/*"]).unwrap();
        for path in ["/", "/health", "/100%", "/a.b/..c/", "/static/x", "/static/x/y", "/static//x", "/docs/v1/a b"] {
            assert!(public.contain(path), "{path}");
        }
        for path in [
            "",
            "/Health",
            "/health/",
            "/healthz",
            "/static",
            "/static/",
            "/staticx",
            "/statics/x",
            "/docs/x",
            "/docs/v1",
        ] {
            assert!(!public.contain(path), "{path}");
        }
        assert!(PublicPaths::of(["/*"]).unwrap().contain("/x") && !PublicPaths::default().contain("/"));
    }

    #[test]
    fn dots_lead_out_of_no_public_place() {
        let public = PublicPaths::of(["/static/*"]).unwrap();
        for path in [
            "/static/../items",
            "/static/x/../../items",
            "/static/.",
            "/static/%2e%2e/items",
            "/static/..\\items",
            "/static\\x",
        ] {
            assert!(!public.contain(path), "{path}");
        }
    }

    #[test]
    fn an_entry_that_matches_nothing_is_refused() {
        for (entry, defect) in [
            ("", NotPublicPath::Relative),
            ("health", NotPublicPath::Relative),
            ("*", NotPublicPath::Relative),
            ("/a?b", NotPublicPath::Query),
            ("/a#b", NotPublicPath::Query),
            ("/items/{id}", NotPublicPath::Pattern),
            ("/a*", NotPublicPath::Pattern),
            ("/*/b", NotPublicPath::Pattern),
            ("/a/**", NotPublicPath::Pattern),
            ("//a", NotPublicPath::Segment),
            ("/a//b", NotPublicPath::Segment),
            ("/a//*", NotPublicPath::Segment),
            ("/a/../b", NotPublicPath::Segment),
            ("/.", NotPublicPath::Segment),
            ("/a/./*", NotPublicPath::Segment),
            ("/a%20b", NotPublicPath::Encoded),
            ("/a%2F/*", NotPublicPath::Encoded),
        ] {
            assert_eq!(PublicPaths::of([entry]).unwrap_err(), defect, "{entry}");
        }
    }
}
