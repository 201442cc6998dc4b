//! Points in time as whole seconds, with arithmetic that cannot overflow.

use core::fmt;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted (a NumericDate
/// of RFC 7519 section 2, rounded down).
///
/// The core never reads a clock: every call that needs the time takes it as an argument.
///
/// ```
/// use keybound::UnixTime;
/// let now = UnixTime::from_secs(1_700_000_000);
/// assert_eq!(now.saturating_add(60).secs(), 1_700_000_060);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The time `secs` seconds after 1970 began (before it, if negative).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs)
    }

    /// Seconds since 1970 began.
    pub const fn secs(self) -> i64 {
        self.0
    }

    /// This time plus `secs` seconds, stopping at the largest representable time.
    pub const fn saturating_add(self, secs: u64) -> Self {
        Self(self.0.saturating_add_unsigned(secs))
    }

    /// This time minus `secs` seconds, stopping at the smallest representable time.
    pub const fn saturating_sub(self, secs: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(secs))
    }

    /// Seconds from `earlier` to this time; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
    }

    /// What the system's clock says.
    ///
    /// A clock set before 1970 reads as 1970.
    #[cfg(feature = "std")]
    pub fn now() -> Self {
        let secs =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        Self(i64::try_from(secs).unwrap_or(i64::MAX))
    }
}

impl fmt::Debug for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixTime({})", self.0)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::UnixTime;

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let end = UnixTime::from_secs(i64::MAX);
        assert_eq!(end.saturating_add(1), end);
        let start = UnixTime::from_secs(i64::MIN);
        assert_eq!(start.saturating_sub(u64::MAX), start);
        assert_eq!(end.since(start), u64::MAX);
        assert_eq!(start.since(end), 0);
    }
}
