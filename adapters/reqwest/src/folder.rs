//! A folder that its owner alone can look into: files are replaced as a whole, links are not followed, and processes take turns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fs4::TryLockError;
use keybound::oauth::step::HostError;
use keybound::{RUSTCRYPTO, UnixTime};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::error::LockTimeout;

/// The folder with its subfolders, one for each kind of file.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// A file in one of the subfolders.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) modified: UnixTime,
}

/// The subfolder of the files that are locked.
const LOCKS: &str = "lock";
/// The longest file that is read, in bytes.
const MAX_LEN: u64 = 4 * 1024 * 1024;
/// What the names of files that are being written begin with.
const UNFINISHED: &str = ".new-";
/// After how long a file that was never finished is removed, in seconds. It holds what it was to hold: a key, or tokens.
const UNFINISHED_GRACE: u64 = 3_600;
/// The longest pause between two attempts to take a lock.
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Characters that stand for themselves in the names of files.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
/// The longest name of a file that is readable; longer ones are hashed.
const MAX_NAME_LEN: usize = 120;

impl Folder {
    /// Opens the folder with subfolders for these kinds, making what is not there.
    pub(crate) fn open(path: PathBuf, kinds: &[&str]) -> io::Result<Self> {
        for folder in kinds.iter().chain([&LOCKS]).map(|kind| path.join(kind)) {
            make_private(&folder)?;
            check_owner(&folder)?;
        }
        check_owner(&path)?;
        check_mode(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.0.join(kind).join(name)
    }

    /// The file's bytes; `None` if there is no file.
    pub(crate) fn read(&self, kind: &str, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.path(kind, name);
        let file = match not_a_link(OpenOptions::new().read(true), &path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_LEN).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file anew, with mode 0600. It is durable when this returns.
    pub(crate) fn replace(&self, kind: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.0.join(kind);
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(folder.join(name)).map_err(|error| error.error)?;
        sync(&folder)
    }

    /// Removes a file; one that is gone already is no error.
    pub(crate) fn remove(&self, kind: &str, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(kind, name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// When a file was last written; `None` if there is no file.
    pub(crate) fn modified(&self, kind: &str, name: &str) -> io::Result<Option<UnixTime>> {
        match fs::symlink_metadata(self.path(kind, name)) {
            Ok(metadata) => Ok(Some(time(metadata.modified()?))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files of one kind.
    pub(crate) fn entries(&self, kind: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.0.join(kind))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                _ if name.starts_with('.') => {}
                Ok(metadata) => entries.push(Entry { name, modified: time(metadata.modified()?) }),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Removes what writers that were interrupted left behind.
    pub(crate) fn remove_unfinished(&self, kind: &str, now: UnixTime) -> io::Result<()> {
        for entry in fs::read_dir(self.0.join(kind))? {
            let entry = entry?;
            let is_unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if is_unfinished && modified.is_ok_and(|at| now.since(time(at)) >= UNFINISHED_GRACE) {
                drop(fs::remove_file(entry.path()));
            }
        }
        Ok(())
    }

    /// Takes a lock, which closing the file gives back, and the end of the process as well. It is never taken from its holder.
    ///
    /// # Errors
    /// [`LockTimeout`] if another holds it for all of `lease`.
    pub(crate) fn lock(&self, name: &str, lease: Duration) -> Result<File, HostError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(file) = self.try_lock(name)? {
                return Ok(file);
            }
            let left = lease.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(LockTimeout::new(name, lease).into());
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Takes a lock, if no other task or process has it.
    pub(crate) fn try_lock(&self, name: &str) -> io::Result<Option<File>> {
        let mut options = private();
        options.create(true).truncate(false).write(true);
        let file = not_a_link(&mut options, &self.path(LOCKS, &file_name(name)))?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// A name that every file system takes: percent-encoded, or hashed where that is too long.
pub(crate) fn file_name(text: &str) -> String {
    let plain = utf8_percent_encode(text, PLAIN).to_string();
    if plain.len() <= MAX_NAME_LEN {
        return plain;
    }
    keybound::base64url::encode(&RUSTCRYPTO.digest.sha256(&[text.as_bytes()]))
}

/// The text of a file's name; `None` where the name is a hash.
pub(crate) fn plain_name(name: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(name).decode_utf8().ok()?;
    (file_name(&text) == name).then(|| text.into_owned())
}

fn time(at: SystemTime) -> UnixTime {
    let secs = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UnixTime::from_secs(i64::try_from(secs).unwrap_or(i64::MAX))
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

/// Opens a file that is no link: one that somebody laid there could lead to any file of the user's.
#[cfg(unix)]
fn not_a_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    options.custom_flags(flags).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link {
            refused(path, "is a link, and links are not followed here; put the file itself in its place")
        } else {
            error
        }
    })
}

#[cfg(not(unix))]
fn not_a_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// The owner of a folder can change its mode and put other files into it.
#[cfg(unix)]
fn check_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(refused(path, "is a link or a file; name the folder itself"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refused(path, "belongs to another user and is to hold tokens; name a folder of this user"));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::symlink_metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let advice = format!("can be read by others and is to hold tokens; run: chmod 700 {}", path.display());
    Err(refused(path, &advice))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
