//! Numbers of other languages, of which some have one type for all: the one place where they are converted.
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "out of range they saturate, what is not a number is 0, and what is beyond 2^53 never occurs"
)]

use crate::error::{Error, Own};

/// Seconds; a fraction is cut off.
pub const fn seconds(number: f64) -> i64 {
    number as i64
}

/// A version of a stored value, from 0 to 2^53; a fraction is cut off.
pub const fn whole(number: f64) -> u64 {
    number as u64
}

/// What is never negative: a version, a lifetime. 0, if it is all the same.
pub const fn not_negative(number: i64) -> u64 {
    if number < 0 { 0 } else { number.cast_unsigned() }
}

/// A count of things.
///
/// # Errors
/// Misuse, if it is negative or above 2^32 - 1.
pub fn count(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::own(Own::OutOfRange, "a count is a whole number from 0 to 4294967295"))
}

/// A number of seconds for JavaScript.
pub const fn of_seconds(seconds: i64) -> f64 {
    seconds as f64
}

/// A whole number for JavaScript.
pub const fn of_whole(number: u64) -> f64 {
    number as f64
}

/// A count for JavaScript.
pub const fn of_count(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_saturates() {
        assert_eq!((seconds(1.9), seconds(-1.9), seconds(f64::NAN), seconds(f64::INFINITY)), (1, -1, 0, i64::MAX));
        assert!(count(-1).is_err() && count(1 << 32).is_err() && count(7) == Ok(7));
        assert_eq!((not_negative(-1), not_negative(7)), (0, 7));
        assert_eq!((whole(2.5), whole(-1.0), whole(f64::NAN)), (2, 0, 0));
        assert_eq!((of_seconds(-7), of_whole(7), of_count(7)), (-7.0, 7.0, 7.0));
    }
}
