"""Locks of a session store for asyncio: waited for without stopping the event loop, or the threads it works with.

The tasks of a loop take turns among themselves first, so that one thread for each lock waits for others, however many tasks want it.
That thread is the lock's own: in the loop's pool, waiting threads could keep out the work that the lock's holder has to do.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager

from .sessions import SessionStore

__all__ = ["locked"]


class _Turns:
    """Whose turn it is among the tasks of one loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.tasks = 0


#: For each loop its locks that tasks hold or want, by store and name.
_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[int, str], _Turns]] = weakref.WeakKeyDictionary()
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
    """Takes a lock of `store`, and gives what gives it back, on the loop's own thread. Whoever is cancelled meanwhile holds nothing."""
    with _guard:
        turns_of = _loops.setdefault(asyncio.get_running_loop(), {})
    key = id(store), name
    turns = turns_of.setdefault(key, _Turns())
    turns.tasks += 1

    def forget() -> None:
        turns.tasks -= 1
        if turns.tasks == 0:
            del turns_of[key]

    def leave() -> None:
        turns.lock.release()
        forget()

    try:
        await turns.lock.acquire()
    except BaseException:
        forget()
        raise
    try:
        lock = store.lock(name, lease)
        await _entered(lock)
    except BaseException:
        leave()
        raise
    return _Held(lock, leave)


async def _entered(lock: AbstractContextManager[object]) -> None:
    """Enters a lock on a thread of its own. If nobody waits any more when it gets it, the thread gives it back."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[BaseException | None] = loop.create_future()
    guard = threading.Lock()
    taken = abandoned = False

    def tell(failure: BaseException | None) -> None:
        if not answer.done():
            answer.set_result(failure)

    def take() -> None:
        nonlocal taken
        failure: BaseException | None = None
        try:
            lock.__enter__()
        except BaseException as error:
            failure = error
        else:
            with guard:
                taken = not abandoned
            if not taken:
                lock.__exit__(None, None, None)
        try:
            loop.call_soon_threadsafe(tell, failure)
        except RuntimeError:
            # The loop has ended: whoever waited was told by that.
            return

    threading.Thread(target=take, name="keybound-lock", daemon=True).start()
    try:
        failure = await answer
    except BaseException:
        with guard:
            abandoned = True
        if taken:
            lock.__exit__(None, None, None)
        raise
    if failure is not None:
        raise failure
