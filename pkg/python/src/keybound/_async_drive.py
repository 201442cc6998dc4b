"""Driving flows for asyncio: a task that is cancelled ends its call at once, and not the renewal of a token that it has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Generic, TypeVar

from ._drive import OwnBody, Pause, TakeLock
from ._flows import Flow

__all__ = ["Driving", "Ended"]

T = TypeVar("T")

#: Tasks whose callers are gone. The loop alone would let them be collected.
_left_behind: set[asyncio.Task[Any]] = set()


class Ended(Generic[T]):
    """What a flow came to."""

    def __init__(self, result: T) -> None:
        self.result = result


class _Held:
    """A lock, and whether its flow still holds it."""

    def __init__(self, lock: AbstractContextManager[object]) -> None:
        self._lock, self.is_held = lock, True

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_held = False
        self._lock.__exit__(None, None, None)


class Driving(Generic[T]):
    """A flow on its way.

    What it does while it holds a lock is a task by itself. The server may have used up the old refresh token already when the caller is
    cancelled: the new one is stored first, and the lock given back then.
    """

    def __init__(self, flow: Flow[T], answer: Callable[[Pause], Awaitable[Any]]) -> None:
        self._flow, self._answer = flow, answer
        self._locked: asyncio.Task[Pause | Ended[T]] | None = None

    async def begin(self) -> OwnBody | Ended[T]:
        """Goes on until the caller's own request is to be sent, or there is an end."""
        return await self._until_own_body(self._step(lambda: next(self._flow)))

    async def go_on(self, answer: Any) -> OwnBody | Ended[T]:
        """The same after the caller's own request was answered."""
        return await self._until_own_body(self._step(lambda: self._flow.send(answer)))

    async def failed(self, failure: Exception) -> OwnBody | Ended[T]:
        """The same after it could not be sent."""
        return await self._until_own_body(self._step(lambda: self._flow.throw(failure)))

    def close(self) -> None:
        """Ends the flow, after what it does under a lock."""
        if self._locked is None or self._locked.done():
            self._flow.close()
        else:
            _left_behind.add(self._locked)
            self._locked.add_done_callback(self._left)

    async def _until_own_body(self, pause: Pause | Ended[T]) -> OwnBody | Ended[T]:
        while not isinstance(pause, (OwnBody, Ended)):
            pause = await self._answered(pause)
        return pause

    async def _answered(self, pause: Pause) -> Pause | Ended[T]:
        """Answers a pause, and all until the lock is given back if it is one for a lock."""
        try:
            answer = await self._answer(pause)
        except Exception as failure:
            return self._step(partial(self._flow.throw, failure))
        if not isinstance(pause, TakeLock) or (self._locked is not None and not self._locked.done()):
            return self._step(lambda: self._flow.send(answer))
        held = _Held(answer)
        self._locked = asyncio.ensure_future(self._under(held))
        return await asyncio.shield(self._locked)

    async def _under(self, held: _Held) -> Pause | Ended[T]:
        pause = self._step(lambda: self._flow.send(held))
        while held.is_held and not isinstance(pause, (OwnBody, Ended)):
            pause = await self._answered(pause)
        return pause

    def _step(self, step: Callable[[], Pause]) -> Pause | Ended[T]:
        try:
            return step()
        except StopIteration as done:
            return Ended(done.value)

    def _left(self, locked: asyncio.Task[Pause | Ended[T]]) -> None:
        _left_behind.discard(locked)
        self._flow.close()
        if not locked.cancelled():
            # Seen: the one it was for is gone.
            locked.exception()
