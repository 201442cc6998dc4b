"""Where a client keeps keys and sessions: a folder of files, memory, or the caller's own place."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote

from . import _files
from ._sweep import SWEEP_AGAIN, Sweep
from ._types import Protection
from .errors import KeyboundError, LockTimeout, Misuse
from .keys import Key, Signer

__all__ = ["FileStore", "KeyFault", "MemoryStore", "SessionStore", "Stored"]

#: The kinds of slots, each a subfolder.
KINDS = ("session", "login", "registration")
#: For how long a value that another process saves is waited for, in seconds.
SAVING = 30
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
        """Makes a key for one of `algorithms` in one of the places `protections`, and keeps it under its thumbprint.

        It is a session's or a login's: the stores of this package delete one that none of them names any more.
        """

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
        """Takes a lock, waiting for other tasks and processes up to `lease` seconds.

        Raises :class:`~keybound.LockTimeout` then: it is never given to two, for a holder that is slow may still be using a refresh
        token. Only one that has ended gives it back without saying so.
        """


def generated(algorithms: Sequence[str], protections: Sequence[Protection]) -> Key:
    """A new software key for the best of `algorithms`."""
    if Protection.SOFTWARE not in protections:
        raise Misuse("key_protection", "keys have to live in hardware here; give the client a store that makes such keys")
    for algorithm in ("ES256", "Ed25519", "EdDSA", "ES384", "ES512", "PS256"):
        if algorithm in algorithms:
            return Key.generate(algorithm)
    return Key.generate(algorithms[0])


class MemoryStore:
    """Keys and sessions in memory: gone with the process.

    Logins that no one completed, and keys that nothing names any more, are deleted when the next key is made, once an hour at most.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Signer] = {}
        self._made: dict[str, int] = {}
        self._swept = time.time()
        self._slots: dict[str, Stored] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def add_key(self, key: Signer, thumbprint: str) -> None:
        """Keeps a key of the caller's, for example the one a client authenticates with. It stays until :meth:`delete_key`."""
        self._keys[thumbprint] = key
        self._made.pop(thumbprint, None)

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """See :class:`SessionStore`."""
        self._sweep()
        key = generated(algorithms, protections)
        self._made[key.thumbprint] = int(time.time())
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
        self._made.pop(thumbprint, None)

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
        if not lock.acquire(timeout=lease):
            raise LockTimeout(name, lease)
        try:
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        now = time.time()
        with self._guard:
            if abs(now - self._swept) < SWEEP_AGAIN:
                return
            self._swept = now
            slots, made = list(self._slots.items()), list(self._made.items())
        sweep = Sweep(int(now))
        for slot, stored in slots:
            sweep.stored(slot, stored.version, stored.value)
        for each in made:
            sweep.key(*each)
        over, keys = sweep.finish()
        for slot, version in over:
            self.save(slot, expected=version, version=version, value=None)
        for thumbprint in keys:
            self.delete_key(thumbprint)

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._keys)} keys, {len(self._slots)} values)"


class FileStore:
    """Sessions and software keys in a folder that its owner alone can read, the format of the program `keybound`.

    A file is replaced as a whole, by a rename after its bytes have reached the disk. Processes that share the folder take turns by
    file locks, which the operating system gives back when a process dies.

    Opening the folder deletes what has ended: logins that no one completed, with their keys, and keys that no session or login names. So does
    making a key, once an hour at most.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens the folder, making it with mode 0700.

        Raises :class:`~keybound.Misuse` if others may look into it, if it is another user's, or if it is a link.
        """
        self._folder = Path(folder)
        _files.make_private(self._folder, (*KINDS, "key", "made", "lock"))
        self._swept = -math.inf
        self._sweep()

    def add_key(self, key: Key) -> None:
        """Keeps a key of the caller's, for example the one a client authenticates with. It stays until :meth:`delete_key`."""
        self._write(key)
        self._path("made", key.thumbprint).unlink(missing_ok=True)

    def sessions(self) -> list[str]:
        """The names of all stored sessions."""
        names = (path.name for path in (self._folder / "session").iterdir())
        return sorted(unquote(name) for name in names if not name.startswith("."))

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """See :class:`SessionStore`."""
        self._sweep()
        key = generated(algorithms, protections)
        # Tells it from keys of the caller's own. The mark first: a crash leaves a mark without a key, and not a key that is never found.
        _files.replace(self._path("made", key.thumbprint), b"")
        self._write(key)
        return key

    def signer(self, thumbprint: str) -> Signer:
        """See :class:`SessionStore`."""
        try:
            text = _files.read(self._path("key", thumbprint))
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
        for kind in ("key", "made"):
            self._path(kind, thumbprint).unlink(missing_ok=True)

    def load(self, slot: str) -> Stored | None:
        """See :class:`SessionStore`."""
        return self._stored(self._slot(slot))

    def _stored(self, path: Path) -> Stored | None:
        try:
            first, _, rest = _files.read(path).partition(b"\n")
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
        path = self._slot(slot)
        with self._saving(slot):
            stored = self._stored(path)
            if (stored.version if stored else None) != expected:
                return False
            if value is None:
                path.unlink(missing_ok=True)
            else:
                _files.replace(path, MAGIC + f"{version}\n".encode() + value.encode())
            return True

    @contextlib.contextmanager
    def lock(self, name: str, lease: int) -> Iterator[None]:
        """See :class:`SessionStore`."""
        descriptor = _files.locked(self._folder / "lock" / _files.name_of(name), lease)
        if descriptor is None:
            raise LockTimeout(name, lease)
        try:
            yield
        finally:
            _files.unlock(descriptor)

    def _saving(self, slot: str) -> AbstractContextManager[None]:
        # One lock file for all logins: each has a name that is never used again.
        return self.lock(f"save/{'login/' if slot.startswith('login/') else slot}", SAVING)

    def _slot(self, slot: str) -> Path:
        kind, _, rest = slot.partition("/")
        return self._path(kind, _files.name_of(rest))

    def _path(self, kind: str, name: str) -> Path:
        return self._folder / kind / name

    def _write(self, key: Key) -> None:
        _files.replace(self._path("key", key.thumbprint), key.danger_private_jwk().encode())

    def _sweep(self) -> None:
        now = time.time()
        if abs(now - self._swept) < SWEEP_AGAIN:
            return
        self._swept = now
        # The holder of the lock sweeps. What fails here is tried again, and no login fails for want of it.
        with contextlib.suppress(OSError, LockTimeout), self.lock("sweep", 0):
            over, keys = self._told(int(now)).finish()
            for slot, version in over:
                self._remove(slot, version)
            for thumbprint in keys:
                self.delete_key(thumbprint)

    def _told(self, now: int) -> Sweep:
        """A sweep that was told of everything in the folder."""
        sweep = Sweep(now)
        for kind in KINDS:
            for name, modified in _files.entries(self._folder / kind, now - SWEEP_AGAIN):
                try:
                    stored = self._stored(self._path(kind, name))
                    if stored is not None:
                        sweep.stored(f"{kind}/{name}", stored.version, stored.value, modified)
                except (OSError, UnicodeEncodeError, OverflowError):
                    shown = os.fsencode(name).decode(errors="replace")
                    sweep.stored(f"{kind}/{shown}", 0, None, modified)
        times = dict(_files.entries(self._folder / "key", now - SWEEP_AGAIN))
        for name, modified in _files.entries(self._folder / "made", now - SWEEP_AGAIN):
            if name in times:
                sweep.key(name, times[name])
            elif modified <= now - SWEEP_AGAIN:
                # A key that was never written.
                self._path("made", name).unlink(missing_ok=True)
        return sweep

    def _remove(self, slot: str, version: int) -> None:
        kind, _, name = slot.partition("/")
        path = self._path(kind, name)
        with self._saving(f"{kind}/{unquote(name)}"):
            try:
                stored = self._stored(path)
                found = stored.version if stored else None
            except OSError:
                # As it was told.
                found = 0
            if found == version:
                path.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"FileStore({str(self._folder)!r})"
