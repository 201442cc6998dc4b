"""The replay store in Redis for tasks: what they ask at the same time is sent together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import _keybound
from ._redis_client import arguments_of, filled, library_of, reply_of
from ._redis_store import CONNECT, LIMITS, TURNS, Asking, Process, RedisOptions, _Store, inserted
from ._types import current
from .stores import Inserted, ReplayEntry

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncRedisReplayStore"]

log = logging.getLogger("keybound")


class _Asked:
    """One call of a task."""

    __slots__ = ("answer", "entry", "late", "now", "until")

    def __init__(self, entry: _keybound.Entry, now: int, answer: asyncio.Future[Inserted], until: float | None) -> None:
        self.entry, self.now, self.answer, self.until = entry, now, answer, until
        self.late: asyncio.TimerHandle | None = None


class _Talk:
    """An exchange's connection, while it is in use."""

    __slots__ = ("connection", "identity")

    def __init__(self) -> None:
        self.connection: Any = None
        self.identity: Hashable = None


class _Lane:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        self.idle: list[tuple[Hashable, Any]] = []
        #: Every connection that is not closed, in use or not.
        self.connections: set[Any] = set()
        self.queue: deque[_Asked] = deque()
        self.under_way: set[asyncio.Task[None]] = set()
        self.is_due = False
        self.opening: asyncio.Task[None] | None = None
        #: Finds the nodes of a cluster. It is not cut short by the time of one exchange: the next goes on where this one was.
        self.finding: asyncio.Task[Any] | None = None
        #: Ends with the loop, and is none from then on.
        self.ending: AsyncGenerator[None, None] | None = None

    def tasks(self) -> set[asyncio.Task[Any]]:
        """What is not over yet."""
        return {task for task in (*self.under_way, self.opening, self.finding) if task is not None and not task.done()}

    async def close_idle(self) -> None:
        """Closes the connections that are not in use."""
        while self.idle:
            await self.close(self.idle.pop()[1])

    async def close(self, connection: Any) -> None:
        """Closes a connection at once, whatever it has not sent yet: a server that is paused would keep it open."""
        with contextlib.suppress(Exception):
            _transport_of(connection).abort()
        with contextlib.suppress(Exception):
            await connection.disconnect(nowait=True)
        self.connections.discard(connection)

    def abandon(self) -> None:
        """Cuts the connections of a loop that was closed before its generators were ended: no transport can be closed any more."""
        for connection in self.connections:
            with contextlib.suppress(Exception):
                _transport_of(connection).get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class _Loops(Process):
    """The event loops of a process: a connection belongs to the one it was opened on."""

    def __init__(self, native: _keybound.RedisReplay, epoch: str | None) -> None:
        super().__init__(native, epoch)
        self.guard = threading.Lock()
        self.lanes: dict[asyncio.AbstractEventLoop, _Lane] = {}

    def lane(self) -> _Lane:
        """What belongs to the running loop."""
        loop = asyncio.get_running_loop()
        lane = self.lanes.get(loop)
        if lane is None:
            with self.guard:
                for ended in [each for each in self.lanes if each.is_closed()]:
                    self.lanes.pop(ended).abandon()
                lane = self.lanes[loop] = _Lane()
            lane.ending = self._ending(loop, lane)
            # Up to its `yield`. From here on the loop knows it.
            with contextlib.suppress(StopIteration):
                lane.ending.__anext__().send(None)
        return lane

    async def _ending(self, loop: asyncio.AbstractEventLoop, lane: _Lane) -> AsyncGenerator[None, None]:
        """Closes what is open when the loop ends: `asyncio.run` ends all asynchronous generators before it closes its loop."""
        try:
            yield
        finally:
            # A forked child must not end its parent's connections.
            if self.pid == os.getpid():
                lane.ending = None
                await lane.close_idle()
                with self.guard:
                    self.lanes.pop(loop, None)


class AsyncRedisReplayStore(_Store):
    """The replay store in Redis for tasks. See :class:`~keybound.AsyncReplayStore`; :meth:`open` makes one.

    What is asked in one turn of the event loop, or while two batches are under way, shares a batch: one round trip for up to 256 proofs.
    Any event loop may use it, and after a fork the child opens connections of its own.
    """

    _is_async = True
    _process = _Loops

    @classmethod
    async def open(cls, client: Any = None, **options: Unpack[RedisOptions]) -> AsyncRedisReplayStore:
        """The same as :meth:`RedisReplayStore.open`, for a client of `redis.asyncio` or `valkey.asyncio`."""
        store = cls.__new__(cls)
        now = store._prepare(client, **options)
        here, lane = store._loops()
        try:
            await store._opened(here, lane, now)
            for _ in range(LIMITS["hops"]):
                if not store._has_moved():
                    break
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(client.nodes_manager.initialize(), CONNECT)
                await store._opened(here, lane, now)
            store._check_opened()
        except BaseException:
            await store.aclose()
            raise
        return store

    @classmethod
    def open_blocking(cls, client: Any = None, **options: Unpack[RedisOptions]) -> AsyncRedisReplayStore:
        """The same where nothing can be awaited, as in a module that makes an application: a thread opens it, and is waited for."""
        library = library_of(client, cls.__name__, True)

        async def opened() -> AsyncRedisReplayStore:
            # What is connected here belongs to an event loop that ends at once.
            try:
                store = await cls.open(client, **options)
                await store.aclose()
                return store
            finally:
                if library.is_cluster:
                    await client.aclose()

        with ThreadPoolExecutor(1, "keybound-redis") as thread:
            return thread.submit(asyncio.run, opened()).result()

    async def insert(self, entry: ReplayEntry, *, now: int) -> Inserted:
        """Inserts `entry` if it is absent. It is not repeated: after a failure, or where too much waits, the answer is `UNAVAILABLE`.

        A task that is cancelled ends its call. What was sent for it may have been inserted.
        """
        here, lane = self._loops()
        if len(lane.queue) >= LIMITS["queue"]:
            return self._unavailable()
        native = self._entry(here, entry)
        here.waiting += 1
        try:
            until = None
            if not self._is_up:
                until = asyncio.get_running_loop().time() + self._answer_timeout
                if not await self._is_usable(here, lane, now):
                    return self._unavailable()
            return await self._queued(here, lane, native, now, until)
        finally:
            here.waiting -= 1

    async def _queued(self, here: _Loops, lane: _Lane, entry: _keybound.Entry, now: int, until: float | None) -> Inserted:
        loop = asyncio.get_running_loop()
        asked = _Asked(entry, now, loop.create_future(), until)
        lane.queue.append(asked)
        if not lane.is_due:
            lane.is_due = True
            loop.call_soon(self._launch, here, lane)
        try:
            return await asked.answer
        finally:
            if asked.late is not None:
                asked.late.cancel()

    async def _is_usable(self, here: _Loops, lane: _Lane, now: int) -> bool:
        """Whether to ask. A store that cannot be used is opened beside the calls: one a second waits for that, the others are answered."""
        if here.tried_at == now:
            return False
        here.tried_at = now
        await asyncio.wait([self._reopen(here, lane, now)], timeout=self._answer_timeout)
        return self._is_up

    async def aclose(self) -> None:
        """Closes the connections of this event loop. A store that is asked again opens new ones.

        Calls that are under way have the time of an answer to end; after that, they are answered `UNAVAILABLE`. What was connected on a loop
        that `asyncio.run` has ended is closed already.
        """
        lane, loop = self._loops()[1], asyncio.get_running_loop()
        until = loop.time() + self._answer_timeout
        try:
            while (lane.is_due or lane.under_way) and (left := until - loop.time()) > 0:
                await (asyncio.sleep(0) if lane.is_due else asyncio.wait(lane.under_way, timeout=left))
        finally:
            late = lane.tasks()
            for task in late:
                task.cancel()
            await lane.close_idle()
        if late:
            await asyncio.wait(late)

    def _loops(self) -> tuple[_Loops, _Lane]:
        here = self._here()
        assert isinstance(here, _Loops)
        return here, here.lane()

    def _give_up(self, asked: _Asked, until: float) -> None:
        if asked.answer.done():
            return
        held_up = self._held_up(asyncio.get_running_loop().time() - until)
        if held_up is not None and self._is_up:
            self._tell(held_up)
        asked.answer.set_result(self._unavailable())

    def _launch(self, here: _Loops, lane: _Lane) -> None:
        """Sends what waits, in as many batches as may be under way."""
        lane.is_due = False
        self._clock(lane)
        while lane.queue and len(lane.under_way) < LIMITS["under_way"]:
            batch: list[_Asked] = []
            while lane.queue and len(batch) < LIMITS["batch"]:
                asked = lane.queue.popleft()
                # Those that were given up are not sent.
                if not asked.answer.done():
                    batch.append(asked)
            if batch:
                task = asyncio.get_running_loop().create_task(self._insert(here, lane, batch))
                lane.under_way.add(task)
                task.add_done_callback(lambda task: self._landed(here, lane, task))

    def _clock(self, lane: _Lane) -> None:
        """Time counts from when an entry can be sent: until then, the checks of other requests may have held up the event loop."""
        loop = asyncio.get_running_loop()
        for asked in reversed(lane.queue):
            # Those before it are older.
            if asked.late is not None:
                return
            until = loop.time() + self._answer_timeout if asked.until is None else asked.until
            asked.late = loop.call_at(until, self._give_up, asked, until)

    def _landed(self, here: _Loops, lane: _Lane, task: asyncio.Task[None]) -> None:
        lane.under_way.discard(task)
        self._launch(here, lane)

    async def _insert(self, here: _Loops, lane: _Lane, batch: list[_Asked]) -> None:
        answers: list[dict[str, str]] = []
        asked: list[_Asked] = []

        def begin(native: _keybound.RedisReplay) -> Asking | None:
            # To connect may have taken longer than some had time.
            asked.extend(each for each in batch if not each.answer.done())
            if not asked or not self._is_up:
                return None
            entries = _keybound.Entries()
            for each in asked:
                entries.add(each.entry)
            # The earliest of their times: lifetimes are longest so.
            now = min(each.now for each in asked)
            return Asking(native.batch(entries, now), now)

        try:
            answers = (await self._run(here, lane, begin) or {}).get("answers", [])
        finally:
            for place, each in enumerate(asked or batch):
                if not each.answer.done():
                    each.answer.set_result(inserted(answers[place]) if place < len(answers) else self._unavailable())

    async def _opened(self, here: _Loops, lane: _Lane, now: int | None) -> None:
        """Opens the store, or notes why that cannot be."""
        time_of = here.tried_at = current(now)
        await self._run(here, lane, lambda native: Asking(native.open(time_of), time_of))

    def _reopen(self, here: _Loops, lane: _Lane, now: int | None) -> asyncio.Task[None]:
        """Begins to open the store anew, unless that is under way. In a cluster, another node may have the namespace by now."""

        async def reopening() -> None:
            try:
                if self._library.is_cluster and self._is_found():
                    await asyncio.wait_for(self._client.nodes_manager.initialize(), CONNECT)
                await self._opened(here, lane, now)
            except Exception as error:
                log.warning("the nodes of the Redis cluster are unknown: %s", type(error).__name__)

        # One that was cancelled before it began has not run at all.
        if lane.opening is None or lane.opening.done():
            lane.opening = asyncio.get_running_loop().create_task(reopening())
        return lane.opening

    async def _run(self, here: _Loops, lane: _Lane, begin: Callable[[_keybound.RedisReplay], Asking | None]) -> dict[str, Any] | None:
        """Runs an exchange to its end: each pipeline has the time of an answer, and all of them that of an opening."""
        loop = asyncio.get_running_loop()
        last = loop.time() + CONNECT + TURNS * self._answer_timeout
        talk, failure, is_good = _Talk(), None, False
        try:
            try:
                await asyncio.wait_for(self._connect(lane, talk), CONNECT)
            except Exception as error:
                failure = error
            asking = begin(here.native)
            if asking is None:
                is_good = failure is None
                return None
            try:
                while failure is None and (commands := asking.commands) is not None:
                    asking.resume(await self._sent_by(talk.connection, commands, min(last, loop.time() + self._answer_timeout)))
                is_good = failure is None and not asking.is_faulty
            except Exception as error:
                failure = error
            outcome = self._ended(here, asking, failure)
        finally:
            # Whatever cut it short, a time-out or the end of the loop included: a late reply must not be taken for that to another command.
            if is_good and lane.ending is not None:
                lane.idle.append((talk.identity, talk.connection))
            elif talk.connection is not None:
                await lane.close(talk.connection)
                await lane.close_idle()
        if self._is_lost(asking):
            self._reopen(here, lane, None)
        return outcome

    async def _sent_by(self, connection: Any, commands: list[list[str]], until: float) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(self._sent(connection, commands), until - loop.time())
        except asyncio.TimeoutError:
            raise self._held_up(loop.time() - until) or TimeoutError() from None

    async def _connect(self, lane: _Lane, talk: _Talk) -> None:
        """Finds or makes a connection. Once `talk` has it, the exchange closes it, however this ends."""
        if self._library.is_cluster:
            await self._found(lane)
        place = self._where()
        while lane.idle:
            talk.identity, talk.connection = lane.idle.pop()
            if talk.identity == place.identity and not await _is_astale(talk.connection):
                return
            await lane.close(talk.connection)
            talk.connection = None
        # What is awaited ends by the time-out of the whole.
        talk.identity, talk.connection = place.identity, place.connection(None)
        lane.connections.add(talk.connection)
        try:
            await talk.connection.connect()
        except Exception as error:
            raise self._unreachable(error) from error

    def _is_found(self) -> bool:
        """Whether the client has looked for the nodes of its cluster."""
        return not getattr(self._client, "_initialize", True)

    async def _found(self, lane: _Lane) -> None:
        """The client's first look at the nodes of its cluster. On a slow machine it takes longer than an exchange has."""
        if not self._is_found():
            if lane.finding is None or lane.finding.done():
                lane.finding = asyncio.get_running_loop().create_task(self._client.initialize())
            await asyncio.shield(lane.finding)

    async def _sent(self, connection: Any, commands: list[list[str]]) -> list[str]:
        await connection.send_packed_command(connection.pack_commands(arguments_of(commands)), check_health=False)
        replies: list[str] = []
        for _ in commands:
            try:
                replies.append(reply_of(await connection.read_response(disable_decoding=True)))
            except Exception as error:
                replies.append(self._error(error))
                if not self._goes_on(error):
                    break
        return filled(replies, len(commands))


async def _is_astale(connection: Any) -> bool:
    """Whether the server closed a connection that was not in use, or sent something unasked."""
    try:
        can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
        return bool(await can_read())
    except Exception:
        return True


def _transport_of(connection: Any) -> Any:
    """What a client's connection writes to: no method of the clients closes it before all is sent."""
    return connection._writer.transport
