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
