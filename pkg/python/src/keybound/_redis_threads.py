"""The replay store in Redis for threads: an exchange is made by the thread that asks, and longer ones are ended by another."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from . import _keybound
from ._redis_client import Place, arguments_of, filled, reply_of
from ._redis_store import CONNECT, LIMITS, TURNS, Asking, Process, RedisOptions, _Store, inserted
from ._types import current
from .stores import Inserted, ReplayEntry

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["RedisReplayStore"]

log = logging.getLogger("keybound")
Begin = Callable[[_keybound.RedisReplay], _keybound.RedisTurn]
#: How many threads ask at the same time, each over a connection; others wait for a while.
CONNECTIONS = 128


class _Threads(Process):
    """The connections of a process with threads."""

    def __init__(self, native: _keybound.RedisReplay, epoch: str | None) -> None:
        super().__init__(native, epoch)
        self.idle: deque[tuple[Hashable, Any]] = deque()
        self.places = threading.Semaphore(CONNECTIONS)
        self.guard = threading.Lock()
        #: How often the store was closed: a connection in use at that time is not kept after its exchange.
        self.closings = 0
        #: Set at the end of the attempt to open the store that is under way.
        self.opening: threading.Event | None = None


class _Talk:
    """An exchange of a call, which another thread may end."""

    __slots__ = ("asking", "closings", "connection", "ended", "is_given_up", "now", "outcome", "place")

    def __init__(self, here: _Threads, now: int) -> None:
        self.closings, self.now = here.closings, now
        self.place: Place | None = None
        self.asking: Asking | None = None
        self.connection: Any = None
        self.ended = threading.Event()
        self.is_given_up = False
        self.outcome: dict[str, Any] | None = None


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
        `danger_plaintext` permits another machine without TLS: anyone between them can replay every proof.

        Raises :class:`~keybound.Misuse` if a configuration has to be changed, the server's included. A server out of reach raises nothing:
        the store answers `UNAVAILABLE`, and tries again once a second when it is asked.
        """
        store = cls.__new__(cls)
        now = store._prepare(client, **options)
        try:
            store._opened(now)
            for _ in range(LIMITS["hops"]):
                if not store._has_moved():
                    break
                with contextlib.suppress(Exception):
                    client.nodes_manager.initialize()
                store._opened(now)
            store._check_opened()
        except BaseException:
            store.close()
            raise
        return store

    def insert(self, entry: ReplayEntry, *, now: int) -> Inserted:
        """Inserts `entry` if it is absent, in one round trip. It is not repeated: after a failure the answer is `UNAVAILABLE`."""
        here, until = self._threads(), time.monotonic() + self._answer_timeout
        entries = _keybound.Entries()
        entries.add(self._entry(here, entry))
        with here.guard:
            here.waiting += 1
        try:
            outcome = self._asked(here, lambda native: native.batch(entries, now), now, until)
        finally:
            with here.guard:
                here.waiting -= 1
        answers = (outcome or {}).get("answers")
        return inserted(answers[0]) if answers else self._unavailable()

    def close(self) -> None:
        """Closes the connections: those that are in use, once their calls have an answer. A store that is asked again opens new ones."""
        here = self._threads()
        with here.guard:
            here.closings += 1
        _close_idle(here)

    def _threads(self) -> _Threads:
        here = self._here()
        assert isinstance(here, _Threads)
        return here

    def _opened(self, now: int | None) -> None:
        """Opens the store, or notes why that cannot be."""
        here, time_of = self._threads(), current(now)
        here.tried_at = time_of
        talk = _Talk(here, time_of)
        self._end(here, talk, lambda native: native.open(time_of))

    def _is_usable(self, here: _Threads, now: int, until: float) -> bool:
        """Whether to ask. A store that cannot be used is opened beside the calls: one a second waits for that, the others are answered."""
        if self._is_up:
            return True
        with here.guard:
            if here.tried_at == now:
                return False
            here.tried_at = now
            opening = here.opening
        if opening is None:
            opening = self._reopen(here, now)
        return opening.wait(max(0, until - time.monotonic())) and self._is_up

    def _reopen(self, here: _Threads, now: int | None) -> threading.Event:
        """Begins to open the store anew, unless that is under way. In a cluster, another node may have the namespace by now."""
        with here.guard:
            if here.opening is not None:
                return here.opening
            ended = here.opening = threading.Event()

        def reopening() -> None:
            try:
                if self._library.is_cluster:
                    self._client.nodes_manager.initialize()
                self._opened(now)
            except Exception as error:
                log.warning("the nodes of the Redis cluster are unknown: %s", type(error).__name__)
            finally:
                here.opening = None
                ended.set()

        try:
            threading.Thread(target=reopening, name="keybound-redis", daemon=True).start()
        except BaseException:
            here.opening = None
            ended.set()
            raise
        return ended

    def _asked(self, here: _Threads, begin: Begin, now: int, until: float) -> dict[str, Any] | None:
        """What an exchange came to; none if it was not made, or is not over in time.

        What takes more than one answer of a connection that is there is done by another thread, and goes on when this call is over.
        """
        if not self._is_usable(here, now, until) or not here.places.acquire(timeout=max(0, until - time.monotonic())):
            return None
        is_mine = True
        talk = _Talk(here, now)
        try:
            failure = None
            try:
                talk.place = self._where()
                talk.connection = self._kept(here, talk.place)
                if talk.connection is not None:
                    talk.asking = Asking(begin(here.native), now)
                    self._turn(talk, until)
            except Exception as error:
                failure = error
            if failure is None and (talk.asking is None or talk.asking.commands is not None):
                thread = threading.Thread(target=self._finish, args=(here, talk, begin), name="keybound-redis", daemon=True)
                thread.start()
                is_mine = False
                talk.is_given_up = not talk.ended.wait(max(0, until - time.monotonic()))
                return None if talk.is_given_up else talk.outcome
            self._end(here, talk, begin, failure)
            return talk.outcome
        finally:
            if is_mine:
                here.places.release()
                # Whatever cut it short, an interruption of this thread included: a late reply must not be taken for that to another command.
                self._put_back(here, talk, False)

    def _finish(self, here: _Threads, talk: _Talk, begin: Begin) -> None:
        try:
            self._end(here, talk, begin)
        finally:
            here.places.release()
            talk.ended.set()

    def _end(self, here: _Threads, talk: _Talk, begin: Begin, failure: Exception | None = None) -> None:
        """Makes an exchange or what is left of it: each pipeline has the time of an answer, and all of them that of an opening."""
        last = time.monotonic() + CONNECT + TURNS * self._answer_timeout
        is_good = False
        try:
            try:
                if failure is None and talk.connection is None:
                    talk.place = self._where()
                    talk.connection = self._connection(talk.place)
                    if talk.is_given_up:
                        is_good = True
                        return
            except Exception as error:
                failure = error
            asking = talk.asking = talk.asking or Asking(begin(here.native), talk.now)
            try:
                while failure is None and asking.commands is not None:
                    self._turn(talk, min(last, time.monotonic() + self._answer_timeout))
            except Exception as error:
                failure = error
            talk.outcome = self._ended(here, asking, failure)
            is_good = failure is None and not asking.is_faulty
        finally:
            self._put_back(here, talk, is_good)
        if self._is_lost(asking) and here.opening is None and talk.closings == here.closings:
            self._reopen(here, None)

    def _put_back(self, here: _Threads, talk: _Talk, is_good: bool) -> None:
        """Keeps a connection for the next exchange, unless this one failed or the store was closed since."""
        connection, talk.connection = talk.connection, None
        if connection is None:
            return
        if is_good and talk.place is not None:
            with here.guard:
                if talk.closings == here.closings:
                    here.idle.append((talk.place.identity, connection))
                    return
        _close(connection)
        if not is_good:
            _close_idle(here)

    def _turn(self, talk: _Talk, until: float) -> None:
        """One pipeline."""
        asking = talk.asking
        if asking is not None and (commands := asking.commands) is not None:
            asking.resume(self._sent(talk.connection, commands, until))

    def _kept(self, here: _Threads, place: Place) -> Any:
        """A connection that is there; none if there is no good one."""
        while here.idle:
            with contextlib.suppress(IndexError):
                identity, connection = here.idle.pop()
                if identity == place.identity and not _is_stale(connection):
                    return connection
                _close(connection)
        return None

    def _connection(self, place: Place) -> Any:
        connection = place.timed(CONNECT)
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
        connection.until = until
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


def _is_stale(connection: Any) -> bool:
    """Whether the server closed a connection that was not in use, or sent something unasked."""
    try:
        return bool(connection.can_read(timeout=0))
    except Exception:
        return True


def _close(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.disconnect()


def _close_idle(here: _Threads) -> None:
    """Closes the connections that are not in use."""
    while here.idle:
        with contextlib.suppress(IndexError):
            _close(here.idle.pop()[1])
