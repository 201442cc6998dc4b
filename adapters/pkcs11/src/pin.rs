//! Where a token's PIN comes from.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::Error;

/// The longest PIN that is read, in bytes.
const MAX_LEN: usize = 1024;

/// Where a token's PIN comes from. It is read at each login and not kept.
#[derive(Clone)]
pub struct PinSource(Kind);

#[derive(Clone)]
enum Kind {
    Environment(OsString),
    File(PathBuf),
    Callback { name: String, version: Option<String>, ask: Ask },
}

type Ask = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

/// A PIN, and what identifies the source that gave it: never anything made from the PIN, which has few digits and could be searched.
pub(crate) struct Pin {
    pub(crate) text: Zeroizing<String>,
    pub(crate) identity: Option<String>,
}

impl PinSource {
    /// The environment variable of this name.
    ///
    /// Once the token has refused it, it is not tried again until the file that remembers this, which the error names, is deleted:
    /// whether a variable has changed cannot be told without keeping something of the PIN.
    ///
    /// # Security
    /// Programs that this one starts inherit the variable, and others of the same user can read it. A file is better.
    pub fn environment(name: impl Into<OsString>) -> Self {
        Self(Kind::Environment(name.into()))
    }

    /// A file that holds the PIN alone; a line break at its end is no part of it. It belongs to the user of this process, has mode
    /// 0400 and is not a link.
    ///
    /// Once the token has refused it, it is tried again when it was written anew, and not because it goes by another name.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// A function that gives the PIN, or says why it cannot. `name` says in messages where it comes from.
    ///
    /// `version` identifies what the function gives, for example by the version of a secret in a vault: a refused PIN is not tried
    /// again while it stays the same. `None` is for a person who is asked each time.
    ///
    /// # Security
    /// `version` is written into a file: it must not depend on the PIN.
    pub fn callback(
        name: impl Into<String>,
        version: Option<String>,
        ask: impl Fn() -> Result<Zeroizing<String>, String> + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Callback { name: name.into(), version, ask: Arc::new(ask) })
    }

    /// What identifies the source now, and the PIN if `wanted` says of that identity that it may be tried.
    pub(crate) fn read(&self, wanted: impl FnOnce(Option<&str>) -> Result<(), Error>) -> Result<Pin, Error> {
        match &self.0 {
            Kind::Environment(name) => {
                let identity = format!("environment {}", name.to_string_lossy());
                wanted(Some(&identity))?;
                let value = std::env::var_os(name).filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| self.unavailable("it is not set; set it to the token's user PIN"))?;
                let text = value.into_string().map_err(|_| self.unavailable("it is not UTF-8"))?;
                Ok(Pin { text: Zeroizing::new(text), identity: Some(identity) })
            }
            Kind::File(path) => {
                // One handle for all: what was checked is what is read.
                let mut file = open(path).map_err(|why| self.unavailable(&why))?;
                let identity = identity(path, &file).map_err(|why| self.unavailable(&why))?;
                wanted(Some(&identity))?;
                let text = read(&mut file).map_err(|why| self.unavailable(&why))?;
                Ok(Pin { text, identity: Some(identity) })
            }
            Kind::Callback { name, version, ask } => {
                let identity = version.as_ref().map(|version| format!("{name} {version}").replace(['\r', '\n'], " "));
                wanted(identity.as_deref())?;
                let text = ask().map_err(|why| self.unavailable(&why))?;
                if text.is_empty() {
                    // Enter at a prompt. The token would count it as a wrong PIN.
                    return Err(self.unavailable("it is empty; give the token's user PIN"));
                }
                Ok(Pin { text, identity })
            }
        }
    }

    fn unavailable(&self, why: &str) -> Error {
        Error::PinUnavailable { source: self.to_string(), why: why.to_owned() }
    }
}

/// Names the source. It holds no PIN.
impl fmt::Display for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Environment(name) => write!(f, "the environment variable {}", name.to_string_lossy()),
            Kind::File(path) => write!(f, "the file {}", path.display()),
            Kind::Callback { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinSource({self})")
    }
}

fn read(file: &mut File) -> Result<Zeroizing<String>, String> {
    // One piece of memory, so that no copy is left behind where it grew.
    let mut bytes = Zeroizing::new(vec![0; MAX_LEN.saturating_add(1)]);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room).map_err(|error| error.to_string())? {
            0 => break,
            more => length = length.saturating_add(more),
        }
    }
    if length > MAX_LEN {
        return Err("it is longer than any PIN".into());
    }
    let text = std::str::from_utf8(bytes.get(..length).unwrap_or_default()).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err("it is empty; write the token's user PIN into it".into());
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(unix)]
fn open(path: &Path) -> Result<File, String> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    // A pipe would block before it can be seen to be one.
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return "it is a link, which is not followed; name the file itself".into();
        }
        error.to_string()
    })?;
    let found = file.metadata().map_err(|error| error.to_string())?;
    let (shown, user) = (path.display(), rustix::process::geteuid().as_raw());
    if !found.is_file() {
        return Err("it is not a file".into());
    }
    if found.uid() != user {
        return Err(format!("it belongs to user {}, not to user {user}; run: chown {user} {shown}", found.uid()));
    }
    if found.mode() & 0o7777 != 0o400 {
        return Err(format!("its mode is {:o}, not 0400; run: chmod 400 {shown}", found.mode() & 0o7777));
    }
    Ok(file)
}

#[cfg(not(unix))]
fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| error.to_string())
}

/// Changes when the file is written anew or replaced, and not with the name that it goes by.
fn identity(path: &Path, file: &File) -> Result<String, String> {
    let found = file.metadata().map_err(|error| error.to_string())?;
    let written =
        found.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Ok(format!("file {} {} {}", place(path, &found)?, found.len(), written.as_nanos()))
}

/// Which file it is.
#[cfg(unix)]
fn place(_: &Path, found: &Metadata) -> Result<String, String> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(format!("{} {}", found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn place(path: &Path, _: &Metadata) -> Result<String, String> {
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    Ok(path.to_string_lossy().replace(['\r', '\n'], " "))
}
