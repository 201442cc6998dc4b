//! What all processes of a user remember of a token: its serial number, and which PINs it refused.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keybound::RUSTCRYPTO;
use keybound_files::{Lock, LockTimeout};

/// How long a login waits for those of other processes.
const WAIT: Duration = Duration::from_secs(20);

/// Refusals that are remembered for a token. Each costs one of its few attempts.
const MOST: usize = 16;

/// A folder with mode 0700. It holds no PIN, and nothing made from one.
pub(crate) struct Folder(PathBuf);

/// The files of one token.
pub(crate) struct Remembered<'a> {
    folder: &'a Path,
    name: String,
}

impl Folder {
    /// The folder at `path`, else the user's own: `keybound/pkcs11` in the folder for state.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let path = path.map(Path::to_owned).or_else(default).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME is set; set one, or name a folder")
        })?;
        keybound_files::make_private(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }

    /// The files about the token that goes by `parts`.
    pub(crate) fn of(&self, parts: &[&str]) -> Remembered<'_> {
        // Labels may hold any letter. A length before each keeps ("a", "bc") and ("ab", "c") apart.
        let lengths: Vec<String> = parts.iter().map(|part| format!("{}:", part.len())).collect();
        let texts: Vec<&[u8]> =
            lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_bytes(), part.as_bytes()]).collect();
        let hash = RUSTCRYPTO.digest.sha256(&texts);
        let name = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Remembered { folder: &self.0, name }
    }
}

fn default() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("keybound").join("pkcs11"))
}

impl Remembered<'_> {
    /// Takes turns with other processes.
    pub(crate) fn lock(&self) -> io::Result<Lock> {
        let path = self.folder.join(format!("{}.lock", self.name));
        let end = Instant::now().checked_add(WAIT);
        loop {
            if let Some(lock) = keybound_files::try_lock(&path)? {
                return Ok(lock);
            }
            if end.is_none_or(|end| Instant::now() >= end) {
                let name = path.display().to_string();
                return Err(io::Error::new(io::ErrorKind::TimedOut, LockTimeout::new(&name, WAIT)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The file that remembers refusals: a line for each source whose PIN was refused.
    pub(crate) fn refusals(&self) -> PathBuf {
        self.folder.join(format!("{}.refused", self.name))
    }

    /// Whether the token refused the PIN from the source with this identity.
    pub(crate) fn was_refused(&self, source: &str) -> io::Result<bool> {
        Ok(self.lines(&self.refusals())?.iter().any(|line| line == source))
    }

    /// Remembers that the token refused the PIN from this source. Durable when it returns.
    pub(crate) fn refuse(&self, source: &str) -> io::Result<()> {
        let mut lines = self.lines(&self.refusals())?;
        lines.retain(|line| line != source);
        lines.push(source.to_owned());
        let surplus = lines.len().saturating_sub(MOST);
        lines.drain(..surplus);
        keybound_files::replace(self.folder, &format!("{}.refused", self.name), lines.join("\n").as_bytes())
    }

    /// The file that remembers the serial number.
    pub(crate) fn pin_file(&self) -> PathBuf {
        self.folder.join(format!("{}.serial", self.name))
    }

    /// The serial number that the token had at its first login.
    pub(crate) fn serial(&self) -> io::Result<Option<String>> {
        Ok(self.lines(&self.pin_file())?.into_iter().next())
    }

    /// Remembers the serial number. Durable when it returns.
    pub(crate) fn pin_serial(&self, serial: &str) -> io::Result<()> {
        keybound_files::replace(self.folder, &format!("{}.serial", self.name), serial.as_bytes())
    }

    fn lines(&self, path: &Path) -> io::Result<Vec<String>> {
        let bytes = keybound_files::read(path)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }
}
