//! Files that hold private keys: created for their owner alone, and never overwritten by accident.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Writes `secret` into a new file at `path`; with `force` it takes the place of one that is there, in one step.
pub(super) fn write_private(path: &Path, secret: &[u8], force: bool) -> Result<(), Failure> {
    if !force {
        return create(path, secret).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let shown = path.display();
                Failure::failed(format!("{shown} exists; choose another name, or replace it with --force"))
            }
            _ => Failure::file("write", path, &error),
        });
    }
    let beside = beside(path)?;
    let written = create(&beside, secret).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Failure::file("write", path, &error)
    })
}

/// A name in the same directory, so that renaming is one step.
fn beside(path: &Path) -> Result<PathBuf, Failure> {
    let name = path.file_name().ok_or_else(|| Failure::usage(format!("{} does not name a file", path.display())))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(beside))
}

/// Creates a file that must not exist yet: not through a link either.
fn create(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    fill(file, secret).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn fill(mut file: File, secret: &[u8]) -> io::Result<()> {
    file.write_all(secret)?;
    file.sync_all()
}
