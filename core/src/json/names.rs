//! The member names of one object so far: what finds a name that occurs twice.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::JsonError;
use super::text::Text;

/// So many names are compared one with the other: nearly all objects have no more.
const FEW: usize = 12;

/// The first few names stand on the stack as they were written. All others, and those with escapes, are kept decoded and are sorted
/// once, at the end of the object: a stranger chooses the names, so that neither their number nor their spelling may make them dear.
/// An order needs no secret, as a hash would.
#[derive(Default)]
pub(super) struct Names<'a> {
    few: [&'a [u8]; FEW],
    on_stack: usize,
    others: Vec<Cow<'a, [u8]>>,
}

impl<'a> Names<'a> {
    pub(super) fn insert(&mut self, name: Text<'a>, limit: usize) -> Result<(), JsonError> {
        if self.on_stack.saturating_add(self.others.len()) >= limit {
            return Err(JsonError::TooComplex);
        }
        match (name.to_bytes(), self.few.get_mut(self.on_stack)) {
            (Cow::Borrowed(plain), Some(slot)) => {
                *slot = plain;
                let before = self.few.get(..self.on_stack).unwrap_or_default();
                if before.contains(&plain) {
                    return Err(JsonError::Duplicate);
                }
                self.on_stack = self.on_stack.saturating_add(1);
            }
            (bytes, _) => self.others.push(bytes),
        }
        Ok(())
    }

    /// Looks at the names that were not compared when they came.
    #[inline(always)]
    pub(super) fn check(self) -> Result<(), JsonError> {
        if self.others.is_empty() { Ok(()) } else { self.check_others() }
    }

    #[cold]
    fn check_others(mut self) -> Result<(), JsonError> {
        let few = self.few.get(..self.on_stack).unwrap_or(&self.few);
        self.others.extend(few.iter().map(|name| Cow::Borrowed(*name)));
        self.others.sort_unstable();
        let twice = self.others.windows(2).any(|pair| matches!(pair, [first, second] if first == second));
        if twice { Err(JsonError::Duplicate) } else { Ok(()) }
    }
}
