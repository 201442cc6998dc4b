//! A module, loaded once in a process, and the lock that its restart waits behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;

use crate::error::Error;

/// Modules that this process has loaded. PKCS #11 counts a module's sessions and logins by process, so there is one of each.
static LOADED: Mutex<Vec<Arc<Module>>> = Mutex::new(Vec::new());

/// A loaded module.
pub(crate) struct Module {
    path: PathBuf,
    context: Pkcs11,
    /// The process that it was initialised in. A forked one inherits memory, but neither locks nor, with most modules, connections.
    process: u32,
    state: RwLock<State>,
    /// Held by who searches for keys, makes or destroys them. Threads that do so at once make SoftHSM 2.6 list one key twice.
    catalogue: Mutex<()>,
}

struct State {
    is_initialised: bool,
    /// Why it is not.
    fault: String,
    /// Whether it was this that initialised it, and not another part of the process.
    is_ours: bool,
    /// How often it was initialised. Sessions and handles of an earlier time mean nothing, or something else.
    generation: u64,
}

/// Permission to call the module: no restart begins while one of these lives.
///
/// A thread holds at most one. A second one would wait for the restart that waits for the first.
pub(crate) struct Calls<'a> {
    state: RwLockReadGuard<'a, State>,
    context: &'a Pkcs11,
    catalogue: &'a Mutex<()>,
}

impl Calls<'_> {
    pub(crate) fn context(&self) -> &Pkcs11 {
        self.context
    }

    pub(crate) fn generation(&self) -> u64 {
        self.state.generation
    }

    /// Waits until no other thread searches for keys, makes or destroys them.
    pub(crate) fn catalogue(&self) -> MutexGuard<'_, ()> {
        self.catalogue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Module {
    /// The module at this path, loaded and initialised if this process has not done so.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, Error> {
        let path = trusted(path)?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some(module) = loaded.iter().find(|module| module.path == path && module.process == process) {
            return Ok(module.clone());
        }
        let unusable = |cause: cryptoki::error::Error| Error::Module { path: path.clone(), cause: cause.to_string() };
        let context = Pkcs11::new(&path).map_err(unusable)?;
        let is_ours =
            initialise(&context).map_err(|cause| Error::Module { path: path.clone(), cause: cause.to_string() })?;
        let state = RwLock::new(State { is_initialised: true, fault: String::new(), is_ours, generation: 0 });
        let module = Arc::new(Self { path, context, process, state, catalogue: Mutex::default() });
        loaded.push(module.clone());
        Ok(module)
    }

    /// Fails in a process forked from the one that opened the module.
    pub(crate) fn check_process(&self) -> Result<(), Error> {
        if std::process::id() == self.process { Ok(()) } else { Err(Error::Forked) }
    }

    /// Begins calls. Waits while the module is being restarted.
    pub(crate) fn calls(&self) -> Result<Calls<'_>, Error> {
        self.check_process()?;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_initialised {
            return Err(Error::Module { path: self.path.clone(), cause: state.fault.clone() });
        }
        Ok(Calls { state, context: &self.context, catalogue: &self.catalogue })
    }

    /// How often the module was initialised.
    pub(crate) fn generation(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// Whether [`restart`](Self::restart) may finalise it.
    pub(crate) fn is_ours(&self) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).is_ours
    }

    /// Finalises and initialises the module after all calls have ended, unless it is at another generation than `seen` already, or
    /// another part of the process initialised it and may be using it.
    pub(crate) fn restart(&self, seen: u64) -> Result<(), Error> {
        self.check_process()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation != seen || !state.is_ours {
            return Ok(());
        }
        if state.is_initialised {
            match self.context.clone().finalize() {
                Ok(()) | Err(cryptoki::error::Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        state.generation = state.generation.wrapping_add(1);
        state.is_initialised = false;
        match initialise(&self.context) {
            Ok(is_ours) => (state.is_initialised, state.is_ours) = (true, is_ours),
            Err(cause) => state.fault = cause.to_string(),
        }
        Ok(())
    }
}

/// Whether it was this call that initialised the module: it may have been done elsewhere in this process.
fn initialise(context: &Pkcs11) -> Result<bool, Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) => Ok(true),
        Err(cryptoki::error::Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The path without links, if no one but root and this user can put other code there: it is loaded into this process and given the PIN.
fn trusted(path: &Path) -> Result<PathBuf, Error> {
    let wrong = |why: String| Error::ModulePath { path: path.into(), why };
    if !path.is_absolute() {
        return Err(wrong("give its absolute path, so that it does not depend on the current folder".into()));
    }
    let real = path.canonicalize().map_err(|error| wrong(format!("{error}; check the path")))?;
    if !real.is_file() {
        return Err(wrong("it is not a file".into()));
    }
    #[cfg(unix)]
    for part in real.ancestors() {
        use std::os::unix::fs::MetadataExt as _;
        let found = part.metadata().map_err(|error| wrong(format!("{}: {error}", part.display())))?;
        let (shown, user) = (part.display(), rustix::process::geteuid().as_raw());
        if found.uid() != 0 && found.uid() != user {
            let owner = found.uid();
            return Err(wrong(format!(
                "{shown} belongs to user {owner}, who could replace it; use a copy of root's or yours"
            )));
        }
        // In a sticky folder, such as /tmp, no one replaces what belongs to others.
        let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        if found.mode() & 0o022 != 0 && !is_sticky {
            return Err(wrong(format!("{shown} can be written by others than its owner; run: chmod go-w {shown}")));
        }
    }
    Ok(real)
}
