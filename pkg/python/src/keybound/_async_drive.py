"""Driving flows for asyncio: a task that is cancelled ends its call at once, and not the renewal of a token that it has begun."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Generic, TypeVar

from ._drive import MOMENT, THREADS, Call, Fetch, Flow, OwnBody, Pause, Share, TakeLock, Wait, Work, Works, with_body
from ._locks import locked
from .transport import AsyncTransport, HttpRequest, HttpResponse, StandardTransport

__all__ = ["Awaiting", "Driving", "Ended", "Threaded"]

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


class Awaiting:
    """Answers the pauses of flows for tasks. Keys, storage and locks are used on other threads."""

    _transport: AsyncTransport
    _works: Works

    async def _run(self, flow: Flow[T], body: bytes | None = None, kept: list[HttpResponse] | None = None) -> T:
        """Drives a flow to its end."""
        driving = Driving(flow, lambda pause: self._answer(pause, body, kept))
        try:
            pause = await driving.begin()
            while isinstance(pause, OwnBody):
                try:
                    answer = await self._answer(pause, body, kept)
                except Exception as failure:
                    pause = await driving.failed(failure)
                else:
                    pause = await driving.go_on(answer)
            return pause.result
        finally:
            # Cancelled in the middle: locks are given back, not when the garbage is collected.
            driving.close()

    async def _answer(self, pause: Pause, body: bytes | None = None, kept: list[HttpResponse] | None = None) -> Any:
        match pause:
            case Fetch(request):
                return await self._transport.send(request)
            case OwnBody(request, kind):
                answer = await self._transport.send(with_body(request, None if kind == "empty" else body))
                if kept is not None:
                    kept.append(answer)
                return HttpResponse(status=answer.status, headers=answer.headers)
            case TakeLock(name, lease, store):
                return await locked(store, name, lease)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Work(call):
                return await asyncio.to_thread(call)
            case Call(call):
                given = call()
                return (await given) if inspect.isawaitable(given) else given
            case Share():
                await self._share(pause)
        return None

    async def _share(self, share: Share) -> None:
        work = share.work
        if work is not None:
            ended = self._works.begin(share)

            async def working() -> None:
                await asyncio.wait_for(self._run(work), share.timeout)

            def left(task: asyncio.Task[None]) -> None:
                _left_behind.discard(task)
                ended(None if task.cancelled() else task.exception())

            # A task by itself: it goes on if this flow is cancelled.
            task = asyncio.ensure_future(working())
            _left_behind.add(task)
            task.add_done_callback(left)
        end = self._works.end_of(share.name)
        if end is None:
            await asyncio.sleep(MOMENT)
            return
        waiting = asyncio.wrap_future(end)
        try:
            await asyncio.wait([waiting], timeout=share.timeout)
        finally:
            waiting.cancel()


class Threaded:
    """The standard library's transport on threads of its own: in the loop's pool, slow answers would hold up the application's work."""

    def __init__(self) -> None:
        self._standard, self._threads = StandardTransport(), ThreadPoolExecutor(THREADS, "keybound")

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends one request."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._standard.send, request)
