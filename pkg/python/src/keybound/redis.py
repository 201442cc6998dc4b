"""Replay stores in Redis and Valkey: one proof is accepted once however many processes and machines serve a resource.

A client of redis-py (6 or newer) or valkey-py says where the server is (`pip install 'keybound[redis]'`):

    import redis
    from keybound.redis import RedisReplayStore

    store = RedisReplayStore.open(redis.Redis.from_url("rediss://redis.example.com"), policy=policy, namespace="api")

The store makes connections as the client's pool does, but waits for them by its own time-outs and repeats nothing. The client stays the
application's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypedDict

from . import _keybound
from ._redis_client import Place, arguments_of, filled, reply_of
from ._redis_store import LIMITS, OPENING, Asking, Process, RedisFault, RedisStatus, _Store, inserted
from ._types import current
from .policy import Policy
from .stores import Inserted, ReplayEntry

if TYPE_CHECKING:
    from typing_extensions import Required, Unpack

__all__ = ["AsyncRedisReplayStore", "RedisFault", "RedisOptions", "RedisReplayStore", "RedisStatus"]

log = logging.getLogger("keybound")
Begin = Callable[[_keybound.RedisReplay], _keybound.RedisTurn]
#: How many threads ask at the same time, each over a connection; others wait for a while.
CONNECTIONS = 128


class RedisOptions(TypedDict, total=False):
    """The options of :meth:`RedisReplayStore.open`, which describes them."""

    policy: Policy | None
    namespace: Required[str]
    answer_timeout: float
    clocks_within: int | None
    wait_for_replicas: int | None
    replicas_within_ms: int | None
    danger_accept_split_brain: bool
    danger_ignore_server_clock: bool
    danger_plaintext: bool
    now: int | None


class _Threads(Process):
    """The connections of a process with threads."""

    def __init__(self, native: _keybound.RedisReplay, epoch: str | None) -> None:
        super().__init__(native, epoch)
        self.idle: deque[tuple[Hashable, Any]] = deque()
        self.places = threading.Semaphore(CONNECTIONS)
        self.guard = threading.Lock()
        self.is_renewing = threading.Lock()


class RedisReplayStore(_Store):
    """The replay store in Redis for threads. See :class:`~keybound.ReplayStore`; :meth:`open` makes one.

    After a fork the child opens connections of its own.
    """

    _is_async = False
    _process = _Threads

    @classmethod
    def open(cls, client: Any = None, **options: Unpack[RedisOptions]) -> RedisReplayStore:
        """The store of `namespace` (1 to 32 characters of `a-z 0-9 . _ -`) on the server of `client`, for verifiers with this `policy`.

        `client` is a `redis.Redis` or `redis.RedisCluster`, or valkey-py's. A call takes `answer_timeout` seconds at most, connecting
        included, and then answers `UNAVAILABLE`. Clocks of verifiers may differ by `clocks_within` seconds: 10, or half of a smaller
        `store_margin`. `wait_for_replicas` says how many replicas acknowledge each proof: a majority of them, where the server has some;
        `replicas_within_ms` for how many milliseconds they are waited for, 100 by default.

        `danger_accept_split_brain` accepts a server with replicas without waiting for them: after a failover, verifiers that still reach
        the old primary accept proofs that others accept at the new one. `danger_ignore_server_clock` is for tests with a made-up time.
        `danger_plaintext` permits another machine without TLS: whoever is between them can replay every proof.

        Raises :class:`~keybound.Misuse` if a configuration has to be changed, the server's included. A server out of reach raises nothing:
        the store answers `UNAVAILABLE`, and tries again once a second when it is asked.
        """
        store = cls.__new__(cls)
        now = store._prepare(client, **options)
        store._opened(now)
        for _ in range(LIMITS["hops"]):
            if not store._has_moved():
                break
            with contextlib.suppress(Exception):
                client.nodes_manager.initialize()
            store._opened(now)
        try:
            store._check_opened()
        except BaseException:
            store.close()
            raise
        return store

    def insert(self, entry: ReplayEntry, *, now: int) -> Inserted:
        """Inserts `entry` if it is absent, in one round trip. It is not repeated: after a failure the answer is `UNAVAILABLE`."""
        entries = _keybound.Entries()
        entries.add(self._entry(self._here(), entry))
        outcome = self._run(lambda native: native.batch(entries, now), now, self._answer_timeout)
        answers = (outcome or {}).get("answers")
        return inserted(answers[0]) if answers else self._unavailable()

    def close(self) -> None:
        """Closes the connections that are open and not used at the moment. A store that is asked again opens new ones."""
        here = self._threads()
        while here.idle:
            with contextlib.suppress(Exception):
                here.idle.pop()[1].disconnect()

    def _threads(self) -> _Threads:
        here = self._here()
        assert isinstance(here, _Threads)
        return here

    def _opened(self, now: int | None) -> None:
        time_of = current(now)
        self._run(lambda native: native.open(time_of), time_of, OPENING)

    def _run(self, begin: Begin, now: int, limit: float) -> dict[str, Any] | None:
        """Runs an exchange to its end; none if too many are under way."""
        here, until = self._threads(), time.monotonic() + limit
        with here.guard:
            here.waiting += 1
        try:
            if not here.places.acquire(timeout=limit):
                return None
            try:
                asking = Asking(begin(here.native), now)
                failure = None
                try:
                    self._converse(here, asking, limit, until)
                except Exception as error:
                    failure = error
                outcome = self._ended(here, asking, failure)
            finally:
                here.places.release()
        finally:
            with here.guard:
                here.waiting -= 1
        if self._is_lost(asking):
            self._renew(here)
        return outcome

    def _converse(self, here: _Threads, asking: Asking, limit: float, until: float) -> None:
        commands = asking.commands
        if commands is None:
            return
        place = self._where()
        connection, is_good = self._connection(here, place, limit), False
        try:
            while commands is not None:
                asking.resume(self._sent(connection, commands, until))
                commands = asking.commands
            is_good = not asking.is_faulty
        finally:
            # Whatever cut it short, an interruption of this thread included: a late reply must not be taken for that to another command.
            if is_good:
                here.idle.append((place.identity, connection))
            else:
                _close(connection)
                self.close()

    def _connection(self, here: _Threads, place: Place, limit: float) -> Any:
        while here.idle:
            with contextlib.suppress(IndexError):
                identity, connection = here.idle.pop()
                if identity == place.identity and not _is_stale(connection):
                    return connection
                _close(connection)
        connection = place.connection(self._answer_timeout, limit)
        try:
            connection.connect()
        except Exception as error:
            _close(connection)
            raise self._unreachable(error) from error
        except BaseException:
            _close(connection)
            raise
        return connection

    def _sent(self, connection: Any, commands: list[list[str]], until: float) -> list[str]:
        connection.send_packed_command(connection.pack_commands(arguments_of(commands)), check_health=False)
        replies: list[str] = []
        for _ in commands:
            try:
                replies.append(reply_of(connection.read_response(disable_decoding=True)))
            except Exception as error:
                replies.append(self._error(error))
                if not self._goes_on(error):
                    break
            if time.monotonic() > until:
                raise TimeoutError
        return filled(replies, len(commands))

    def _renew(self, here: _Threads) -> None:
        """Asks the cluster where the namespace is, beside what is asked of the store, and opens it there."""
        if not here.is_renewing.acquire(blocking=False):
            return

        def renewing() -> None:
            try:
                self._client.nodes_manager.initialize()
                self._opened(None)
            except Exception as error:
                log.warning("the nodes of the Redis cluster are unknown: %s", type(error).__name__)
            finally:
                here.is_renewing.release()

        threading.Thread(target=renewing, name="keybound-redis", daemon=True).start()


def _is_stale(connection: Any) -> bool:
    """Whether the server closed a connection that nobody used, or sent something that nobody asked for."""
    try:
        return bool(connection.can_read(timeout=0))
    except Exception:
        return True


def _close(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.disconnect()


class _Asked:
    """One call of a task."""

    __slots__ = ("answer", "entry", "now")

    def __init__(self, entry: _keybound.Entry, now: int, answer: asyncio.Future[Inserted]) -> None:
        self.entry, self.now, self.answer = entry, now, answer


class _Lane:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        self.idle: list[tuple[Hashable, Any]] = []
        self.queue: deque[_Asked] = deque()
        self.under_way: set[asyncio.Task[None]] = set()
        self.is_due = False
        self.renewing: asyncio.Task[None] | None = None


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
                    del self.lanes[ended]
                lane = self.lanes[loop] = _Lane()
        return lane


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
        await store._opened(here, lane, now)
        for _ in range(LIMITS["hops"]):
            if not store._has_moved():
                break
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.nodes_manager.initialize(), OPENING)
            await store._opened(here, lane, now)
        try:
            store._check_opened()
        except BaseException:
            await store.aclose()
            raise
        return store

    @classmethod
    def open_blocking(cls, client: Any = None, **options: Unpack[RedisOptions]) -> AsyncRedisReplayStore:
        """The same where nothing can be awaited, as in a module that makes an application: a thread opens it, and is waited for."""

        async def opened() -> AsyncRedisReplayStore:
            store = await cls.open(client, **options)
            # What was connected here belongs to an event loop that ends now.
            await store.aclose()
            if store._library.is_cluster:
                await client.aclose()
            return store

        with ThreadPoolExecutor(1, "keybound-redis") as thread:
            return thread.submit(asyncio.run, opened()).result()

    async def insert(self, entry: ReplayEntry, *, now: int) -> Inserted:
        """Inserts `entry` if it is absent. It is not repeated: after a failure, or where too much waits, the answer is `UNAVAILABLE`.

        A task that is cancelled ends its call. What was sent for it may have been inserted.
        """
        here, lane = self._loops()
        if len(lane.queue) >= LIMITS["queue"]:
            return self._unavailable()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Inserted] = loop.create_future()
        lane.queue.append(_Asked(self._entry(here, entry), now, answer))
        if not lane.is_due:
            lane.is_due = True
            loop.call_soon(self._launch, here, lane)
        late = loop.call_later(self._answer_timeout, self._give_up, answer)
        here.waiting += 1
        try:
            return await answer
        finally:
            here.waiting -= 1
            late.cancel()

    async def aclose(self) -> None:
        """Closes the connections of this event loop that are not used at the moment. A store that is asked again opens new ones."""
        lane = self._loops()[1]
        if lane.renewing is not None:
            lane.renewing.cancel()
            await asyncio.wait([lane.renewing])
        await self._closed(lane)

    async def _closed(self, lane: _Lane) -> None:
        while lane.idle:
            await _aclose(lane.idle.pop()[1])

    def _loops(self) -> tuple[_Loops, _Lane]:
        here = self._here()
        assert isinstance(here, _Loops)
        return here, here.lane()

    def _give_up(self, answer: asyncio.Future[Inserted]) -> None:
        if not answer.done():
            answer.set_result(self._unavailable())

    def _launch(self, here: _Loops, lane: _Lane) -> None:
        """Sends what waits, in as many batches as may be under way."""
        lane.is_due = False
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

    def _landed(self, here: _Loops, lane: _Lane, task: asyncio.Task[None]) -> None:
        lane.under_way.discard(task)
        self._launch(here, lane)

    async def _insert(self, here: _Loops, lane: _Lane, batch: list[_Asked]) -> None:
        answers: list[dict[str, str]] = []
        try:
            entries = _keybound.Entries()
            for asked in batch:
                entries.add(asked.entry)
            # The earliest of their times: lifetimes are longest so.
            now = min(asked.now for asked in batch)
            outcome = await self._run(here, lane, lambda native: native.batch(entries, now), now, self._answer_timeout)
            answers = outcome["answers"]
        finally:
            for place, asked in enumerate(batch):
                if not asked.answer.done():
                    asked.answer.set_result(inserted(answers[place]) if place < len(answers) else self._unavailable())

    async def _opened(self, here: _Loops, lane: _Lane, now: int | None) -> None:
        time_of = current(now)
        await self._run(here, lane, lambda native: native.open(time_of), time_of, OPENING)

    async def _run(self, here: _Loops, lane: _Lane, begin: Begin, now: int, limit: float) -> dict[str, Any]:
        """Runs an exchange to its end."""
        asking = Asking(begin(here.native), now)
        failure = None
        if asking.asks:
            try:
                await asyncio.wait_for(self._converse(lane, asking), limit)
            except Exception as error:
                failure = error
        outcome = self._ended(here, asking, failure)
        if self._is_lost(asking) and lane.renewing is None:
            lane.renewing = asyncio.get_running_loop().create_task(self._renew(here, lane))
        return outcome

    async def _converse(self, lane: _Lane, asking: Asking) -> None:
        if self._library.is_cluster:
            await self._client.initialize()
        place = self._where()
        connection, is_good = await self._connection(lane, place), False
        try:
            while (commands := asking.commands) is not None:
                asking.resume(await self._sent(connection, commands))
            is_good = not asking.is_faulty
        finally:
            # Whatever cut it short, a time-out or the end of the loop included: a late reply must not be taken for that to another command.
            if is_good:
                lane.idle.append((place.identity, connection))
            else:
                await _aclose(connection)
                await self._closed(lane)

    async def _connection(self, lane: _Lane, place: Place) -> Any:
        while lane.idle:
            identity, connection = lane.idle.pop()
            if identity == place.identity and not await _is_astale(connection):
                return connection
            await _aclose(connection)
        # What is awaited ends by the time-out of the whole.
        connection = place.connection(None, None)
        try:
            await connection.connect()
        except Exception as error:
            await _aclose(connection)
            raise self._unreachable(error) from error
        except BaseException:
            await _aclose(connection)
            raise
        return connection

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

    async def _renew(self, here: _Loops, lane: _Lane) -> None:
        """Asks the cluster where the namespace is, beside what is asked of the store, and opens it there."""
        try:
            await asyncio.wait_for(self._client.nodes_manager.initialize(), OPENING)
            await self._opened(here, lane, None)
        except Exception as error:
            log.warning("the nodes of the Redis cluster are unknown: %s", type(error).__name__)
        finally:
            lane.renewing = None


async def _is_astale(connection: Any) -> bool:
    """See :func:`_is_stale`."""
    try:
        can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
        return bool(await can_read())
    except Exception:
        return True


async def _aclose(connection: Any) -> None:
    with contextlib.suppress(Exception):
        await connection.disconnect(nowait=True)
