//! Why a folder or a key cannot be used.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use keybound::Misuse;

/// Why a folder cannot hold secrets. It is inside the [`io::Error`] of [`Files::open`](crate::Files::open).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is a symbolic link: the owner of the link decides where the secrets go.
    Linked {
        /// The link.
        folder: PathBuf,
        /// Where it leads, if anywhere.
        target: Option<PathBuf>,
    },
    /// It is not a folder.
    NotAFolder(PathBuf),
    /// It belongs to another user, who can open it to others at any time.
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The number of the user it belongs to.
        owner: u32,
        /// The number of the user that this process runs as.
        user: u32,
    },
    /// Others than its owner can look into it.
    Readable(PathBuf),
}

impl Unfit {
    /// All that [`reason`](Self::reason) can return.
    pub const REASONS: &'static [&'static str] =
        &["folder_linked", "not_a_folder", "folder_foreign", "folder_readable"];

    /// The stable name, for programs: `folder_linked`, `not_a_folder`, `folder_foreign` or `folder_readable`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Linked { .. } => "folder_linked",
            Self::NotAFolder(_) => "not_a_folder",
            Self::Foreign { .. } => "folder_foreign",
            Self::Readable(_) => "folder_readable",
        }
    }

    /// The one inside an error of [`Files::open`](crate::Files::open).
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linked { folder, target } => {
                let path = folder.display();
                write!(f, "{path} is a link, which is not followed, and is to hold tokens; name the folder itself")?;
                target.as_ref().map_or(Ok(()), |target| write!(f, ": {}", target.display()))
            }
            Self::NotAFolder(path) => write!(f, "{} is not a folder; name one that is", path.display()),
            Self::Foreign { folder, owner, user } => {
                let path = folder.display();
                write!(
                    f,
                    "{path} is to hold tokens and belongs to user {owner}, not to user {user}, as whom this process runs; \
                     name a folder of that user, or run: chown -R {user} {path}"
                )
            }
            Self::Readable(path) => {
                let path = path.display();
                write!(f, "{path} can be read by others and is to hold tokens; run: chmod 700 {path}")
            }
        }
    }
}

keybound::debug_as_text!(Unfit, with_reason);

impl std::error::Error for Unfit {}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        Self::new(ErrorKind::PermissionDenied, unfit)
    }
}

/// A link in the place of a file.
pub(crate) fn link(path: &Path) -> io::Error {
    let why = format!("{} is a link, which is not followed; put the file itself in its place", path.display());
    io::Error::new(ErrorKind::PermissionDenied, why)
}

/// A file that is none of these stores'.
pub(crate) fn strange(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{} is no file of this program; move it away", path.display()))
}

/// A file that lost what was in it.
pub(crate) fn spoiled(path: &Path, aside: &Path) -> io::Error {
    let (path, aside) = (path.display(), aside.display());
    let why = format!(
        "{path} is empty, cut or no file of this program, and was moved to {aside}; log in again, and delete it"
    );
    io::Error::new(ErrorKind::InvalidData, why)
}

/// Something stored that cannot be read, where all of it matters.
pub(crate) fn unreadable(folder: &Path) -> io::Error {
    let why = format!("a stored value in {} cannot be read, and may name any key; move it away", folder.display());
    io::Error::new(ErrorKind::InvalidData, why)
}

pub(crate) fn too_long(path: &Path) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("{} is longer than 4 MiB, which no file of this program is", path.display()),
    )
}

/// Why no software key can be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// Keys have to live in hardware or an HSM.
    KeyProtection,
    /// None of the permitted algorithms can be used.
    Algorithm,
    /// The provider failed.
    Provider(Misuse),
}

impl NoKey {
    /// All that [`reason`](Self::reason) can return.
    pub const REASONS: &'static [&'static str] = &["key_protection", "key_algorithm", "key_failed"];

    /// The stable name, for programs: `key_protection`, `key_algorithm` or `key_failed`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::KeyProtection => "key_protection",
            Self::Algorithm => "key_algorithm",
            Self::Provider(_) => "key_failed",
        }
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyProtection => f.write_str(
                "a key in hardware or an HSM is asked for, and this store has software keys alone; give the client a store that makes such keys",
            ),
            Self::Algorithm => f.write_str("no software key can be made for the permitted algorithms"),
            Self::Provider(misuse) => misuse.fmt(f),
        }
    }
}

keybound::debug_as_text!(NoKey, with_reason);

impl std::error::Error for NoKey {}
