"""The verifier, and proofs on their way through it (RFC 9449 section 4.3)."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from . import _keybound
from ._options import needed, one
from ._reasons import Rejection
from ._types import Insertion, Refusal, current
from .errors import NATIVE, KeyboundError, Misuse, StoreUnavailable, refusal_of, reraise, translated
from .policy import Policy
from .presented import Check, Explanation, Presented, VerifiedProof
from .stores import AsyncReplayStore, Inserted, MemoryReplayStore, ReplayEntry, ReplayStore, check_store, store_answer

__all__ = ["PendingProof", "Verifier"]


class PendingProof:
    """A proof that passed every check but replay. It is accepted when :meth:`settle` gives a :class:`VerifiedProof`."""

    __slots__ = ("_native",)

    def __init__(self, native: _keybound.Pending) -> None:
        self._native = native

    @property
    def entry(self) -> ReplayEntry:
        """What goes into the replay store."""
        return ReplayEntry(self._native.entry())

    def settle(self, insertion: Insertion | Inserted, *, now: int | None = None) -> VerifiedProof:
        """Accepts or refuses the proof by the store's answer. `now` is the time after the store answered.

        Raises :class:`~keybound.ReplayDetected`, :class:`~keybound.StoreUnavailable`, another
        :class:`~keybound.ProofRejected`, or :class:`~keybound.Misuse` for anything but an :class:`Insertion`, and on second use.
        """
        answer, epoch = store_answer(insertion), insertion.epoch if isinstance(insertion, Inserted) else None
        try:
            return VerifiedProof(*self._native.settle(answer.value, epoch, current(now)))
        except NATIVE as error:
            reraise(error)

    def danger_skip_replay_check(self) -> VerifiedProof:
        """Accepts the proof without a store: whoever sees the request can repeat it until the proof is too old."""
        try:
            return VerifiedProof(*self._native.danger_skip_replay_check())
        except NATIVE as error:
            reraise(error)


class Verifier:
    """Verifies proofs by one policy. It holds no store, and all threads may use it."""

    __slots__ = ("_native", "policy")

    def __init__(self, *, policy: Policy | None = None) -> None:
        """Raises :class:`~keybound.Misuse` for a policy outside its bounds."""
        self.policy = one("policy", policy, Policy) or Policy()
        try:
            self._native = _keybound.Verifier(self.policy.options())
        except NATIVE as error:
            reraise(error)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that are accepted."""
        return tuple(self._native.algorithms())

    def verify(self, presented: Presented, *, store: ReplayStore, now: int | None = None) -> VerifiedProof:
        """Verifies a proof and consumes it in `store`.

        Raises :class:`~keybound.ProofRejected` with the answer to send, or :class:`~keybound.StoreUnavailable`.
        """
        check_store(store, self.policy)
        if type(store) is MemoryReplayStore:
            try:
                return VerifiedProof(*self._native.verify(shown(presented), current(now), store._native))
            except NATIVE as error:
                reraise(error)
        pending = self.check(_shown_to(store, presented), now=now)
        with _telling(pending, now):
            insertion = store.insert(pending.entry, now=current(now))
        return pending.settle(insertion, now=now)

    async def averify(self, presented: Presented, *, store: AsyncReplayStore, now: int | None = None) -> VerifiedProof:
        """The same with a store that is awaited."""
        check_store(store, self.policy)
        pending = self.check(_shown_to(store, presented), now=now)
        with _telling(pending, now):
            answer = store.insert(pending.entry, now=current(now))
            insertion = (await answer) if inspect.isawaitable(answer) else answer
        return pending.settle(insertion, now=now)

    def verify_many(
        self, requests: Iterable[Presented], *, store: MemoryReplayStore, now: int | None = None
    ) -> list[VerifiedProof | KeyboundError]:
        """Verdicts in the order of the requests: a :class:`VerifiedProof`, or the error that :meth:`verify` would raise.

        Other threads run meanwhile.
        """
        if type(store) is not MemoryReplayStore:
            raise Misuse("store_type", "a batch is consumed in a MemoryReplayStore; for another store call verify for each")
        check_store(store, self.policy)
        told = _keybound.verify_many(self._native, list(requests), current(now), store._native)
        return [translated(each) if isinstance(each, BaseException) else VerifiedProof(*each) for each in told]

    def check(self, presented: Presented, *, now: int | None = None) -> PendingProof:
        """Makes every check but replay. Raises :class:`~keybound.ProofRejected` with the answer to send."""
        try:
            return PendingProof(self._native.check(shown(presented), current(now)))
        except NATIVE as error:
            reraise(error)

    def explain(
        self, presented: Presented, *, store: AsyncReplayStore | ReplayStore | None = None, now: int | None = None
    ) -> Explanation:
        """What came of every check, with cause and fix for each that failed. It consumes nothing.

        With the :class:`~keybound.MemoryReplayStore` in which proofs are consumed it also tells whether the store was made too late to know
        of the proof (`before_store_floor`).
        """
        try:
            if isinstance(store, MemoryReplayStore):
                told: dict[str, Any] = json.loads(self._native.explain_with_store(shown(presented), current(now), store._native))
            else:
                asked = shown(presented) if store is None else _shown_to(store, presented)
                told = json.loads(self._native.explain(asked, current(now)))
        except NATIVE as error:
            reraise(error)
        checks = tuple(Check(**check) for check in told["checks"])
        return Explanation(accepted=told["accepted"], reason=told["reason"], section=told["section"], checks=checks)

    def refuse(self, reason: Rejection, presented: Presented, *, now: int | None = None) -> Refusal:
        """The answer to a request that the caller refuses, for one of the reasons of rejections."""
        try:
            return refusal_of(json.loads(self._native.refuse(shown(presented), current(now), reason)))
        except NATIVE as error:
            reraise(error)

    def fresh_nonce(
        self,
        role: Literal["resource", "token"],
        *,
        store: AsyncReplayStore | ReplayStore | None = None,
        epoch: str | None = None,
        now: int | None = None,
    ) -> str | None:
        """A nonce for the next proof of any key; `None` if none are issued, or they are bound to keys.

        The nonce vouches for the present life of the replay store: give `store`, or its `epoch`. Raises :class:`~keybound.Misuse` without
        either.
        """
        if epoch is None:
            if store is None:
                raise Misuse("missing_option", "a nonce vouches for a replay store; write store=, the store in which proofs are consumed")
            epoch = store.epoch
        try:
            return self._native.fresh_nonce(role, epoch, current(now))
        except NATIVE as error:
            reraise(error)

    def __repr__(self) -> str:
        return f"Verifier({self.policy.preset}, {' '.join(self.algorithms)})"


def shown(presented: Presented) -> Presented:
    """An argument `presented`."""
    return needed("presented", presented, Presented, "Presented(proof=…, method=…, url=…, access_token=…, bound_to=…)")


def _shown_to(store: AsyncReplayStore | ReplayStore, presented: Presented) -> Presented:
    """The same with the epoch of the store, unless there is one."""
    return presented if shown(presented).epoch is not None else replace(presented, epoch=store.epoch)


@contextlib.contextmanager
def _telling(pending: PendingProof, now: int | None) -> Iterator[None]:
    """Makes what a store raises the error of one that cannot tell."""
    try:
        yield
    except KeyboundError:
        raise
    except Exception as failure:
        raise _failed(pending, now) from failure


def _failed(pending: PendingProof, now: int | None) -> StoreUnavailable:
    """The error where a store raised one: nobody knows whether the proof was used."""
    try:
        pending.settle(Insertion.UNAVAILABLE, now=now)
    except StoreUnavailable as error:
        return error
    except KeyboundError as error:
        return StoreUnavailable("store_unavailable", error.detail)
    return StoreUnavailable("store_unavailable", "the replay store failed")
