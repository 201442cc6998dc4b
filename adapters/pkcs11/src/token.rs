//! A token by label and serial number: who it is, logging in to it, and finding it again after it was away.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki::error::RvError;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use keybound::{Thumbprint, UnixTime};
use keybound_files::Lock;

use crate::error::Error;
use crate::module::{Calls, Module};
use crate::remembered::{Folder, Remembered};
use crate::sessions::{Link, Permits};
use crate::settings::Settings;

/// Between restarts of the module: they stop every caller in this process. Doubled each time, for a token that stays away.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest time between restarts, so that signing goes on soon after the token's return.
const LONGEST_PAUSE: Duration = Duration::from_millis(600);
/// How long a key that was found to be gone is known to be, and a token without keys to have none.
const GONE_FOR: Duration = Duration::from_secs(2);
/// How many such keys are remembered.
const MOST_GONE: usize = 64;

/// A token.
pub(crate) struct Token {
    settings: Settings,
    module: Arc<Module>,
    folder: Folder,
    permits: Permits,
    link: RwLock<Option<Arc<Link>>>,
    /// Never taken by those who hold [`Calls`]: who has it may be waiting for them.
    gate: Mutex<Gate>,
    gone: Mutex<Vec<(Thumbprint, Instant)>>,
    /// Which connection found no keys after a restart, and when.
    empty: Mutex<Option<(u64, Instant)>>,
}

/// What those who connect take turns at.
struct Gate {
    epoch: u64,
    /// When the module was last restarted, and how long ago that must be for the next time.
    restarted: Option<Instant>,
    pause: Duration,
    /// Whether the last attempt to connect failed.
    is_out: bool,
}

/// What is done about a connection on which something failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// Nothing: it is the first attempt.
    None,
    /// Log in and look again.
    Login,
    /// Finalise and initialise the module.
    Restart,
    /// The same for a key that is still not found.
    Confirm,
}

/// A connection that was of no use.
#[derive(Clone, Copy, Default)]
struct Failed {
    epoch: u64,
    generation: u64,
}

impl Token {
    pub(crate) fn open(settings: Settings) -> Result<Self, Error> {
        let folder = Folder::open(settings.state.as_deref())?;
        let module = {
            let _turn = turn(&folder, &settings)?;
            Module::open(&settings.module)?
        };
        let permits = Permits::new(settings.sessions, settings.wait);
        let gate = Gate { epoch: 0, restarted: None, pause: FIRST_PAUSE, is_out: false };
        Ok(Self {
            settings,
            module,
            folder,
            permits,
            link: RwLock::default(),
            gate: Mutex::new(gate),
            gone: Mutex::default(),
            empty: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.settings.clock)()
    }

    pub(crate) fn application(&self) -> &str {
        &self.settings.application
    }

    /// Does `work` with a connection. If that fails in a way that may pass, again after logging in, and again after a restart of the
    /// module.
    ///
    /// A key that is not found is looked for after two restarts before it is called gone: after a token was away, searches find
    /// nothing although no call fails. `work` makes no other connection.
    pub(crate) fn attempt<T>(
        &self,
        mut work: impl FnMut(&Calls<'_>, &Arc<Link>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.module.check_process()?;
        let _permit = self.permits.take()?;
        let mut failed = Failed::default();
        let mut last = None;
        let mut restarts_seen = 0_u32;
        for remedy in [Remedy::None, Remedy::Login, Remedy::Restart, Remedy::Confirm] {
            if remedy == Remedy::Confirm && !matches!(last, Some(Error::KeyGone(_))) {
                break;
            }
            let Some(link) = self.link(remedy, failed, last.as_ref())? else { break };
            let calls = self.module.calls()?;
            let before = std::mem::replace(&mut failed, Failed { epoch: link.epoch, generation: link.generation });
            if calls.generation() != link.generation {
                // Restarted since, for another caller.
                continue;
            }
            let error = match work(&calls, &link) {
                Err(error) if error.may_pass() => error,
                done => return done,
            };
            // Where a module notices that the token is away, it is not the key that is gone.
            let noticed = error.is_absence().then(|| calls.context().get_token_info(link.slot).err()).flatten();
            let error = noticed.map_or(error, Error::from);
            if let Error::KeyGone(thumbprint) = error {
                if last.is_some() && link.generation > before.generation {
                    restarts_seen = restarts_seen.saturating_add(1);
                }
                if restarts_seen >= 2 {
                    self.remember_gone(thumbprint);
                    return Err(error);
                }
                // Known from the last look, and not for longer because it is asked for: it may be back.
                if self.is_known_gone(thumbprint) {
                    return Err(error);
                }
            }
            last = Some(error);
        }
        Err(match last {
            Some(Error::KeyGone(thumbprint)) => Error::KeyNotSeen(thumbprint),
            Some(error) => error,
            None => Error::Busy { sessions: self.settings.sessions },
        })
    }

    fn is_known_gone(&self, thumbprint: Thumbprint) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.iter().any(|(gone, at)| *gone == thumbprint && at.elapsed() < GONE_FOR)
    }

    /// Lets the same be told at once for a while: looking stops all callers.
    fn remember_gone(&self, thumbprint: Thumbprint) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.retain(|(gone, at)| *gone != thumbprint && at.elapsed() < GONE_FOR);
        let surplus = gone.len().saturating_add(1).saturating_sub(MOST_GONE);
        gone.drain(..surplus);
        gone.push((thumbprint, Instant::now()));
    }

    /// Whether this connection found no keys after a restart a moment ago, and the token says that it is there.
    ///
    /// Not for longer: after a token was away, searches find nothing although no call fails.
    pub(crate) fn is_known_empty(&self, calls: &Calls<'_>, link: &Link) -> bool {
        let empty = *self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        empty.is_some_and(|(epoch, at)| epoch == link.epoch && at.elapsed() < GONE_FOR)
            && calls.context().get_token_info(link.slot).is_ok()
    }

    /// Lets the same be told at once for a while: looking stops all callers, and logs in again.
    pub(crate) fn remember_empty(&self, link: &Link) {
        *self.empty.lock().unwrap_or_else(PoisonError::into_inner) = Some((link.epoch, Instant::now()));
    }

    /// A key was found, or is being made.
    pub(crate) fn forget_empty(&self) {
        *self.empty.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A connection later than `failed`, by this remedy or because another caller has made one meanwhile. `None` if the module
    /// cannot be restarted now.
    fn link(&self, remedy: Remedy, failed: Failed, cause: Option<&Error>) -> Result<Option<Arc<Link>>, Error> {
        let is_restart = matches!(remedy, Remedy::Restart | Remedy::Confirm);
        let is_gone = cause.is_some_and(Error::is_absence);
        let later = || {
            let link = self.link.read().unwrap_or_else(PoisonError::into_inner).clone()?;
            let is_later = link.epoch > failed.epoch && link.generation == self.module.generation();
            // Whether a key is gone is not told by a connection that another caller made without a restart.
            (is_later && !(is_restart && is_gone && link.generation <= failed.generation)).then_some(link)
        };
        if let Some(link) = later() {
            return Ok(Some(link));
        }
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = later() {
            return Ok(Some(link));
        }
        if is_restart {
            // An outage is told at once. That a key is gone leads to a new login: it is worth a wait.
            return if self.restart(&mut gate, is_gone) { self.reconnect(&mut gate).map(Some) } else { Ok(None) };
        }
        let known = gate.is_out;
        let mut connected = self.reconnect(&mut gate);
        // Some modules list tokens when they are initialised and never again. SoftHSM lists none to a process that initialises it
        // while another logs in: the first to find that the token is away looks twice.
        for patience in [false, true] {
            match &connected {
                Err(error) if error.may_pass() && !(patience && known) => {
                    if !self.restart(&mut gate, patience) {
                        break;
                    }
                    connected = self.reconnect(&mut gate);
                }
                _ => break,
            }
        }
        connected.map(Some)
    }

    /// Restarts the module, unless that is not for this process to do or was done a moment ago. With `patience` the moment is waited.
    fn restart(&self, gate: &mut Gate, patience: bool) -> bool {
        if !self.module.is_ours() {
            return false;
        }
        let left = gate.restarted.map_or(Duration::ZERO, |at| gate.pause.saturating_sub(at.elapsed()));
        if !left.is_zero() {
            if !patience {
                return false;
            }
            std::thread::sleep(left);
        }
        if gate.restarted.is_some() {
            gate.pause = gate.pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        // A module that does not start says so when it is called.
        let seen = self.module.generation();
        drop(turn(&self.folder, &self.settings).map(|_turn| self.module.restart(seen)));
        gate.restarted = Some(Instant::now());
        true
    }

    /// Makes the next connection.
    fn reconnect(&self, gate: &mut Gate) -> Result<Arc<Link>, Error> {
        let connected = turn(&self.folder, &self.settings).and_then(|_turn| self.connect(gate.epoch.saturating_add(1)));
        gate.is_out = connected.is_err();
        let link = connected?;
        (gate.epoch, gate.pause) = (link.epoch, FIRST_PAUSE);
        Ok(link)
    }

    fn connect(&self, epoch: u64) -> Result<Arc<Link>, Error> {
        let calls = self.module.calls()?;
        let (slot, serial) = self.find(&calls)?;
        let session = calls.context().open_ro_session_no_drop(slot)?;
        let link = match self.log_in(&calls, slot, &serial, &session) {
            Ok(()) => Arc::new(Link::new(&calls, epoch, slot, session)?),
            Err(error) => {
                drop(session.close());
                return Err(error);
            }
        };
        let before = self.link.write().unwrap_or_else(PoisonError::into_inner).replace(link.clone());
        if let Some(before) = before {
            before.retire(&calls);
        }
        Ok(link)
    }

    /// The slot that holds the token, and the token's serial number.
    fn find(&self, calls: &Calls<'_>) -> Result<(Slot, String), Error> {
        let label = self.settings.label.as_str();
        let pinned = match &self.settings.serial {
            Some(serial) => Some(serial.clone()),
            None => self.remembered().serial()?,
        };
        let (mut seen, mut labelled) = (Vec::new(), Vec::new());
        for slot in calls.context().get_slots_with_token()? {
            // One that is being removed.
            let Ok(info) = calls.context().get_token_info(slot) else { continue };
            if !info.token_initialized() {
                continue;
            }
            if info.label() == label {
                labelled.push((slot, info.serial_number().to_owned()));
            }
            seen.push(named(info.label(), info.serial_number()));
        }
        if let Some(pinned) = pinned {
            if let Some(found) = labelled.iter().find(|(_, serial)| *serial == pinned) {
                return Ok(found.clone());
            }
            if self.settings.serial.is_none() && !labelled.is_empty() {
                return Err(Error::TokenChanged {
                    label: label.into(),
                    pinned,
                    remembered: self.remembered().pin_file(),
                });
            }
            return Err(Error::TokenAbsent { token: named(label, &pinned), seen });
        }
        match labelled.as_slice() {
            [found] => Ok(found.clone()),
            [] => Err(Error::TokenAbsent { token: format!("\"{label}\""), seen }),
            several => Err(Error::TokenAmbiguous {
                label: label.into(),
                serials: several.iter().map(|(_, serial)| serial.clone()).collect(),
            }),
        }
    }

    /// Logs the process in, with as few uses of the PIN as can be.
    fn log_in(&self, calls: &Calls<'_>, slot: Slot, serial: &str, session: &Session) -> Result<(), Error> {
        if sees_private_keys(calls, slot, session)? {
            return Ok(());
        }
        let label = self.settings.label.as_str();
        let token = named(label, serial);
        let remembered = self.folder.of(&[label, serial]);
        let source = &self.settings.pin;
        let refused_before = || Error::PinRefusedBefore {
            token: token.clone(),
            source: source.to_string(),
            remembered: remembered.refusals(),
        };
        // Other processes may be finding out that the PIN is wrong.
        let _turn = remembered.lock()?;
        let pin = source.read(|identity| match identity {
            Some(identity) if remembered.was_refused(identity)? => Err(refused_before()),
            _ => Ok(()),
        })?;
        let secret = AuthPin::from(pin.text.as_str());
        // Last of all, so that nothing comes between the look and the PIN.
        let info = calls.context().get_token_info(slot)?;
        if info.label() != label || info.serial_number() != serial {
            return Err(Error::TokenAbsent { token, seen: vec![named(info.label(), info.serial_number())] });
        }
        check_attempts(&info, &token)?;
        match session.login(UserType::User, Some(&secret)) {
            Ok(()) | Err(cryptoki::error::Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(cryptoki::error::Error::Pkcs11(code, _)) if is_refusal(code) => {
                if let Some(identity) = &pin.identity {
                    remembered.refuse(identity)?;
                }
                return Err(Error::PinRefused { token, source: source.to_string() });
            }
            Err(cryptoki::error::Error::Pkcs11(RvError::UserPinNotInitialized, _)) => {
                return Err(Error::PinNotSet { token });
            }
            Err(error) => return Err(error.into()),
        }
        if self.settings.serial.is_none() && self.remembered().serial()?.is_none() {
            self.remembered().pin_serial(serial)?;
        }
        Ok(())
    }

    /// The files about whichever token has the label.
    fn remembered(&self) -> Remembered<'_> {
        self.folder.of(&[&self.settings.label])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Whether the process is logged in, or need not be.
pub(crate) fn sees_private_keys(calls: &Calls<'_>, slot: Slot, session: &Session) -> Result<bool, Error> {
    if !calls.context().get_token_info(slot)?.login_required() {
        return Ok(true);
    }
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

/// Takes turns with other processes at starting the module and logging in: with SoftHSM 2.6, a process that starts while another
/// logs in sees no token, or one without a PIN.
fn turn(folder: &Folder, settings: &Settings) -> Result<Lock, Error> {
    Ok(folder.of(&["module", &settings.module.to_string_lossy()]).lock()?)
}

/// Tokens are locked after a few wrong PINs. The last attempts are left to a person.
fn check_attempts(info: &TokenInfo, token: &str) -> Result<(), Error> {
    let left = if info.user_pin_locked() {
        "none"
    } else if info.user_pin_final_try() {
        "one"
    } else if info.user_pin_count_low() {
        "low"
    } else {
        return Ok(());
    };
    Err(Error::PinAttemptsLow { token: token.to_owned(), left })
}

fn is_refusal(code: RvError) -> bool {
    matches!(
        code,
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange | RvError::PinExpired | RvError::PinLocked
    )
}

fn named(label: &str, serial: &str) -> String {
    format!("\"{label}\" with serial number {serial}")
}
