//! The text form of a record, and that of its first format, which is still read.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::str::FromStr;

use super::{Earlier, KeyRingRecord, Left, Made};
use crate::jose::thumbprint::Thumbprint;
use crate::key::ring::RotationPolicy;
use crate::time::UnixTime;

/// The first line: what it is, and the version of the format.
const HEADING: &str = "keybound-key-ring 2";
/// The format that had neither policy nor deletions: a key for each line, the last one active.
const FIRST: &str = "keybound-key-ring 1";

impl KeyRingRecord {
    /// The longest text form in bytes: longer than any record.
    pub const MAX_LEN: usize = 256 + 128 * Self::MAX_KEYS;

    /// The text form: ASCII, one line for the format, one for the version, one for the policy and one for each key, each ending
    /// in a line feed. What was read from format 1 is written so until it changes.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Some(policy) = self.policy else {
            writeln!(text, "{FIRST}\nversion {}", self.version)?;
            return self.made().try_for_each(|made| writeln!(text, "key {made}"));
        };
        writeln!(text, "{HEADING}\nversion {}", self.version)?;
        writeln!(text, "policy {} {}", policy.rotate_after(), policy.retire_after())?;
        for Earlier { made, retires_at, left } in &self.earlier {
            match left {
                Left::Kept => writeln!(text, "earlier {made} {retires_at}")?,
                Left::Marked(at) => writeln!(text, "marked {made} {retires_at} {at}")?,
                Left::Deleted => writeln!(text, "deleted {made} {retires_at}")?,
            }
        }
        writeln!(text, "active {}", self.active)?;
        self.pending.iter().try_for_each(|made| writeln!(text, "pending {made}"))
    }

    /// Reads the text form. Each record has one spelling, and any other is refused.
    ///
    /// # Errors
    /// [`InvalidRecord`] names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidRecord> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidRecord::TooLong);
        }
        let mut lines = text.strip_suffix('\n').ok_or(InvalidRecord::Malformed)?.split('\n');
        let heading = lines.next();
        if heading != Some(HEADING) && heading != Some(FIRST) {
            return Err(InvalidRecord::Format);
        }
        let version = lines.next().and_then(|line| line.strip_prefix("version ")).and_then(number::<i64>);
        let version = version.filter(|version| *version > 0).ok_or(InvalidRecord::Malformed)?.unsigned_abs();
        let record = if heading == Some(FIRST) { parse_first(version, lines)? } else { parse(version, lines)? };
        record.check()?;
        Ok(record)
    }

    fn check(&self) -> Result<(), InvalidRecord> {
        if self.made().count() > Self::MAX_KEYS {
            return Err(InvalidRecord::TooLong);
        }
        let mut rest = self.made();
        while let Some(one) = rest.next() {
            if rest.clone().any(|other| other.thumbprint == one.thumbprint) {
                return Err(InvalidRecord::RepeatedKey);
            }
        }
        Ok(())
    }
}

fn parse<'a>(version: u64, mut lines: impl Iterator<Item = &'a str>) -> Result<KeyRingRecord, InvalidRecord> {
    let policy = lines.next().and_then(|line| line.strip_prefix("policy ")).and_then(|rest| rest.split_once(' '));
    let policy = policy.and_then(|(rotate, retire)| Some((number(rotate)?, number(retire)?)));
    let (rotate_after, retire_after) = policy.ok_or(InvalidRecord::Malformed)?;
    let policy = RotationPolicy::new(rotate_after, retire_after).map_err(|_| InvalidRecord::Policy)?;
    let mut earlier = Vec::new();
    let mut lines = lines.map(|line| line.split_once(' ').unwrap_or((line, "")));
    let active = loop {
        let (kind, rest) = lines.next().ok_or(InvalidRecord::Malformed)?;
        let key = match kind {
            "active" => break made(rest),
            "earlier" => ending(rest, |_| Left::Kept, false),
            "marked" => ending(rest, Left::Marked, true),
            "deleted" => ending(rest, |_| Left::Deleted, false),
            _ => None,
        };
        earlier.push(key.ok_or(InvalidRecord::Malformed)?);
    };
    let pending = match lines.next() {
        None => None,
        Some(("pending", rest)) => Some(made(rest).ok_or(InvalidRecord::Malformed)?),
        Some(_) => return Err(InvalidRecord::Malformed),
    };
    let active = active.filter(|_| lines.next().is_none()).ok_or(InvalidRecord::Malformed)?;
    Ok(KeyRingRecord { version, policy: Some(policy), earlier, active, pending })
}

fn parse_first<'a>(version: u64, lines: impl Iterator<Item = &'a str>) -> Result<KeyRingRecord, InvalidRecord> {
    let keys = lines.map(|line| line.strip_prefix("key ").and_then(made).ok_or(InvalidRecord::Malformed));
    let keys = keys.collect::<Result<Vec<Made>, _>>()?;
    // A successor was made in the instant in which its predecessor was superseded.
    let pairs = keys.iter().zip(keys.iter().skip(1));
    if pairs.clone().any(|(one, next)| one.at > next.at) {
        return Err(InvalidRecord::TimesFall);
    }
    let earlier = pairs.map(|(made, next)| Earlier { made: *made, retires_at: next.at, left: Left::Kept }).collect();
    let active = *keys.last().ok_or(InvalidRecord::Malformed)?;
    Ok(KeyRingRecord { version, policy: None, earlier, active, pending: None })
}

/// `THUMBPRINT TIME`.
fn made(text: &str) -> Option<Made> {
    let (thumbprint, at) = text.split_once(' ')?;
    Some(Made { thumbprint: Thumbprint::parse(thumbprint)?, at: UnixTime::from_secs(number(at)?) })
}

/// `THUMBPRINT TIME TIME`, with one more time where the kind of line has one.
fn ending(text: &str, left: fn(UnixTime) -> Left, marked: bool) -> Option<Earlier> {
    let (rest, mark) = if marked { text.rsplit_once(' ')? } else { (text, "0") };
    let (rest, retires_at) = rest.rsplit_once(' ')?;
    let left = left(UnixTime::from_secs(number(mark)?));
    Some(Earlier { made: made(rest)?, retires_at: UnixTime::from_secs(number(retires_at)?), left })
}

/// A decimal number in the one spelling that is written: no plus, no leading zeros, no `-0`.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', ..] => true,
        _ => false,
    };
    if canonical { text.parse().ok() } else { None }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.thumbprint, self.at)
    }
}

/// Why a text is not a key ring's record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InvalidRecord {
    /// The first line is not that of this format, or of a version this build does not know.
    Format,
    /// More keys than [`KeyRingRecord::MAX_KEYS`], or more text than those can take.
    TooLong,
    /// A line is missing, unknown or not in its one spelling.
    Malformed,
    /// The policy is one that [`RotationPolicy::new`] refuses.
    Policy,
    /// A key is older than the one before it, in format 1.
    TimesFall,
    /// Two lines name the same key.
    RepeatedKey,
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "not a key ring's record of a known version",
            Self::TooLong => "the record has too many keys",
            Self::Malformed => "a line of the record is missing or malformed",
            Self::Policy => "the record's policy makes no sense",
            Self::TimesFall => "a key of the record is older than the one before it",
            Self::RepeatedKey => "the record names a key twice",
        })
    }
}

impl core::error::Error for InvalidRecord {}
debug_as_text!(InvalidRecord);
