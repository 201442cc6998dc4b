//! One life of a server: its key, its text, its epoch and floor.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fault::{Fault, shown};
use super::info::{Identity, Sections};
use crate::hex;
use crate::replay::{ReplayAgreement, StoreEpoch, StoreFloor};
use crate::time::UnixTime;

/// Version of the text, and with it of all that is stored under a namespace.
const FORMAT: &str = "1";
const MAX_TEXT_LEN: usize = 256;

/// What is written down about a life: `1 AGREEMENT EPOCH FLOOR OFFSET`, in hexadecimal, hexadecimal, seconds, seconds, and how many keys
/// the server had evicted by then, if any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) agreement: ReplayAgreement,
    pub(super) epoch: StoreEpoch,
    /// The founder's clock, and how far another verifier's may have been ahead of it.
    pub(super) floor: UnixTime,
    /// The server's clock less the founder's.
    pub(super) offset: i64,
    pub(super) evicted: u64,
}

impl Life {
    /// For which proofs it vouches.
    pub(super) const fn vouching(&self) -> StoreFloor {
        StoreFloor::new(self.floor, self.epoch)
    }

    pub(super) fn to_text(self) -> String {
        let mut text = format!("{FORMAT} ");
        push_hex(&mut text, self.agreement.as_bytes());
        text.push_str(&format!(" {} {} {}", epoch_text(self.epoch), self.floor.secs(), self.offset));
        if self.evicted > 0 {
            text.push_str(&format!(" {}", self.evicted));
        }
        text
    }

    /// Reads what a server holds.
    ///
    /// # Errors
    /// [`Fault::Disagrees`] if it is of another format or agreement than `expected`; [`Fault::Malformed`].
    pub(super) fn read(text: &[u8], expected: ReplayAgreement) -> Result<Self, Fault> {
        let text = core::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT_LEN).ok_or(Fault::Malformed)?;
        let (format, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (agreement, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if format != FORMAT || bytes::<16>(agreement) != Some(*expected.as_bytes()) {
            let mut ours = format!("{FORMAT}:");
            push_hex(&mut ours, expected.as_bytes());
            return Err(Fault::Disagrees { found: shown(&format!("{format}:{agreement}")), expected: ours });
        }
        let life = Self::of_fields(rest, expected).ok_or(Fault::Malformed)?;
        // What is compared later is the text, so there is one for each life.
        if life.to_text() == text { Ok(life) } else { Err(Fault::Malformed) }
    }

    fn of_fields(text: &str, agreement: ReplayAgreement) -> Option<Self> {
        let mut fields = text.split(' ');
        let epoch = u64::from_be_bytes(bytes(fields.next()?)?);
        let floor = fields.next()?.parse().ok()?;
        let offset = fields.next()?.parse().ok()?;
        let evicted = match fields.next() {
            Some(evicted) => evicted.parse().ok()?,
            None => 0,
        };
        let life =
            Self { agreement, epoch: StoreEpoch::from_u64(epoch), floor: UnixTime::from_secs(floor), offset, evicted };
        fields.next().is_none().then_some(life)
    }
}

/// A life that is open: what is compared after each insert.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OpenLife {
    pub(super) life: Life,
    pub(super) text: Vec<u8>,
    pub(super) identity: Identity,
    pub(super) sections: Sections,
}

/// The key that a life is kept under: what the server calls itself is part of it, so that no other server has the same.
pub(super) fn key(prefix: &[u8], identity: &Identity) -> Vec<u8> {
    [prefix, b"life:", &identity.run, b":", &identity.replication].concat()
}

/// The key by which verifiers whose clocks agree with a life say so.
pub(super) fn vouched_key(prefix: &[u8]) -> Vec<u8> {
    [prefix, b"vouched"].concat()
}

/// An epoch as it is written down.
pub(super) fn epoch_text(epoch: StoreEpoch) -> String {
    format!("{:016x}", epoch.to_u64())
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    text.extend(bytes.iter().flat_map(|byte| hex::digits(*byte)).map(|digit| char::from(digit.to_ascii_lowercase())));
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|pair| hex::byte(*pair)).collect::<Option<Vec<u8>>>()?;
    if rest.is_empty() { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::Life;
    use crate::replay::redis::fault::Fault;
    use crate::replay::{ReplayAgreement, StoreEpoch};
    use crate::time::UnixTime;

    const AGREEMENT: ReplayAgreement = ReplayAgreement::from_bytes([0xab; 16]);
    const TEXT: &str = "1 abababababababababababababababab 00000000000000ff 1700000010 -3";

    #[test]
    fn a_life_has_one_text() {
        let life = Life {
            agreement: AGREEMENT,
            epoch: StoreEpoch::from_u64(255),
            floor: UnixTime::from_secs(1_700_000_010),
            offset: -3,
            evicted: 0,
        };
        assert_eq!(life.to_text(), TEXT);
        assert!(Life::read(TEXT.as_bytes(), AGREEMENT) == Ok(life));
        let evicted = Life { evicted: 7, ..life };
        assert_eq!(evicted.to_text(), alloc::format!("{TEXT} 7"));
        assert!(Life::read(evicted.to_text().as_bytes(), AGREEMENT) == Ok(evicted));
        for other in ["-03", "+3", "-3 0", "-3 7 8", "-3 ", "", "x"] {
            let text = TEXT.replace("-3", other);
            assert!(Life::read(text.as_bytes(), AGREEMENT) == Err(Fault::Malformed), "{text}");
        }
    }

    #[test]
    fn another_format_or_agreement_is_named() {
        for other in [TEXT.replacen('1', "2", 1), TEXT.replacen("ab", "ac", 1), "2".into(), "1 ".into(), "".into()] {
            let Err(Fault::Disagrees { found, expected }) = Life::read(other.as_bytes(), AGREEMENT) else {
                panic!("{other}")
            };
            assert_eq!(expected, "1:abababababababababababababababab");
            assert_ne!(found, expected);
        }
        assert!(Life::read(&[b'1'; 300], AGREEMENT) == Err(Fault::Malformed));
    }
}
