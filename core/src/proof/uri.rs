//! stub
use super::target::TargetUri;
use core::fmt;
/// stub
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UriError {
    /// x
    X,
}
impl fmt::Display for UriError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
pub(crate) fn without_query(target: &str) -> Result<&str, UriError> {
    Ok(target.split(['?', '#']).next().unwrap_or_default())
}
pub(crate) fn equals(claim: &str, target: &TargetUri) -> Result<bool, UriError> {
    Ok(without_query(claim)? == target.as_str())
}
pub(crate) fn has_query_or_fragment(claim: &str) -> bool {
    claim.contains(['?', '#'])
}
