//! The crypto provider of each build. Randomness is the host's: `crypto.getRandomValues`.

use keybound::Crypto;
use keybound::crypto::{RandomUnavailable, SecureRandom};
use wasm_bindgen::prelude::wasm_bindgen;

/// RustCrypto, with the host's randomness.
#[cfg(feature = "server")]
pub(crate) const CRYPTO: Crypto = keybound::crypto::rustcrypto::with_random(&HostRandom);

/// ES256 and Ed25519: pages explain and try out proofs with this build, and load all of it.
#[cfg(all(feature = "full", not(feature = "server")))]
pub(crate) const CRYPTO: Crypto = keybound::crypto::rustcrypto::compact(&HostRandom);

/// No key is held and no signature judged here: what signs is WebCrypto.
#[cfg(not(feature = "full"))]
pub(crate) const CRYPTO: Crypto =
    Crypto { digest: &client::Sha2, mac: &client::Sha2, random: &HostRandom, verifiers: &[], signers: &[] };

struct HostRandom;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn fill(out: &mut [u8]) -> crate::Result<()>;
}

impl SecureRandom for HostRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        // Not more than 65,536 bytes can be had at a time.
        out.chunks_mut(65_536).try_for_each(|chunk| fill(chunk).map_err(|_| RandomUnavailable))
    }
}

#[cfg(not(feature = "full"))]
mod client {
    use keybound::crypto::{Digest, Mac};
    use sha2::digest::Output;
    use sha2::{Sha256, Sha384, Sha512};

    pub(super) struct Sha2;

    fn hash<D: sha2::Digest>(parts: &[&[u8]]) -> Output<D> {
        let mut hasher = D::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    }

    impl Digest for Sha2 {
        fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
            hash::<Sha256>(parts).into()
        }

        fn sha384(&self, parts: &[&[u8]]) -> [u8; 48] {
            hash::<Sha384>(parts).into()
        }

        fn sha512(&self, parts: &[&[u8]]) -> [u8; 64] {
            hash::<Sha512>(parts).into()
        }
    }

    impl Mac for Sha2 {
        fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
            let mut block = [0; 64];
            match block.get_mut(..key.len()) {
                Some(start) => start.copy_from_slice(key),
                None => block[..32].copy_from_slice(&self.sha256(&[key])),
            }
            let [inner, outer] = [0x36, 0x5c].map(|pad| block.map(|byte| byte ^ pad));
            let hashed = self.sha256(&[&[&inner[..]], parts].concat());
            self.sha256(&[&outer, &hashed])
        }
    }
}
