//! stub
use core::fmt;
/// stub
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UriError {}
impl fmt::Display for UriError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
pub(crate) fn without_query(target: &str) -> Result<&str, UriError> {
    Ok(target.split(['?', '#']).next().unwrap_or_default())
}
