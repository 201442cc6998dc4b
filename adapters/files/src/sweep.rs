//! Deleting what has ended, and telling other sweepers what there is.

use std::fs;
use std::io;
use std::time::Duration;

use keybound::oauth::files::{
    self, Ended, FOLDERS, FolderSweep, Found, KEY, LOGIN, MADE, Place, REGISTRATION, SAVE_LEASE, SESSION, SWEEP_LOCK,
};
use keybound::oauth::step::{HostError, Stored};
use keybound::{Thumbprint, UnixTime};

use crate::folder::Entry;
use crate::store::Files;

/// A file with a stored value.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Its slot. A name that was too long for a file is not known; its hash finds the same file.
    pub slot: String,
    /// What is in it; `None` if it cannot be read.
    pub stored: Option<Stored>,
    /// When it was written.
    pub modified: UnixTime,
}

/// A key that a flow had made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Made {
    /// Which.
    pub thumbprint: Thumbprint,
    /// When.
    pub at: UnixTime,
}

impl Files {
    /// All stored values, for a [`Sweep`](keybound::oauth::Sweep) of sessions whose keys are in another store.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn values(&self) -> io::Result<Vec<StoredFile>> {
        let mut values = Vec::new();
        for folder in [SESSION, LOGIN, REGISTRATION] {
            for entry in self.0.folder.entries(folder)?.into_iter().filter(|entry| !entry.name.starts_with('.')) {
                let Some(place) = Place::of_file(folder, &entry.name) else { continue };
                let stored = match self.stored(&place) {
                    Ok(None) if entry.is_named() => continue,
                    read => read.ok().flatten(),
                };
                let name = files::text_of(&entry.name, &self.0.crypto).unwrap_or(entry.name);
                values.push(StoredFile { slot: format!("{folder}/{name}"), stored, modified: entry.modified });
            }
        }
        Ok(values)
    }

    /// The keys that [`create_key`](Self::create_key) made.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn made(&self) -> io::Result<Vec<Made>> {
        self.marked(MADE)
    }

    pub(crate) fn marked(&self, mark: &str) -> io::Result<Vec<Made>> {
        let mut made = Vec::new();
        for entry in self.0.folder.entries(mark)? {
            let Some(thumbprint) = Thumbprint::parse(&entry.name) else { continue };
            let at = self.0.folder.modified(KEY, &entry.name)?;
            made.extend(at.map(|at| Made { thumbprint, at }));
        }
        Ok(made)
    }

    pub(crate) fn sweep(&self, now: UnixTime) -> Result<(), HostError> {
        let Some(_turn) = self.try_lock(SWEEP_LOCK)? else { return Ok(()) };
        let mut sweep = FolderSweep::new(&self.0.crypto, now);
        for folder in FOLDERS {
            for entry in self.0.folder.entries(folder)? {
                match sweep.found(folder, &entry.name, entry.modified) {
                    Found::Leave => {}
                    Found::Delete => drop(fs::remove_file(&entry.path)),
                    Found::Read => match self.0.folder.read(&entry.path) {
                        Ok(None) => {}
                        // A name that is not Unicode is none of these stores', whatever is in the file.
                        Ok(Some(bytes)) if entry.is_named() => {
                            sweep.content(folder, &entry.name, Some(&bytes), entry.modified)
                        }
                        _ => sweep.content(folder, &entry.name, None, entry.modified),
                    },
                }
            }
        }
        sweep.finish().iter().try_for_each(|ended| self.end(ended))
    }

    fn end(&self, ended: &Ended) -> Result<(), HostError> {
        let place = Place::of_file(ended.folder, &ended.file);
        let (Some(version), Some(place)) = (ended.version, place) else {
            return Ok(self.remove(ended.folder, &ended.file)?);
        };
        let _turn = self.lock(&place.lock(&self.0.crypto), Duration::from_secs(SAVE_LEASE))?;
        let found = self.stored(&place).map_or(Some(0), |stored| stored.map(|stored| stored.version));
        if found == Some(version) { Ok(self.remove(ended.folder, &ended.file)?) } else { Ok(()) }
    }
}

impl Entry {
    fn is_named(&self) -> bool {
        self.path.file_name().is_some_and(|name| name.to_str() == Some(self.name.as_str()))
    }
}
