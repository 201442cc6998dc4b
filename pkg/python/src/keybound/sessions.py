"""Where a client keeps keys and sessions: a folder of files, memory, or the caller's own place."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, cast

from . import _keybound
from ._types import Protection
from .errors import NATIVE, HostFailed, LockTimeout, Reason, reraise
from .keys import Key, Signer

__all__ = ["FileStore", "KeyFault", "MemoryStore", "SessionStore", "SharedKey", "Stored"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, which is a secret, and the version it was saved with: a number up to 2^53."""

    version: int
    value: str = field(repr=False)


class KeyFault(HostFailed):
    """A store cannot use a key: it is `missing`, `changed` (another under its name) or `unreadable` now. The reason is `key_missing` and so on."""

    def __init__(self, fault: Literal["missing", "changed", "unreadable"], detail: str = "") -> None:
        super().__init__(cast(Reason, f"key_{fault}"), detail or fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key that belongs to the store, such as the active key of a key ring: other sessions may use it, and no flow deletes it."""

    signer: Signer


class SessionStore(Protocol):
    """Keys, sessions and locks of a client. All methods may block; the asynchronous client calls them on other threads."""

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer | SharedKey:
        """Makes a key for one of `algorithms` in one of the places `protections`, and keeps it under its thumbprint.

        It is a session's or a login's: it is deleted with it, and the stores of this package delete one that none of them names any more.
        A store that answers with a key of its own, which several sessions share, says so by :class:`SharedKey`.
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


class MemoryStore:
    """Keys and sessions in memory: gone with the process.

    Logins that no one completed, and keys that nothing names any more, are deleted when the next key is made, once an hour at most.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Signer] = {}
        self._made: dict[str, int] = {}
        self._swept = int(time.time())
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
        try:
            key = Key(_keybound.Key.generate_for(list(algorithms), [place.value for place in protections]))
        except NATIVE as error:
            reraise(error)
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
        now = int(time.time())
        with self._guard:
            if not _keybound.is_sweep_due(self._swept, now):
                return
            self._swept = now
            slots, made = list(self._slots.items()), list(self._made.items())
        sweep = _keybound.Sweep(now)
        for slot, stored in slots:
            sweep.stored(slot, stored.version, stored.value, None)
        for each in made:
            sweep.key(*each)
        ended = json.loads(sweep.finish())
        for each in ended["slots"]:
            self.save(each["slot"], expected=each["version"], version=each["version"], value=None)
        for thumbprint in ended["keys"]:
            self.delete_key(thumbprint)

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._keys)} keys, {len(self._slots)} values)"


class FileStore:
    """Sessions and software keys in a folder that its owner alone can read, the format of the program `keybound`.

    A file is replaced as a whole, by a rename after its bytes have reached the disk. Processes that share the folder take turns by
    file locks, which the operating system gives back when a process dies.

    Opening the folder deletes what has ended: logins that no one completed, with their keys, and keys that no session or login names. So does
    making a key, once an hour at most.

    Methods raise :class:`~keybound.HostFailed` with the reason `file` for what the operating system refuses. A session's file that is
    empty or cut is set aside: the error names its new place, and the next call finds nothing, so that a new login works.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Opens the folder, making it with mode 0700.

        Raises :class:`~keybound.Misuse` if others can look into it, if it is another user's, or if it is a link.
        """
        self._folder = Path(folder)
        with _faults():
            self._native = _keybound.FileStore(self._folder, int(time.time()))

    def add_key(self, key: Key) -> None:
        """Keeps a key of the caller's, for example the one a client authenticates with. It stays until :meth:`delete_key`."""
        with _faults():
            self._native.add_key(key._native)

    def sessions(self) -> list[str]:
        """The names of all stored sessions."""
        with _faults():
            return self._native.sessions()

    def create_key(self, algorithms: Sequence[str], protections: Sequence[Protection]) -> Signer:
        """See :class:`SessionStore`."""
        with _faults():
            return Key(self._native.create_key(list(algorithms), [place.value for place in protections], int(time.time())))

    def signer(self, thumbprint: str) -> Signer:
        """See :class:`SessionStore`."""
        with _faults():
            return Key(self._native.key(thumbprint))

    def delete_key(self, thumbprint: str) -> None:
        """See :class:`SessionStore`."""
        with _faults():
            self._native.delete_key(thumbprint)

    def load(self, slot: str) -> Stored | None:
        """See :class:`SessionStore`."""
        with _faults():
            stored = self._native.load(slot)
        return stored and Stored(*stored)

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        """See :class:`SessionStore`."""
        with _faults():
            saved = self._native.save(slot, expected, version, value, _keybound.SAVE_LEASE)
        if saved is None:
            raise LockTimeout(f"save/{slot}", _keybound.SAVE_LEASE)
        return saved

    @contextlib.contextmanager
    def lock(self, name: str, lease: int) -> Iterator[None]:
        """See :class:`SessionStore`."""
        with _faults():
            held = self._native.lock(name, lease)
        if held is None:
            raise LockTimeout(name, lease)
        try:
            yield
        finally:
            held.release()

    def __repr__(self) -> str:
        return f"FileStore({str(self._folder)!r})"


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Raises the errors of this package for what the native module and the operating system raise."""
    try:
        yield
    except OSError as failure:
        raise HostFailed("file", str(failure)) from failure
    except NATIVE as error:
        reraise(error)
