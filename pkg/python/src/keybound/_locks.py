"""Locks of a session store for asyncio: waited for without stopping the event loop, or the threads it works with.

The tasks of a loop take turns among themselves first, so that one thread for each lock waits for others, however many tasks want it.
That thread is the lock's own: in the loop's pool, waiting threads could keep out the work that the lock's holder has to do.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager

from .errors import LockTimeout
from .sessions import SessionStore

__all__ = ["locked"]


class _Shared:
    """The turn of one loop's tasks for one lock, and how many tasks and threads use it."""

    def __init__(self) -> None:
        self._turn, self.users = asyncio.Lock(), 0
        self.give = self._turn.release

    async def take(self, seconds: float) -> bool:
        """Waits for the turn, at most this long. A task that is cancelled meanwhile has none and keeps it from nobody."""
        # Neither its end nor a cancellation of this task cancels what is waited for: whether the turn came is asked afterwards.
        taking = asyncio.ensure_future(self._turn.acquire())
        try:
            await asyncio.wait([taking], timeout=seconds)
        except BaseException:
            if not taking.cancel():
                self.give()
            raise
        return not taking.cancel()


#: For each loop its locks that tasks hold or want, by store and name.
_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[int, str], _Shared]] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


class _Held:
    """A lock that was taken. Leaving it gives back the store's lock, then the turn."""

    def __init__(self, lock: AbstractContextManager[object], leave: Callable[[], None]) -> None:
        self._lock, self._leave = lock, leave

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._lock.__exit__(None, None, None)
        finally:
            self._leave()


async def locked(store: SessionStore, name: str, lease: int) -> AbstractContextManager[object]:
    """Takes a lock of `store`, and gives what gives it back, on the loop's own thread. A task that is cancelled meanwhile holds nothing.

    Raises :class:`~keybound.LockTimeout` after `lease` seconds, however many others wait.
    """
    until = time.monotonic() + lease
    with _guard:
        shared_of = _loops.setdefault(asyncio.get_running_loop(), {})
    key = id(store), name
    shared = shared_of.setdefault(key, _Shared())
    shared.users += 1

    def forget() -> None:
        shared.users -= 1
        if shared.users == 0:
            del shared_of[key]

    def leave() -> None:
        shared.give()
        forget()

    try:
        has_turn = await shared.take(lease)
    except BaseException:
        forget()
        raise
    if not has_turn:
        forget()
        raise LockTimeout(name, lease)
    entering = _Entering(leave)
    try:
        lock = store.lock(name, lease)
        entering.begin(lock)
    except BaseException:
        leave()
        raise
    if not await entering.ended(until - time.monotonic()):
        raise LockTimeout(name, lease)
    return _Held(lock, leave)


class _Entering:
    """A lock that is entered on a thread of its own.

    If no task waits any more when the thread gets the lock, it gives it back, and the turn after it. Until then the turn stays taken:
    however often tasks are cancelled, one thread waits.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave, self._loop = leave, asyncio.get_running_loop()
        self._answer: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._guard = threading.Lock()
        self._taken = self._abandoned = False

    def begin(self, lock: AbstractContextManager[object]) -> None:
        """Starts the thread."""
        self._lock = lock
        threading.Thread(target=self._take, name="keybound-lock", daemon=True).start()

    async def ended(self, seconds: float) -> bool:
        """Whether the lock was taken in time. If not, or if entering it failed, the turn is given back."""
        try:
            await asyncio.wait([self._answer], timeout=max(0, seconds))
        except BaseException:
            taken = self._abandon()
            if taken:
                self._lock.__exit__(None, None, None)
            if taken or self._answer.done():
                self._leave()
            raise
        if not self._answer.done():
            return self._abandon()
        failure = self._answer.result()
        if failure is not None:
            self._leave()
            raise failure
        return True

    def _abandon(self) -> bool:
        """From now on no task waits. Whether the lock was taken before."""
        with self._guard:
            self._abandoned = not self._taken
            return self._taken

    def _take(self) -> None:
        failure: BaseException | None = None
        try:
            self._lock.__enter__()
        except BaseException as error:
            failure = error
        else:
            with self._guard:
                self._taken = not self._abandoned
            if not self._taken:
                self._lock.__exit__(None, None, None)
        try:
            self._loop.call_soon_threadsafe(self._tell, failure)
        except RuntimeError:
            # The loop has ended: whoever waited was told by that.
            return

    def _tell(self, failure: BaseException | None) -> None:
        if self._abandoned:
            self._leave()
        elif not self._answer.done():
            self._answer.set_result(failure)
