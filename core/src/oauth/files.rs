//! Folders of sessions and keys: the names, contents and locks that the file stores of all languages share.
//!
//! The functions here do no input or output; `keybound-files` does it for Rust, and the packages of other languages call the same
//! functions. Programs in several languages can therefore use one folder at the same time.
//!
//! - A folder holds the subfolders [`FOLDERS`], all with mode 0700. A file has mode 0600 and is replaced as a whole: a new file, whose
//!   name begins with [`UNFINISHED`], is written, synchronised and renamed; then its folder is synchronised. Links are not followed.
//! - A file of a value that [`is_spoiled`] is renamed to [`SPOILED`] and its name, under the lock of its place, where it is to be loaded or
//!   replaced. That fails once and names both files; from then on nothing is stored there. What has that name already is replaced.
//! - A stored value is in the [`Place`] of its slot, in the form of [`encode`]. A key is a private JWK, `key/THUMBPRINT`. A key that
//!   a [`CreateKey`](super::step::CreateKey) step made has an empty file `made/THUMBPRINT` besides, which is written first; one that was
//!   made for a session in another store or for the host itself, such as a key ring, has a file `elsewhere/THUMBPRINT` instead, in which
//!   is its [`KeyOwner`](super::step::KeyOwner). No sweep deletes it.
//! - A lock is an exclusive lock of the operating system (`flock`, `LockFileEx`) on the file [`file_name`]`(name)` in `lock`. The
//!   system gives it back when its holder ends. One that is held is tried again after a [`pause`], for as long as the lease.
//! - A value is compared and replaced under the lock of its [`Place`], for which a store waits [`SAVE_LEASE`] seconds.
//! - A store sweeps when it is opened and before it makes a key, if [`Sweep::is_due`], and only while it holds the lock
//!   [`SWEEP_LOCK`], which it does not wait for. [`FolderSweep`] says what is deleted.
//!
//! ```
//! use keybound::RUSTCRYPTO;
//! use keybound::oauth::files::{self, Place};
//!
//! let place = Place::of_slot("session/work of .a", &RUSTCRYPTO);
//! assert_eq!((place.folder(), place.file()), ("session", "work%20of%20%2Ea"));
//! assert_eq!(place.lock(&RUSTCRYPTO), "save/session/work of .a");
//! let file = files::encode(7, b"{}").ok_or("longer than 4 MiB")?;
//! assert_eq!(file.as_slice(), b"keybound 1 7\n{}");
//! assert_eq!(files::decode(&file), Some((7, "{}")));
//! # Ok::<(), &str>(())
//! ```

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::sweep::{Sweep, Swept};
use crate::UnixTime;
use crate::base64url;
use crate::crypto::Crypto;
use crate::jose::thumbprint::Thumbprint;

/// Sessions.
pub const SESSION: &str = "session";
/// Logins that wait for their user.
pub const LOGIN: &str = "login";
/// Clients that were registered.
pub const REGISTRATION: &str = "registration";
/// Private keys.
pub const KEY: &str = "key";
/// Empty files, one for each key that a flow had made: it tells them from keys of the user's own.
pub const MADE: &str = "made";
/// Files with the name of an owner, one for each key that was made for a session in another store or for the host itself.
pub const ELSEWHERE: &str = "elsewhere";
/// What programs keep beside their sessions.
pub const ATTACHED: &str = "attached";
/// Empty files that are locked.
pub const LOCK: &str = "lock";
/// All subfolders.
pub const FOLDERS: [&str; 8] = [SESSION, LOGIN, REGISTRATION, KEY, MADE, ELSEWHERE, ATTACHED, LOCK];

/// The longest file that is written or read, in bytes: 4 MiB.
pub const MAX_LEN: usize = 4 * 1024 * 1024;
/// What the names of files begin with that are being written.
pub const UNFINISHED: &str = ".new-";
/// What the names of files begin with that were set aside, because they are spoiled. They can hold parts of tokens, and no sweep deletes them.
pub const SPOILED: &str = ".spoiled-";
/// For how many seconds a store waits for others that change the same value; each takes a few milliseconds.
pub const SAVE_LEASE: u64 = 30;
/// The name of the lock whose holder sweeps.
pub const SWEEP_LOCK: &str = "sweep";

/// What each stored value begins with; version and line feed follow.
const MAGIC: &str = "keybound 1 ";
/// What values of all versions of the format begin with; the number of the format follows, and a space.
const ANY_MAGIC: &[u8] = b"keybound ";
/// The longest name of a file that shows its text; longer ones are hashed.
const MAX_NAME_LEN: usize = 120;
/// The largest version: each language has this number exactly.
const MAX_VERSION: u64 = 1 << 53;

/// The name of a file for a text, which every file system takes: percent-encoded, or the SHA-256 hash in base64url where that is
/// longer than 120 characters.
pub fn file_name(text: &str, crypto: &Crypto) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => {
                name.push('%');
                name.extend([other >> 4, other & 15].map(hexadecimal));
            }
        }
    }
    if name.len() <= MAX_NAME_LEN { name } else { base64url::encode(&crypto.digest.sha256(&[text.as_bytes()])) }
}

fn hexadecimal(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The text of a file's name; `None` for a name that [`file_name`] does not give. The text of a hash is the hash.
pub fn text_of(name: &str, crypto: &Crypto) -> Option<String> {
    let mut parts = name.split('%');
    let mut bytes = Vec::from(parts.next()?);
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|text| file_name(text, crypto) == name)
}

/// Where the value of a slot is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    folder: &'static str,
    file: String,
}

impl Place {
    /// Of a slot: `session/…`, `login/…` or `registration/…`. Any other text is the name of a session.
    pub fn of_slot(slot: &str, crypto: &Crypto) -> Self {
        let known = slot.split_once('/').and_then(|(kind, name)| Some((slots(kind)?, name)));
        let (folder, name) = known.unwrap_or((SESSION, slot));
        Self { folder, file: file_name(name, crypto) }
    }

    /// Of a file with this name; `None` if no slots are in this folder.
    pub fn of_file(folder: &str, file: &str) -> Option<Self> {
        Some(Self { folder: slots(folder)?, file: file.into() })
    }

    /// The subfolder.
    pub const fn folder(&self) -> &'static str {
        self.folder
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The name of the lock under which the value is changed. It follows from the file's name, so that a sweep finds it as well.
    pub fn lock(&self, crypto: &Crypto) -> String {
        match self.folder {
            // One for all logins, because each has a name that is never used again.
            LOGIN => "save/login/".into(),
            folder => format!("save/{folder}/{}", text_of(&self.file, crypto).as_ref().unwrap_or(&self.file)),
        }
    }
}

/// The folders of stored values.
fn slots(folder: &str) -> Option<&'static str> {
    [SESSION, LOGIN, REGISTRATION].into_iter().find(|known| *known == folder)
}

/// The subfolder whose file of the same name is deleted after that of this one: a key goes with its mark, and a session with what
/// programs keep beside it.
pub fn deleted_with(folder: &str) -> Option<&'static str> {
    match folder {
        KEY => Some(MADE),
        SESSION => Some(ATTACHED),
        _ => None,
    }
}

/// What is written for a value: `keybound 1 VERSION`, a line feed, and the value. `None` if that is longer than [`MAX_LEN`].
pub fn encode(version: u64, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let first = format!("{MAGIC}{version}\n");
    let bytes = Zeroizing::new([first.as_bytes(), value].concat());
    (bytes.len() <= MAX_LEN).then_some(bytes)
}

/// Version and value of a file; `None` for one that is of another program or of another version of the format.
pub fn decode(bytes: &[u8]) -> Option<(u64, &str)> {
    let text = core::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_LEN)?;
    let (version, value) = text.strip_prefix(MAGIC)?.split_once('\n')?;
    let version = version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse().ok())??;
    (version <= MAX_VERSION).then_some((version, value))
}

/// Whether what is in a value's file is lost: [`decode`] gives nothing, and no other version of the format, which a newer program may have
/// written, explains that. An empty file and one that was cut are spoiled. Set such a file aside, and never one of another version.
pub fn is_spoiled(bytes: &[u8]) -> bool {
    let format = bytes.strip_prefix(ANY_MAGIC).and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let is_newer = format.is_some_and(|format| {
        (1..=9).contains(&format.len()) && format.iter().all(u8::is_ascii_digit) && format != b"1"
    });
    decode(bytes).is_none() && !is_newer
}

/// How many milliseconds to wait after this many attempts to take a lock: 1, 2, 4 … and 50 at most.
pub const fn pause(attempts: u32) -> u64 {
    match attempts {
        0 | 1 => 1,
        2 => 2,
        3 => 4,
        4 => 8,
        5 => 16,
        6 => 32,
        _ => 50,
    }
}

/// What to do with a file that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nothing.
    Leave,
    /// Read it, and tell [`FolderSweep::content`] what is in it.
    Read,
    /// Delete it: a write that broke off an hour ago or more. It holds what was to be written, a key or tokens.
    Delete,
}

/// A file to delete, together with that in [`deleted_with`]. One that is gone already is no error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// The subfolder.
    pub folder: &'static str,
    /// The file.
    pub file: String,
    /// Delete it under the lock of its [`Place`], and only if this is still its version; 0 is the version of one that cannot be read.
    /// Files that are no values have none and are simply deleted.
    pub version: Option<u64>,
}

/// Finds what can be deleted from a folder. It is told of every file in [`FOLDERS`], and asks for the contents of some.
///
/// What a [`Sweep`] says of values and keys is deleted. Marks without a key, and what is kept beside sessions that are gone, are
/// deleted once they are an hour old.
#[derive(Debug)]
#[must_use = "nothing is found before `finish`"]
pub struct FolderSweep {
    sweep: Sweep,
    now: UnixTime,
    sessions: Vec<String>,
    keys: Vec<(String, UnixTime)>,
    /// Marks, and what is kept beside sessions: whether it is an hour old.
    beside: Vec<(&'static str, String, bool)>,
}

impl FolderSweep {
    /// Begins. `now` is the store's clock.
    pub fn new(crypto: &Crypto, now: UnixTime) -> Self {
        let (sessions, keys, beside) = (Vec::new(), Vec::new(), Vec::new());
        Self { sweep: Sweep::new(crypto, now), now, sessions, keys, beside }
    }

    /// Tells of a file, with the time of its last change.
    #[must_use = "some files are to be read or deleted"]
    pub fn found(&mut self, folder: &str, file: &str, modified: UnixTime) -> Found {
        let is_old = self.now.since(modified) >= Sweep::INTERVAL;
        if file.starts_with('.') {
            return if is_old && file.starts_with(UNFINISHED) { Found::Delete } else { Found::Leave };
        }
        match folder {
            SESSION => self.sessions.push(file.into()),
            KEY => self.keys.push((file.into(), modified)),
            MADE => self.beside.push((MADE, file.into(), is_old)),
            ELSEWHERE => self.beside.push((ELSEWHERE, file.into(), is_old)),
            ATTACHED => self.beside.push((ATTACHED, file.into(), is_old)),
            _ => {}
        }
        if slots(folder).is_some() { Found::Read } else { Found::Leave }
    }

    /// Tells what is in a file that was to be read. `None` is one that is there and cannot be read: it may name any key.
    pub fn content(&mut self, folder: &str, file: &str, bytes: Option<&[u8]>, modified: UnixTime) {
        let stored = bytes.and_then(decode);
        let version = stored.map_or(0, |(version, _)| version);
        let value = stored.map(|(_, value)| value.as_bytes());
        self.sweep.stored(&format!("{folder}/{file}"), version, value, Some(modified));
    }

    /// What can be deleted, after everything was told.
    #[must_use]
    pub fn finish(self) -> Vec<Ended> {
        let Self { mut sweep, mut sessions, mut keys, beside, .. } = self;
        sessions.sort_unstable();
        keys.sort_unstable();
        let mut alone = Vec::new();
        for (folder, file, is_old) in beside {
            let key = keys.binary_search_by(|(name, _)| name.cmp(&file)).ok().and_then(|at| keys.get(at));
            match (folder, key, Thumbprint::parse(&file)) {
                (MADE, Some((_, created_at)), Some(thumbprint)) => sweep.key(thumbprint, *created_at),
                (ELSEWHERE, Some(_), _) => {}
                (ATTACHED, ..) if sessions.binary_search(&file).is_ok() => {}
                // A younger one may be waiting for what it belongs to.
                _ if is_old => alone.push(Ended { folder, file, version: None }),
                _ => {}
            }
        }
        let Swept { slots: ended, keys } = sweep.finish();
        let place = |(slot, version): (String, u64)| {
            let (folder, file) = slot.split_once('/')?;
            Some(Ended { folder: slots(folder)?, file: file.into(), version: Some(version) })
        };
        let key = |key: Thumbprint| Ended { folder: KEY, file: key.to_string(), version: None };
        ended.into_iter().filter_map(place).chain(keys.into_iter().map(key)).chain(alone).collect()
    }
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::RUSTCRYPTO;

    #[test]
    fn names_are_those_of_every_version_so_far() {
        for (text, name) in [
            ("a-b_C9/ä. ", "a-b_C9%2F%C3%A4%2E%20"),
            ("..", "%2E%2E"),
            ("it's (fine)!*~", "it%27s%20%28fine%29%21%2A%7E"),
            ("", ""),
        ] {
            assert_eq!(file_name(text, &RUSTCRYPTO), name);
            assert_eq!(text_of(name, &RUSTCRYPTO).as_deref(), Some(text));
        }
        let long = "x".repeat(121);
        assert_eq!(file_name(&long, &RUSTCRYPTO), "eQcqR7-qVOYFep7iHg3qZLntv9FgxMytu2V-ZLbSLuQ");
        assert_eq!(file_name(&"x".repeat(120), &RUSTCRYPTO).len(), 120);
        for strange in ["a.b", "%2e", "%4", "%41", "%FF", "a b", "%%"] {
            assert_eq!(text_of(strange, &RUSTCRYPTO), None, "{strange}");
        }
    }

    #[test]
    fn a_long_name_has_one_lock_for_those_who_save_and_those_who_sweep() {
        for slot in ["session/work", "registration/https://as.example.com", "login/abc"]
            .map(String::from)
            .into_iter()
            .chain([format!("session/{}", "ä".repeat(900))])
        {
            let place = Place::of_slot(&slot, &RUSTCRYPTO);
            let found = Place::of_file(place.folder(), place.file()).unwrap();
            assert_eq!(found.lock(&RUSTCRYPTO), place.lock(&RUSTCRYPTO), "{slot}");
        }
        assert_eq!(Place::of_slot("session/a/b", &RUSTCRYPTO).lock(&RUSTCRYPTO), "save/session/a/b");
        assert_eq!(Place::of_slot("../../etc", &RUSTCRYPTO).folder(), SESSION);
        assert_eq!(Place::of_file("key", "a"), None);
    }

    #[test]
    fn only_whole_files_of_this_format_are_read() {
        assert_eq!(decode(b"keybound 1 1700000000000123\n{\n}"), Some((1_700_000_000_000_123, "{\n}")));
        assert_eq!(decode(b"keybound 1 0\n"), Some((0, "")));
        for other in [
            "",
            "keybound 1 1",
            "keybound 2 1\n{}",
            "keybound 1 +1\n{}",
            "keybound 1 \n{}",
            "keybound 1 9007199254740993\n{}",
            " keybound 1 1\n{}",
        ] {
            assert_eq!(decode(other.as_bytes()), None, "{other}");
        }
        let most = MAX_LEN - "keybound 1 1\n".len();
        assert_eq!(decode(b"keybound 1 1\n\xff"), None);
        assert_eq!(decode(&encode(1, &alloc::vec![b' '; most]).unwrap()).unwrap().1.len(), most);
        assert_eq!(encode(1, &alloc::vec![b' '; most + 1]), None);
        assert_eq!(decode(&[b"keybound 1 1\n".as_slice(), &alloc::vec![b' '; most + 1]].concat()), None);
    }

    #[test]
    fn what_was_cut_is_spoiled_and_what_a_newer_program_wrote_is_not() {
        for spoiled in
            ["", "{}", "keyb", "keybound ", "keybound 1", "keybound 1 7", "keybound 1 \n{}", "keybound x 1\n{}"]
        {
            assert!(is_spoiled(spoiled.as_bytes()), "{spoiled}");
        }
        assert!(is_spoiled(b"keybound 1 1\n\xff"));
        for other in ["keybound 1 1\n{}", "keybound 2 1\n{}", "keybound 12 anything", "keybound 2"] {
            assert!(!is_spoiled(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_folder_is_swept_of_what_belongs_to_nothing() {
        let now = UnixTime::from_secs(1_700_000_000);
        let (young, old) = (now.saturating_sub(3_599), now.saturating_sub(3_600));
        let key = |byte| Thumbprint::from_bytes([byte; 32]).to_string();
        let mut sweep = FolderSweep::new(&RUSTCRYPTO, now);
        // In any order: a mark that is listed before its key is not taken for one without.
        for (folder, file, modified, found) in [
            (MADE, key(1), old, Found::Leave),
            (KEY, key(1), old, Found::Leave),
            (MADE, key(2), young, Found::Leave),
            (MADE, key(3), old, Found::Leave),
            (MADE, "of another program".into(), old, Found::Leave),
            (ELSEWHERE, key(5), old, Found::Leave),
            (KEY, key(5), old, Found::Leave),
            (ELSEWHERE, key(6), old, Found::Leave),
            (ELSEWHERE, key(7), young, Found::Leave),
            (ATTACHED, "work".into(), old, Found::Leave),
            (ATTACHED, "gone".into(), old, Found::Leave),
            (ATTACHED, "coming".into(), young, Found::Leave),
            (SESSION, "work".into(), old, Found::Read),
            (LOGIN, ".new-a".into(), old, Found::Delete),
            (LOGIN, ".new-b".into(), young, Found::Leave),
            (LOGIN, ".hidden".into(), old, Found::Leave),
            (LOCK, "sweep".into(), old, Found::Leave),
        ] {
            assert_eq!(sweep.found(folder, &file, modified), found, "{folder}/{file}");
        }
        sweep.content(SESSION, "work", None, old);
        let mut ended = sweep.finish();
        ended.sort_by(|one, other| one.file.cmp(&other.file));
        let gone =
            [(MADE, key(3)), (ELSEWHERE, key(6)), (ATTACHED, "gone".into()), (MADE, "of another program".into())];
        assert_eq!(ended, gone.map(|(folder, file)| Ended { folder, file, version: None }));

        // Without the session that cannot be read the key is found: it is older than a login can take.
        let mut sweep = FolderSweep::new(&RUSTCRYPTO, now);
        let at = now.saturating_sub(7_200);
        assert_eq!([KEY, MADE].map(|folder| sweep.found(folder, &key(1), at)), [Found::Leave; 2]);
        assert_eq!(sweep.found(LOGIN, "state", old), Found::Read);
        let login = br#"{"v":2,"level":"standard","expires":1700009999}"#;
        sweep.content(LOGIN, "state", Some(&encode(5, login).unwrap()), old);
        let ended = sweep.finish();
        assert_eq!(ended[0], Ended { folder: LOGIN, file: "state".into(), version: Some(5) });
        assert_eq!(ended[1], Ended { folder: KEY, file: key(1), version: None });
        assert_eq!(ended.len(), 2);
    }
}
