//! x
use super::rejection::Rejection;
pub(crate) struct Advice {
    pub(crate) meaning: &'static str,
}
pub(crate) fn of(_r: Rejection) -> Advice {
    Advice { meaning: "x" }
}
