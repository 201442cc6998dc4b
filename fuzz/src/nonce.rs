//! `nonce`: characters of RFC 9449 section 8.1, and nonces that only the issuer can make.

use keybound::base64url;
use keybound::nonce::issuer::{NonceIssuer, NonceKey, NonceKeys, NonceVerdict};
use keybound::nonce::{Nonce, Role};
use keybound::replay::StoreEpoch;
use keybound::{RUSTCRYPTO, UnixTime};

use crate::story::KEY_THUMBPRINT;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const EPOCH: StoreEpoch = StoreEpoch::from_u64(0x5a5a);
const ROLES: [Role; 2] = [Role::AuthorizationServer, Role::ResourceServer];

/// The input is the text of a nonce; and it is laid over a good one, of which it must leave nothing.
pub fn nonce(data: &[u8]) {
    let parsed = Nonce::parse(data);
    let permitted = (1..=Nonce::MAX_LEN).contains(&data.len())
        && data.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    assert_eq!(parsed.is_ok(), permitted);
    assert_eq!(Nonce::from_fields(&[data]), parsed.clone().map(Some));
    assert!(Nonce::from_fields(&[data, data]).is_err());
    if let Ok(nonce) = &parsed {
        assert_eq!(nonce.as_str().as_bytes(), data);
        assert_eq!(serde_json::to_string(nonce.as_str()).ok(), Some(format!("\"{nonce}\"")), "it needs escapes");
    }

    for issuer in [issuer(), issuer().bound_to_thumbprint()] {
        for role in ROLES {
            if let Ok(text) = std::str::from_utf8(data) {
                assert_eq!(
                    issuer.check(text, role, &KEY_THUMBPRINT, EPOCH, NOW),
                    NonceVerdict::Unknown,
                    "a forged nonce"
                );
            }
            let good = issuer.issue(role, Some(&KEY_THUMBPRINT), EPOCH, NOW).expect("a nonce");
            assert!(matches!(issuer.check(good.as_str(), role, &KEY_THUMBPRINT, EPOCH, NOW), NonceVerdict::Valid(_)));
            let mut bytes = base64url::decode(good.as_str().as_bytes()).expect("base64url");
            bytes.iter_mut().zip(data).for_each(|(byte, change)| *byte ^= change);
            // Asked of the input: comparing with the good nonce would show it to libFuzzer, which watches comparisons.
            if data.iter().take(bytes.len()).any(|change| *change != 0) {
                let changed = base64url::encode(&bytes);
                let verdict = issuer.check(&changed, role, &KEY_THUMBPRINT, EPOCH, NOW);
                assert_eq!(verdict, NonceVerdict::Unknown, "a changed nonce");
            }
        }
    }
}

fn issuer() -> NonceIssuer {
    let key = NonceKey::from_secret(1, [0x5a; 32]).expect("a key");
    let mut keys = NonceKeys::new(key);
    keys.rotate(NonceKey::from_secret(2, [0xa5; 32]).expect("a key")).expect("another key");
    NonceIssuer::new(RUSTCRYPTO.mac, keys, "https://api.example.com")
}
