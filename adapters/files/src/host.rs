//! The store as a host of Rust's drivers.

use std::sync::Arc;
use std::time::Duration;

use keybound::key::soft::SoftKey;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::Sweep;
use keybound::oauth::files::{ELSEWHERE, MADE};
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost, SessionHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner, Saved, Slot, Stored};
use keybound::{AlgorithmSet, Thumbprint, UnixTime};

use crate::error;
use crate::store::Files;

impl KeyHost for Files {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        let key = match wanted_for {
            KeyFor::Session => Self::create_key(self, algorithms, protections, UnixTime::now()),
            KeyFor::SessionElsewhere | KeyFor::Host => {
                self.create_key_elsewhere(algorithms, protections, wanted_for.owner())
            }
        };
        Ok(describe(&key?, wanted_for.owner()))
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        Ok(Arc::new(self.key(thumbprint)?))
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        Ok(Self::delete_key(self, thumbprint)?)
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        let mut keys = Vec::new();
        for made in self.marked(MADE)?.into_iter().chain(self.marked(ELSEWHERE)?) {
            keys.push(HeldKey {
                thumbprint: made.thumbprint,
                algorithm: self.key(made.thumbprint).ok().map(|key| key.algorithm()),
                owner: self.owner(made.thumbprint)?,
                created_at: Some(made.at),
            });
        }
        Ok(keys)
    }
}

impl SessionHost for Files {
    fn load(&self, slot: &Slot) -> Result<Option<Stored>, HostError> {
        Ok(Self::load(self, slot.as_str())?)
    }

    fn save(&self, slot: &Slot, expected: Option<u64>, version: u64, value: Option<&[u8]>) -> Result<Saved, HostError> {
        Self::save(self, slot.as_str(), expected, version, value)
    }

    fn lock(&self, name: &str, lease: u64) -> Result<Box<dyn Send>, HostError> {
        Ok(Box::new(Self::lock(self, name, Duration::from_secs(lease))?))
    }

    fn named_keys(&self) -> Result<Vec<Thumbprint>, HostError> {
        let mut sweep = Sweep::new(&self.0.crypto, UnixTime::now());
        for file in self.values()? {
            let version = file.stored.as_ref().map_or(0, |stored| stored.version);
            let value = file.stored.as_ref().map(|stored| stored.value.as_slice());
            sweep.stored(&file.slot, version, value, Some(file.modified));
        }
        let named = sweep.named().ok_or_else(|| error::unreadable(&self.path()))?;
        Ok(named.to_vec())
    }
}

/// What a flow is told of a new software key.
pub fn describe(key: &SoftKey, owner: KeyOwner) -> CreatedKey {
    let (public_key, algorithm, protection) = (key.public_key().clone(), key.algorithm(), key.protection());
    CreatedKey { public_key, algorithm, protection, owner }
}
