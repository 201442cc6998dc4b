//! The target URI.
/// x
pub struct TargetUri(alloc::string::String);
impl TargetUri {
    /// x
    pub fn parse(t: &str) -> Result<Self, super::uri::UriError> {
        Ok(Self(super::uri::without_query(t)?.into()))
    }
    /// x
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
