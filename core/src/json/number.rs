//! JSON numbers as whole seconds.

/// The number `text` (as written in JSON) rounded down, stopping at the ends of `i64`.
///
/// Fractions and exponents are permitted (RFC 7519 section 2), and every number has a value: `1e400` is the
/// largest, `-1e400` the smallest.
pub(crate) fn floor(text: &str) -> i64 {
    if let Ok(integer) = text.parse() {
        return integer;
    }
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes()).map(|digit| i64::from(digit.saturating_sub(b'0')));
    if digits().all(|digit| digit == 0) {
        return 0;
    }
    // An exponent too long for i64 moves the point out of sight all the same.
    let exponent = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN } else { i64::MAX });
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
    let mut magnitude = 0_i64;
    let mut position = 0_i64;
    let mut rest = digits();
    while position < point && magnitude < i64::MAX {
        let digit = rest.next();
        if digit.is_none() && magnitude == 0 {
            break;
        }
        magnitude = magnitude.saturating_mul(10).saturating_add(digit.unwrap_or(0));
        position = position.saturating_add(1);
    }
    let fractional = rest.any(|digit| digit != 0);
    match (negative, fractional) {
        (false, _) => magnitude,
        (true, false) if magnitude == i64::MAX => i64::MIN,
        (true, false) => magnitude.saturating_neg(),
        (true, true) => magnitude.saturating_neg().saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::floor;

    #[test]
    fn every_number_has_a_floor() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("1700000000", 1_700_000_000),
            ("1700000000.9", 1_700_000_000),
            ("1.7e9", 1_700_000_000),
            ("17000000000e-1", 1_700_000_000),
            ("0.17E+10", 1_700_000_000),
            ("-1.5", -2),
            ("-1.0", -1),
            ("-0.1", -1),
            ("9e-1", 0),
            ("1e400", i64::MAX),
            ("-1e400", i64::MIN),
            ("1e99999999999999999999", i64::MAX),
            ("1e-99999999999999999999", 0),
            ("0e99999999999999999999", 0),
            ("18446744073709551615", i64::MAX),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("0.00", 0),
            ("100e-2", 1),
            ("0.0001e4", 1),
            ("0.00015e4", 1),
        ] {
            assert_eq!(floor(text), value, "{text}");
        }
    }
}
