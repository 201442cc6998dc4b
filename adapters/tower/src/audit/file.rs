//! Audit records as lines of a file, which is rotated by its size and reopened on demand.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use keybound::audit::AuditRecord;

use super::sink::AuditSink;

/// How large a file grows, unless told otherwise.
const ROTATE_AT: u64 = 64 << 20;
/// How many files are kept beside the one that is written.
const KEEP: u32 = 8;

/// A file with a record in JSON on each line. On Unix its owner alone may read and write it (0600).
///
/// A line is written at once, by one write. If a process was killed while it wrote, or the disk was full, the next line begins on a line of
/// its own. The file belongs to one process: others that write to it do not notice that it is rotated.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    open: Option<Open>,
    rotate_at: u64,
    keep: u32,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    /// The size at which it is rotated: more than asked for, once that has failed.
    full_at: u64,
    /// Its last line has no end.
    is_torn: bool,
}

impl JsonLines {
    /// Appends to the file at `path`, which is made if there is none. No one else should be able to write to its folder.
    ///
    /// # Errors
    /// Why it cannot be opened, or restricted to its owner; [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a regular file.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let open = Open::at(&path, ROTATE_AT)?;
        Ok(Self { path, open: Some(open), rotate_at: ROTATE_AT, keep: KEEP })
    }

    /// Begins a new file before one grows beyond so many bytes; 64 MiB unless told otherwise. `audit.jsonl` becomes `audit.jsonl.1`, that one
    /// `audit.jsonl.2`, and so on.
    #[must_use]
    pub fn rotate_at(mut self, bytes: u64) -> Self {
        self.rotate_at = bytes;
        if let Some(open) = &mut self.open {
            open.full_at = bytes;
        }
        self
    }

    /// How many files are kept beside the one that is written; 8 unless told otherwise. The oldest is overwritten.
    #[must_use]
    pub fn keep(self, files: u32) -> Self {
        Self { keep: files, ..self }
    }

    /// Moves all files by one, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (1..=self.keep).rev() {
            match fs::rename(numbered(&self.path, number - 1), numbered(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.open = Some(Open::at(&self.path, self.rotate_at)?);
        Ok(())
    }

    fn try_write(&mut self, line: &str) -> io::Result<()> {
        let length = bytes(line);
        let is_full = self.open.as_ref().is_some_and(|open| open.size > 0 && open.size + length > open.full_at);
        if is_full && let Err(error) = self.rotate() {
            tracing::warn!(target: "keybound", %error, "an audit file could not be rotated; it grows on");
            if let Some(open) = &mut self.open {
                open.full_at = open.size.saturating_add(self.rotate_at);
            }
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::at(&self.path, self.rotate_at)?),
        };
        open.append(line)
    }
}

impl AuditSink for JsonLines {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        let written = self.try_write(&format!("{record}\n"));
        if written.is_err() {
            // The next record looks what became of the file.
            self.open = None;
        }
        written
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = Some(Open::at(&self.path, self.rotate_at)?);
        Ok(())
    }
}

impl Open {
    fn at(path: &Path, full_at: u64) -> io::Result<Self> {
        let mut file = options().open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "audit records go to a regular file"));
        }
        restrict(&file, &found)?;
        let size = found.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self { file, size, full_at, is_torn: last != [b'\n'] })
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            (self.is_torn, self.size) = (false, self.size + 1);
        }
        self.file.write_all(line.as_bytes())?;
        self.size += bytes(line);
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A file that others may read or write is taken from them.
#[cfg(unix)]
fn restrict(file: &File, found: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if found.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        file.set_permissions(fs::Permissions::from_mode(0o600))
    }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "as on Unix")]
fn restrict(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

fn bytes(line: &str) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}

/// The path itself, or that of the file before it.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}
