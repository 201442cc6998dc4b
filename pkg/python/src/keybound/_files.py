"""Files that their owner alone can read: their folders, their names, their replacement as a whole, and locks on them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .errors import Misuse

__all__ = ["entries", "locked", "make_private", "name_of", "read", "replace", "unlock"]

#: The longest file that is read, in bytes.
MAX_LEN = 4 * 1024 * 1024
#: What the names of files begin with that are being written.
UNFINISHED = ".new-"
#: The longest pause between two attempts at a lock, in seconds.
PAUSE = 0.05


def make_private(folder: Path, kinds: Iterable[str]) -> None:
    """Makes a folder and its subfolders with mode 0700. Raises :class:`Misuse` if others can look into it, or replace what is in it.

    The owner of a folder can open it to others at any time, and the owner of a link decides which folder is used.
    """
    for path in (*reversed(folder.parents), folder):
        if not os.path.lexists(path):
            path.mkdir(mode=0o700, exist_ok=True)
    _check_owner(folder)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        raise Misuse("folder_readable", f"{folder} can be read by others and is to hold tokens; run: chmod 700 {folder}")
    for kind in kinds:
        path = folder / kind
        if not os.path.lexists(path):
            path.mkdir(mode=0o700, exist_ok=True)
        _check_owner(path)


def _check_owner(folder: Path) -> None:
    if os.name != "posix":
        return
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise Misuse("folder_linked", f"{folder} is a link, which is not followed; give the folder that it leads to: {folder.resolve()}")
    if found.st_uid != os.geteuid():
        raise Misuse(
            "folder_foreign",
            f"{folder} belongs to user {found.st_uid}, and this program runs as user {os.geteuid()}; give a folder that this user owns, or "
            f"run: chown -R {os.geteuid()} {folder}",
        )


def read(path: Path) -> bytes:
    """The bytes of a file, at most 4 MiB of it. Raises `OSError` for a link: nothing that was stored here is one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "this is a link, which is not followed; move it away", str(path)) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_LEN)


def entries(folder: Path, before: int) -> list[tuple[str, int]]:
    """The files of a folder, with the time of their last change in seconds. What writes left that broke off before `before` is deleted."""
    found = []
    for path in folder.iterdir():
        try:
            modified = int(path.lstat().st_mtime)
        except FileNotFoundError:
            continue
        if not path.name.startswith("."):
            found.append((path.name, modified))
        elif path.name.startswith(UNFINISHED) and modified <= before:
            path.unlink(missing_ok=True)
    return found


def replace(path: Path, content: bytes) -> None:
    """Replaces a file as a whole, after the new bytes have reached the disk."""
    # Made with mode 0600.
    descriptor, new = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
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


def name_of(text: str) -> str:
    """A name that every file system takes: percent-encoded, or hashed where that is too long."""
    plain = quote(text, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(plain) <= 120:
        return plain
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def locked(path: Path, seconds: float) -> int | None:
    """Takes an exclusive lock on a file, waiting up to `seconds`: a descriptor for :func:`unlock`. `None` if it is still held."""
    until, pause = time.monotonic() + seconds, 0.001
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        while not _has_locked(descriptor):
            left = until - time.monotonic()
            if left <= 0:
                os.close(descriptor)
                return None
            # The operating system waits for a lock without end, and a thread that does cannot be called back.
            time.sleep(min(pause, left))
            pause = min(2 * pause, PAUSE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Gives a lock back."""
    try:
        with contextlib.suppress(ImportError):
            import fcntl

            # Closing is not enough: a child that was forked meanwhile has the file open as well.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _has_locked(descriptor: int) -> bool:
    """Takes the lock if no one else has it."""
    try:
        import fcntl
    except ImportError:
        import msvcrt

        module: Any = msvcrt
        try:
            module.locking(descriptor, module.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK, errno.EAGAIN):
                raise
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
