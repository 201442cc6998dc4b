//! A folder that its owner alone can look into: files are replaced as a whole, and links are not followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fs4::TryLockError;
use keybound::UnixTime;
use keybound::oauth::files::{FOLDERS, LOCK, MAX_LEN, UNFINISHED};
use zeroize::Zeroizing;

use crate::error::{self, Unfit};
use crate::lock::Lock;

/// The folder with its subfolders, one for each kind of file.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// A file in one of the subfolders. Its name is not Unicode where `path` ends in another one.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) modified: UnixTime,
}

impl Folder {
    /// Opens the folder, making it and its subfolders where they are not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        make_private(path)?;
        FOLDERS.iter().try_for_each(|kind| make_private(&path.join(kind)))?;
        Ok(Self(path.components().collect()))
    }

    pub(crate) fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.0.join(kind).join(name)
    }

    /// The file's bytes; `None` if there is no file.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        read(path)
    }

    /// Writes a file anew, with mode 0600. It is durable when this returns.
    pub(crate) fn replace(&self, kind: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.0.join(kind), name, bytes)
    }

    /// Removes a file; one that is gone already is no error.
    pub(crate) fn remove(&self, kind: &str, name: &str) -> io::Result<()> {
        unless_gone(fs::remove_file(self.path(kind, name))).map(drop)
    }

    /// When a file was last written; `None` if there is no file.
    pub(crate) fn modified(&self, kind: &str, name: &str) -> io::Result<Option<UnixTime>> {
        unless_gone(fs::symlink_metadata(self.path(kind, name)))?.map(|found| Ok(time(found.modified()?))).transpose()
    }

    /// All files of one kind, those included that are being written.
    pub(crate) fn entries(&self, kind: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.0.join(kind))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(found) = unless_gone(entry.metadata())? {
                entries.push(Entry { name, path: entry.path(), modified: time(found.modified()?) });
            }
        }
        Ok(entries)
    }

    /// Takes the lock on a file, if no other task or process has it.
    pub(crate) fn try_lock(&self, file_name: &str) -> io::Result<Option<Lock>> {
        try_lock(&self.path(LOCK, file_name))
    }
}

/// The bytes of a file, at most 4 MiB; `None` if there is no file. A link is not followed.
///
/// # Errors
/// If it cannot be read, or is longer.
pub fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(file) = unless_gone(not_a_link(OpenOptions::new().read(true), path))? else { return Ok(None) };
    let most = u64::try_from(MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
    // One piece of memory, so that no copy of a secret is left behind where it grew.
    let len = usize::try_from(file.metadata()?.len().min(most)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(len.saturating_add(1)));
    file.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_LEN { Err(error::too_long(path)) } else { Ok(Some(bytes)) }
}

/// Writes a file anew, with mode 0600. It is durable when this returns.
///
/// # Errors
/// If it cannot be written, or is longer than 4 MiB.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MAX_LEN {
        return Err(error::too_long(&folder.join(name)));
    }
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name)).map_err(|error| error.error)?;
    sync(folder)
}

/// Takes the lock on a file, made with mode 0600 if it is not there; `None` if another task or process has it. A link is not followed.
///
/// # Errors
/// If the file cannot be opened.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let mut options = private();
    options.create(true).truncate(false).write(true);
    let file = not_a_link(&mut options, path)?;
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => Ok(Some(Lock::new(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn time(at: SystemTime) -> UnixTime {
    let secs = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UnixTime::from_secs(i64::try_from(secs).unwrap_or(i64::MAX))
}

/// Makes a folder with mode 0700, or checks the one that is there: it is this user's alone and not a link.
///
/// # Errors
/// If it cannot be made, or cannot hold secrets: [`Unfit`].
pub fn make_private(path: &Path) -> io::Result<()> {
    // With a slash behind it a link would be what it leads to.
    let path = &path.components().collect::<PathBuf>();
    if let Some(found) = unless_gone(fs::symlink_metadata(path))? {
        return check(path, &found);
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    // Another process may have made it.
    check(path, &fs::symlink_metadata(path)?)
}

/// The owner of a folder can change its mode and put other files into it.
fn check(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    if found.is_symlink() {
        return Err(Unfit::Linked { folder: path.into(), target: fs::canonicalize(path).ok() }.into());
    }
    if !found.is_dir() {
        return Err(Unfit::NotAFolder(path.into()).into());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
        if owner != user {
            return Err(Unfit::Foreign { folder: path.into(), owner, user }.into());
        }
        if found.mode() & 0o077 != 0 {
            return Err(Unfit::Readable(path.into()).into());
        }
    }
    Ok(())
}

fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are those of Unix"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a file that is no link: one that another user laid there could lead to any file of this one's.
#[cfg(unix)]
fn not_a_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    options.custom_flags(flags).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link { error::link(path) } else { error }
    })
}

#[cfg(not(unix))]
fn not_a_link(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// A renamed file is durable when its folder is.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
