"""Turns: how many may do something at a time. The others wait in the order they came, for a bounded time.

Threads and tasks of all event loops share them. A task that waits occupies no thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late

__all__ = ["Turns"]


class Turns:
    """Lets `at_once` go at a time and up to `waiting` others wait; who comes after them is sent away."""

    def __init__(self, at_once: int, *, waiting: int | None = None) -> None:
        self._free, self._waiting = at_once, waiting
        self._queue: deque[Future[None]] = deque()
        self._guard = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def take(self, seconds: float) -> bool:
        """Waits for a turn, at most this long. False if there is none, else :meth:`give` is called after it."""
        turn = self._begun()
        if turn is None:
            return False
        try:
            turn.result(seconds)
        except Late:
            return self._kept(turn)
        except BaseException:
            self._left(turn)
            raise
        return True

    async def take_async(self, seconds: float) -> bool:
        """The same for a task. One that is cancelled meanwhile has no turn and keeps none from others."""
        turn = self._begun()
        if turn is None:
            return False
        if turn.done():
            return True
        try:
            # Neither its end nor a cancellation cancels what is waited for: whether the turn came is asked under the guard.
            await asyncio.wait([asyncio.wrap_future(turn)], timeout=seconds)
        except BaseException:
            self._left(turn)
            raise
        return self._kept(turn)

    def give(self) -> None:
        """Gives a turn back, to the one who waits longest."""
        with self._guard:
            if self._queue:
                turn = self._queue.popleft()
            else:
                self._free += 1
                return
        turn.set_result(None)

    def _begun(self) -> Future[None] | None:
        """A turn to wait for, which may have come at once; none if too many wait."""
        turn: Future[None] = Future()
        with self._guard:
            if self._free > 0:
                self._free -= 1
                turn.set_result(None)
            elif self._waiting is not None and len(self._queue) >= self._waiting:
                return None
            else:
                self._queue.append(turn)
        return turn

    def _kept(self, turn: Future[None]) -> bool:
        """Whether the turn came after all. If not, it does not come any more."""
        with self._guard:
            if turn in self._queue:
                self._queue.remove(turn)
                return False
        return True

    def _left(self, turn: Future[None]) -> None:
        """The one who waited is gone."""
        if self._kept(turn):
            self.give()
