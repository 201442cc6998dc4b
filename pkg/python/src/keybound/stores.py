"""Replay stores: what makes a proof good for one use (RFC 9449 section 11.1)."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from . import _keybound
from ._options import flag, one
from ._types import Insertion, current
from ._workers import check_alone, check_nonce_keys
from .errors import NATIVE, Misuse, reraise
from .policy import Policy

__all__ = ["AsyncReplayStore", "Inserted", "Insertion", "MemoryReplayStore", "ReplayEntry", "ReplayStore", "inserted_by", "store_answer"]


@dataclass(frozen=True, slots=True)
class Inserted:
    """A replay store's answer with the epoch it was given in: a loss of entries that the insert noticed then costs a client one challenge."""

    insertion: Insertion
    epoch: str
    """The :attr:`ReplayStore.epoch` of the store after the insert."""

    def __post_init__(self) -> None:
        store_answer(self.insertion)
        if not isinstance(self.epoch, str):
            raise Misuse("not_an_insertion", "the epoch of a store is a number below 2^64, as text; see keybound.Inserted")


class ReplayEntry:
    """One proof as a store sees it. The same proof gives the same entry whenever it comes."""

    __slots__ = ("_native", "_told")

    def __init__(self, native: _keybound.Entry) -> None:
        self._native = native
        self._told: dict[str, Any] = json.loads(native.to_json())

    @property
    def key(self) -> bytes:
        """Names the proof: 16 bytes, the only part that decides whether it was seen."""
        return _byte_string(self._told["key"])

    @property
    def thumbprint(self) -> str:
        """The thumbprint of its key, by which a store limits what one client can hold of it."""
        thumbprint: str = self._told["thumbprint"]
        return thumbprint

    @property
    def timed_at(self) -> int:
        """The time it is judged by, in seconds since 1970."""
        timed_at: int = self._told["timed_at"]
        return timed_at

    @property
    def max_ahead(self) -> int:
        """How many seconds in the future that may lie.

        A store that began at `floor` answers `BEFORE_FLOOR` to entries timed at or before `floor + max_ahead`, unless their
        `nonce_epoch` is its own epoch.
        """
        max_ahead: int = self._told["max_ahead"]
        return max_ahead

    @property
    def expires_at(self) -> int:
        """The last instant at which the proof can be accepted."""
        expires_at: int = self._told["expires_at"]
        return expires_at

    @property
    def keep_until(self) -> int:
        """The last instant at which a store must still know it."""
        keep_until: int = self._told["keep_until"]
        return keep_until

    @property
    def agreement(self) -> bytes:
        """What all verifiers that share a store agree on: 16 bytes. Another one is answered `UNAVAILABLE`."""
        return _byte_string(self._told["agreement"])

    @property
    def nonce_epoch(self) -> str | None:
        """The epoch inside its nonce: a number below 2^64 as text."""
        return self._told.get("nonce_epoch")

    def lifetime(self, now: int) -> int:
        """For how many seconds from `now` a store must keep it: at least 1. For stores with relative lifetimes."""
        return self._native.lifetime(now)

    def __repr__(self) -> str:
        return f"ReplayEntry(timed_at={self.timed_at}, keep_until={self.keep_until})"


def _byte_string(text: str) -> bytes:
    return text.encode("latin-1")


@runtime_checkable
class ReplayStore(Protocol):
    """A store that answers at once. It inserts in one atomic step and never forgets a live entry."""

    @property
    def epoch(self) -> str:
        """Names the present life of the store: a number below 2^64 as text, another one after each loss of entries."""

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion | Inserted:
        """Inserts `entry` if it is absent. A store that does not know says anything but `FRESH`."""


@runtime_checkable
class AsyncReplayStore(Protocol):
    """The same for stores that are awaited."""

    @property
    def epoch(self) -> str:
        """See :class:`ReplayStore`."""

    async def insert(self, entry: ReplayEntry, *, now: int) -> Insertion | Inserted:
        """See :class:`ReplayStore`."""


class MemoryReplayStore:
    """The replay store of one process: bounded, and no proof it took is forgotten early.

    Another process knows nothing of it: where there may be several it refuses to begin, and after a fork it answers `UNAVAILABLE`.
    Each entry takes about 16 bytes. Once half of it is used, a key that holds its share is answered `SHARE_FULL`.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        capacity: int = 1_000_000,
        shares: int = 64,
        workers: int | None = None,
        danger_first_start: bool = False,
        now: int | None = None,
    ) -> None:
        """A store for at most `capacity` proofs of verifiers with this `policy`.

        The capacity is divided into `shares`: once half of it is used, one key holds at most one of them. Give 1 where one key, such as a
        gateway's, sends everything.

        `workers=1` says that this is the only process of the application. It is needed where that cannot be seen: in a process that a
        server or `multiprocessing` started, and with configured nonce keys. Raises :class:`Misuse` where there are several or may be.

        `danger_first_start` says that no earlier process accepted proofs, as in a test: the store then takes proofs made before it from
        its first second on. If one did, every proof used just before the restart can be used once more. Servers that restart give their
        :class:`Policy` nonces instead.
        """
        check_alone(workers, one("policy", policy, Policy))
        self._workers = workers
        try:
            options = json.dumps({**json.loads((policy or Policy()).options()), "shares": shares, "danger_first_start": flag("danger_first_start", danger_first_start)})
            self._native = _keybound.MemoryStore(capacity, options, current(now))
        except NATIVE as error:
            reraise(error)

    @property
    def epoch(self) -> str:
        """The present life of this store."""
        return self._native.epoch()

    @property
    def held(self) -> int:
        """How many proofs it holds, for metrics."""
        return self._native.held()

    @property
    def was_forked(self) -> bool:
        """Whether this is the copy in a forked child, which answers `UNAVAILABLE`."""
        return self._native.was_forked()

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
        """Inserts an entry if it is absent."""
        return Insertion(self._native.insert(entry._native, now))

    def __repr__(self) -> str:
        return f"MemoryReplayStore(held={self.held})"


def check_store(store: object, policy: Policy) -> None:
    """Raises :class:`Misuse` for nonce keys beside a store in memory, unless it was made with `workers=1`, and for a store that says that it is
    made for another policy."""
    if isinstance(store, MemoryReplayStore):
        check_nonce_keys(store._workers, policy)
    elif hasattr(store, "_check_policy"):
        store._check_policy(policy)


def stated_alone(store: AsyncReplayStore | ReplayStore, workers: int | None, policy: Policy) -> bool:
    """Whether it is stated that one process serves the application, in the store or beside it.

    Raises :class:`Misuse` where that is needed, for nonce keys beside a store in memory, and where more than one are stated.
    """
    if not isinstance(store, MemoryReplayStore):
        if inspect.isawaitable(store):
            if inspect.iscoroutine(store):
                store.close()
            raise Misuse("store_type", "this store is not awaited yet; write store=await AsyncRedisReplayStore.open(…)")
        if isinstance(store, type) or not isinstance(store, ReplayStore) or not callable(store.insert):
            raise Misuse("store_type", "a store is an object with an epoch and a method insert; see keybound.ReplayStore")
        if not isinstance(store.epoch, str):
            raise Misuse("store_type", "the epoch of a store is a number below 2^64, as text; see keybound.ReplayStore")
        check_store(store, policy)
        return False
    if workers is not None:
        check_alone(workers, policy)
        return workers == 1
    check_store(store, policy)
    return store._workers == 1


def store_answer(given: object) -> Insertion:
    """The answer of a store, which is one word of an enumeration and nothing that could pass for one."""
    if isinstance(given, Inserted):
        return given.insertion
    if isinstance(given, Insertion):
        return given
    if inspect.iscoroutine(given):
        given.close()
    if inspect.isawaitable(given):
        what = "something to be awaited; await the store's insert first, or use averify"
    elif isinstance(given, bool) or given is None:
        what = f"{given}; a truth value cannot say why, and would let requests in that nobody checked"
    else:
        what = f"a value of type {type(given).__name__}"
    raise Misuse("not_an_insertion", f"a proof is settled with keybound.Insertion, and this is {what}")


def inserted_by(store: AsyncReplayStore | ReplayStore, given: object) -> Inserted:
    """The same with the epoch that it was given in: the present one, unless the answer says which."""
    return given if isinstance(given, Inserted) else Inserted(store_answer(given), store.epoch)
