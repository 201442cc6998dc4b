//! The keys of a token as a host of keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keybound::jose::jwk::PublicJwk;
use keybound::key::{KeyProtection, Signer};
use keybound::oauth::host::{HeldKey, KeyFor, KeyHost};
use keybound::oauth::step::{CreatedKey, HostError, KeyFault, KeyOwner};
use keybound::{Algorithm, AlgorithmSet, RUSTCRYPTO, Thumbprint, UnixTime};

use crate::error::Error;
use crate::find::{self, Seen};
use crate::generate;
use crate::marker::Marker;
use crate::settings::Settings;
use crate::signer::{TokenKey, find_protected};
use crate::token::{Token, sees_private_keys};

/// Keys that were found and are kept at hand.
const MOST_AT_HAND: usize = 256;
/// Seconds after which no pair is in the making any more, whatever the clocks of processes differ by.
const MAKING: u64 = 3600;

/// Keys that never leave a token.
///
/// It is cheap to clone, and clones share sessions and login. All calls block. With sessions in a folder it is a host for clients: see
/// [`Split`](keybound::oauth::host::Split).
///
/// ```no_run
/// use keybound_pkcs11::{PinSource, Pkcs11Keys, Settings};
///
/// let pin = PinSource::file("/etc/shop/token-pin");
/// let settings = Settings::new("/usr/lib/softhsm/libsofthsm2.so", "shop", pin);
/// let keys = Pkcs11Keys::open(settings)?;
/// for key in keys.list()? {
///     println!("{} {}", key.thumbprint, key.algorithm);
/// }
/// # Ok::<(), keybound_pkcs11::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pkcs11Keys {
    token: Arc<Token>,
    at_hand: Arc<Mutex<HashMap<Thumbprint, Arc<TokenKey>>>>,
}

/// A key on a token, as a list shows it.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// The thumbprint of its public part.
    pub thumbprint: Thumbprint,
    /// Its public part.
    pub public_key: PublicJwk,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its label on the token.
    pub label: String,
    /// What Keybound made it for and when; `None` for keys that came from elsewhere.
    pub made: Option<(KeyOwner, UnixTime)>,
    /// For which [application](Settings::application) Keybound made it.
    pub application: Option<String>,
    /// Whether its private half is kept in the token and cannot leave it. Others are not used.
    pub is_protected: bool,
}

impl Pkcs11Keys {
    /// Loads the module. The token is looked for, and logged in to, when it is first needed.
    ///
    /// # Errors
    /// If the module or the folder that remembers refused PINs cannot be used.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        Ok(Self { token: Arc::new(Token::open(settings)?), at_hand: Arc::default() })
    }

    /// Makes a pair for the first of `algorithms` that the token offers, by the preference of most servers: ES256, Ed25519, ES384,
    /// ES512, PS256 (2048 bits) and the longer ones.
    ///
    /// It cannot leave the token, was read back and checked for that, and has signed once. Its label says that Keybound made it, when
    /// and for whom.
    ///
    /// # Errors
    /// [`Error`]; nothing is left on the token then, unless it is [`Error::LeftBehind`] or the token went away.
    pub fn create(&self, algorithms: AlgorithmSet, owner: KeyOwner) -> Result<Arc<TokenKey>, Error> {
        let mut tried: Vec<Vec<u8>> = Vec::new();
        let (link, found) = self.token.attempt(|calls, link| {
            let algorithm = generate::choose(algorithms, &link.mechanisms)?;
            let found = link.write(calls, |session| {
                // What an attempt left that was cut off.
                while let Some(id) = tried.last() {
                    generate::destroy_by_id(session, id)?;
                    tried.pop();
                }
                let mut provisional = vec![0; 32];
                RUSTCRYPTO.random.fill(&mut provisional).map_err(|error| Error::Signature(error.into()))?;
                tried.push(provisional.clone());
                self.token.forget_empty();
                let application = self.token.application().to_owned();
                let marker = Marker { application, owner, algorithm, created_at: self.token.now() };
                generate::pair(session, &marker, &provisional)
            })?;
            Ok((link.clone(), found))
        })?;
        self.keep(TokenKey::new(self.token.clone(), link, found)?)
    }

    /// The key with this thumbprint, made by Keybound or not.
    ///
    /// # Errors
    /// [`Error`]; [`KeyGone`](Error::KeyGone) only if the token is there and the key is not.
    pub fn key(&self, thumbprint: Thumbprint) -> Result<Arc<TokenKey>, Error> {
        let at_hand = self.at_hand().get(&thumbprint).cloned();
        if let Some(key) = at_hand.filter(|key| !key.is_gone()) {
            return Ok(key);
        }
        let (link, found) = self.token.attempt(|calls, link| {
            let found = link.search(calls, |session| find_protected(session, thumbprint))?;
            Ok((link.clone(), found))
        })?;
        self.keep(TokenKey::new(self.token.clone(), link, found)?)
    }

    /// The key with this label; `None` if the token has none.
    ///
    /// # Errors
    /// [`Error`], also if two keys have the label.
    pub fn labelled(&self, label: &str) -> Result<Option<Arc<TokenKey>>, Error> {
        let found = self.token.attempt(|calls, link| {
            let found = link.search(calls, |session| {
                let Some(found) = find::by_label(session, label)? else { return Ok(None) };
                find::check_protected(session, &found)?;
                Ok(Some(found))
            })?;
            Ok(found.map(|found| (link.clone(), found)))
        })?;
        match found {
            Some((link, found)) => self.keep(TokenKey::new(self.token.clone(), link, found)?).map(Some),
            // A token that was away shows nothing.
            None => self.all().map(|_| None),
        }
    }

    /// Destroys a pair that Keybound made, or what is left of one. Says whether there was one.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for keys from elsewhere; whatever kept the token from destroying it.
    pub fn delete(&self, thumbprint: Thumbprint) -> Result<bool, Error> {
        self.at_hand().remove(&thumbprint);
        let deleted = self.token.attempt(|calls, link| {
            link.write(calls, |session| {
                // Named by its thumbprint, as all of ours, also where its public half is gone.
                if generate::destroy_by_id(session, thumbprint.as_bytes())? {
                    return Ok(());
                }
                let found = find::by_thumbprint(session, thumbprint)?;
                if found.marker.is_some() && generate::destroy_by_id(session, &found.id)? {
                    return Ok(());
                }
                Err(Error::NotOurs(thumbprint))
            })
        });
        match deleted {
            Err(Error::KeyGone(_)) => Ok(false),
            deleted => deleted.map(|()| true),
        }
    }

    /// All keys on the token that can sign, those from elsewhere among them.
    ///
    /// # Errors
    /// [`Error`]; a key whose public part cannot be read is left out.
    pub fn list(&self) -> Result<Vec<ListedKey>, Error> {
        let listed = |(seen, is_protected): (Seen, bool)| {
            let found = seen.key.ok()?;
            let made = found.marker;
            Some(ListedKey {
                thumbprint: found.thumbprint,
                algorithm: found.algorithm,
                label: String::from_utf8_lossy(&found.label).into_owned(),
                made: made.as_ref().map(|marker| (marker.owner, marker.created_at)),
                application: made.map(|marker| marker.application),
                public_key: found.public_key,
                is_protected,
            })
        };
        Ok(self.all()?.into_iter().filter_map(listed).collect())
    }

    /// Every key, and whether it is kept as keys must be.
    fn all(&self) -> Result<Vec<(Seen, bool)>, Error> {
        let mut generations = Vec::new();
        self.token.attempt(|calls, link| {
            link.search(calls, |session| {
                let mut all = Vec::new();
                for seen in find::all(session)? {
                    let is_listed = |(other, _): &&(Seen, bool)| match (&seen.key, &other.key) {
                        (Ok(one), Ok(other)) => one.thumbprint == other.thumbprint && one.label == other.label,
                        _ => false,
                    };
                    // SoftHSM 2.6 lists an object twice where processes make keys at once.
                    if all.iter().any(|listed| is_listed(&listed)) {
                        continue;
                    }
                    let is_protected = match &seen.key {
                        Ok(found) => find::check_protected(session, found),
                        Err(_) => Err(Error::KeysNotSeen),
                    };
                    match is_protected {
                        Err(error) if seen.key.is_ok() && !matches!(error, Error::NotProtected { .. }) => {
                            return Err(error);
                        }
                        is_protected => all.push((seen, is_protected.is_ok())),
                    }
                }
                // None at all may be what a token shows that was away: it is looked at again after a login and a restart.
                generations.push(calls.generation());
                if !all.is_empty() {
                    self.token.forget_empty();
                } else if generations.first() != generations.last() {
                    self.token.remember_empty(link);
                } else if !self.token.is_known_empty(calls, link) {
                    return Err(Error::KeysNotSeen);
                }
                Ok(all)
            })
        })
    }

    /// Public halves of this application that a crash left, by id. A pair of which only one half is there may be in the making.
    fn left(&self) -> Result<Vec<(Vec<u8>, Marker)>, Error> {
        let now = self.token.now();
        let is_left = |marker: &Marker| {
            marker.application == self.token.application() && now >= marker.created_at.saturating_add(MAKING)
        };
        self.token.attempt(|calls, link| {
            link.search(calls, |session| {
                let left = find::lone(session, is_left)?;
                // Where no private half is seen, all public ones look like that.
                if sees_private_keys(calls, link.slot, session)? { Ok(left) } else { Err(Error::KeysNotSeen) }
            })
        })
    }

    fn keep(&self, key: TokenKey) -> Result<Arc<TokenKey>, Error> {
        let key = Arc::new(key);
        self.token.forget_empty();
        let mut at_hand = self.at_hand();
        if at_hand.len() >= MOST_AT_HAND {
            at_hand.clear();
        }
        at_hand.insert(key.thumbprint(), key.clone());
        Ok(key)
    }

    fn at_hand(&self) -> MutexGuard<'_, HashMap<Thumbprint, Arc<TokenKey>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of sessions and of a ring. [`keys`](KeyHost::keys) lists those of the same [application](Settings::application), by the label
/// that Keybound gives, and public halves that a crash left more than an hour ago; [`signer`](KeyHost::signer) finds others as well.
impl KeyHost for Pkcs11Keys {
    fn create_key(
        &self,
        algorithms: AlgorithmSet,
        protections: &[KeyProtection],
        wanted_for: KeyFor,
    ) -> Result<CreatedKey, HostError> {
        if !protections.contains(&KeyProtection::Hsm) {
            return Err(Error::KeyProtection.into());
        }
        let owner = wanted_for.owner();
        let key = self.create(algorithms, owner)?;
        let (public_key, algorithm) = (key.public_key().clone(), key.algorithm());
        Ok(CreatedKey { public_key, algorithm, protection: KeyProtection::Hsm, owner })
    }

    fn signer(&self, thumbprint: Thumbprint) -> Result<Arc<dyn Signer + Send + Sync>, KeyFault> {
        match self.key(thumbprint) {
            Ok(key) => Ok(key),
            Err(error) => Err(error.into_fault()),
        }
    }

    fn delete_key(&self, thumbprint: Thumbprint) -> Result<(), HostError> {
        self.delete(thumbprint)?;
        Ok(())
    }

    fn keys(&self) -> Result<Vec<HeldKey>, HostError> {
        let held = |(seen, is_protected): (Seen, bool)| {
            let marker = seen.marker.filter(|marker| marker.application == self.token.application())?;
            // Where the public half is gone, the id names the key.
            let id = || <[u8; 32]>::try_from(seen.id.as_slice()).ok().map(Thumbprint::from_bytes);
            let thumbprint = seen.key.as_ref().ok().map(|found| found.thumbprint).or_else(id)?;
            let algorithm = is_protected.then_some(marker.algorithm);
            Some(HeldKey { thumbprint, algorithm, owner: marker.owner, created_at: Some(marker.created_at) })
        };
        let whole = self.all()?.into_iter().filter_map(held);
        let left = self.left()?.into_iter().filter_map(|(id, marker)| {
            let thumbprint = Thumbprint::from_bytes(<[u8; 32]>::try_from(id).ok()?);
            Some(HeldKey { thumbprint, algorithm: None, owner: marker.owner, created_at: Some(marker.created_at) })
        });
        Ok(whole.chain(left).collect())
    }
}
