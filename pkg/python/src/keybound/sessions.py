"""Where a client keeps keys and sessions: a folder of files, memory, or the caller's own place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote, unquote

from ._types import Protection
from .errors import KeyboundError, Misuse
from .keys import Key, Signer

__all__ = ["FileStore", "KeyFault", "MemoryStore", "SessionStore", "Stored"]

#: The longest stored value, in bytes; and after how long a login that nobody completed is removed, in seconds.
MAX_LEN, FORGOTTEN = 4 * 1024 * 1024, 3_600
MAGIC = b"keybound 1 "


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, which is a secret, and the version it was saved with: a number up to 2^53."""

    version: int
    value: str = field(repr=False)


class KeyFault(Exception):
    """A store cannot use a key: it is `missing`, `changed` (another under its name) or `unreadable` now."""

    def __init__(self, fault: Literal["missing", "changed", "unreadable"], detail: str = "") -> None:
        super().__init__(detail or fault)
        self.fault = fault


class SessionStore(Protocol):
    """Keys, sessions and locks of a client. All methods may block; the asynchronous client calls them on other threads."""

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """Makes a key for one of `algorithms` in one of the places `protections`, and keeps it under its thumbprint."""

    def signer(self, thumbprint: str) -> Signer:
        """The key with this thumbprint. Raises :class:`KeyFault` where it cannot be used."""

    def delete_key(self, thumbprint: str) -> None:
        """Deletes a key. One that is gone already is no error."""

    def load(self, slot: str) -> Stored | None:
        """What is stored in `slot`: `session/…`, `login/…` or `registration/…`, up to 2,048 bytes with arbitrary characters."""

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        """Stores `value`, or deletes what is there, if the stored version is `expected`; false if it is not.

        It is durable when this returns.
        """

    def lock(self, name: str, lease: int) -> AbstractContextManager[object]:
        """Takes a lock, waiting for other tasks and processes. It may be taken away after `lease` seconds."""


def generated(algorithms: Sequence[str], protections: Sequence[Protection]) -> Key:
    """A new software key for the best of `algorithms`."""
    if Protection.SOFTWARE not in protections:
        raise Misuse("key_protection", "keys have to live in hardware here; give the client a store that makes such keys")
    for algorithm in ("ES256", "Ed25519", "EdDSA", "ES384", "ES512", "PS256"):
        if algorithm in algorithms:
            return Key.generate(algorithm)
    return Key.generate(algorithms[0])


class MemoryStore:
    """Keys and sessions in memory: gone with the process."""

    def __init__(self) -> None:
        self._keys: dict[str, Signer] = {}
        self._slots: dict[str, Stored] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def add_key(self, key: Signer, thumbprint: str) -> None:
        """Keeps a key of the caller's, for example the one a client authenticates with."""
        self._keys[thumbprint] = key

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """See :class:`SessionStore`."""
        key = generated(algorithms, protections)
        self._keys[key.thumbprint] = key
        return key

    def signer(self, thumbprint: str) -> Signer:
        """See :class:`SessionStore`."""
        key = self._keys.get(thumbprint)
        if key is None:
            raise KeyFault("missing")
        return key

    def delete_key(self, thumbprint: str) -> None:
        """See :class:`SessionStore`."""
        self._keys.pop(thumbprint, None)

    def load(self, slot: str) -> Stored | None:
        """See :class:`SessionStore`."""
        return self._slots.get(slot)

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        """See :class:`SessionStore`."""
        with self._guard:
            stored = self._slots.get(slot)
            if (stored.version if stored else None) != expected:
                return False
            if value is None:
                self._slots.pop(slot, None)
            else:
                self._slots[slot] = Stored(version, value)
            return True

    @contextlib.contextmanager
    def lock(self, name: str, lease: int) -> Iterator[None]:
        """See :class:`SessionStore`."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._keys)} keys, {len(self._slots)} values)"


class FileStore:
    """Sessions and software keys in a folder that its owner alone can read, the format of the program `keybound`.

    A file is replaced as a whole, by a rename after its bytes have reached the disk. Processes that share the folder take turns by
    file locks, which the operating system gives back when a process dies.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens the folder, making it with mode 0700. Raises :class:`~keybound.Misuse` if others may look into it."""
        self._folder = Path(folder)
        for name in ("session", "login", "registration", "key", "lock"):
            _private_folder(self._folder / name)
        if os.name == "posix" and self._folder.stat().st_mode & 0o077:
            raise Misuse(
                "folder_readable", f"{self._folder} can be read by others and is to hold tokens; run: chmod 700 {self._folder}"
            )
        for path in (self._folder / "login").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > FORGOTTEN:
                    path.unlink()

    def add_key(self, key: Key) -> None:
        """Keeps a key of the caller's, for example the one a client authenticates with."""
        self._replace(self._folder / "key" / key.thumbprint, key.danger_private_jwk().encode())

    def sessions(self) -> list[str]:
        """The names of all stored sessions."""
        names = (path.name for path in (self._folder / "session").iterdir())
        return sorted(unquote(name) for name in names if not name.startswith("."))

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """See :class:`SessionStore`."""
        key = generated(algorithms, protections)
        self.add_key(key)
        return key

    def signer(self, thumbprint: str) -> Signer:
        """See :class:`SessionStore`."""
        try:
            text = (self._folder / "key" / thumbprint).read_bytes()
        except FileNotFoundError:
            raise KeyFault("missing") from None
        except OSError as error:
            raise KeyFault("unreadable", str(error)) from error
        try:
            key = Key.from_jwk(text.decode("ascii", "replace"))
        except KeyboundError as error:
            raise KeyFault("unreadable", error.detail) from error
        if key.thumbprint != thumbprint:
            raise KeyFault("changed")
        return key

    def delete_key(self, thumbprint: str) -> None:
        """See :class:`SessionStore`."""
        (self._folder / "key" / thumbprint).unlink(missing_ok=True)

    def load(self, slot: str) -> Stored | None:
        """See :class:`SessionStore`."""
        path = self._path(slot)
        try:
            with path.open("rb") as file:
                first, _, rest = file.read(MAX_LEN).partition(b"\n")
        except FileNotFoundError:
            return None
        version = first.removeprefix(MAGIC)
        try:
            if version == first or not version.isdigit():
                raise ValueError
            return Stored(int(version), rest.decode())
        except ValueError:
            raise OSError(f"{path} is no file of this program; move it away") from None

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        """See :class:`SessionStore`."""
        # One lock file for all logins: each has a name of its own, which is never used again.
        turn = "login/" if slot.startswith("login/") else slot
        with self.lock(f"save/{turn}", 0):
            stored = self.load(slot)
            if (stored.version if stored else None) != expected:
                return False
            path = self._path(slot)
            if value is None:
                path.unlink(missing_ok=True)
            else:
                self._replace(path, MAGIC + f"{version}\n".encode() + value.encode())
            return True

    @contextlib.contextmanager
    def lock(self, name: str, lease: int) -> Iterator[None]:
        """See :class:`SessionStore`."""
        descriptor = os.open(self._folder / "lock" / _file_name(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock_file(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _path(self, slot: str) -> Path:
        kind, _, rest = slot.partition("/")
        return self._folder / kind / _file_name(rest)

    def _replace(self, path: Path, content: bytes) -> None:
        # Made with mode 0600.
        descriptor, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def __repr__(self) -> str:
        return f"FileStore({str(self._folder)!r})"


def _private_folder(path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def _file_name(text: str) -> str:
    """A name that every file system takes: percent-encoded, or hashed where that is too long."""
    plain = quote(text, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(plain) <= 120:
        return plain
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _lock_file(descriptor: int) -> None:
    """Waits for an exclusive lock, which closing the file gives back."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except ImportError:
        import msvcrt

        module: Any = msvcrt
        while True:
            try:
                module.locking(descriptor, module.LK_LOCK, 1)
                return
            except OSError:
                continue
