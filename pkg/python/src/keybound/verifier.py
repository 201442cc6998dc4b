"""The verifier, and proofs on their way through it (RFC 9449 section 4.3)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any, Literal

from . import _keybound
from ._options import one
from ._types import Insertion, Refusal, current
from .errors import NATIVE, KeyboundError, Misuse, StoreUnavailable, reraise, translated
from .policy import Policy
from .presented import Check, Explanation, Presented, Proofs, VerifiedProof
from .stores import AsyncReplayStore, MemoryReplayStore, ReplayEntry, ReplayStore, check_keys

__all__ = ["PendingProof", "Verifier", "refusal", "store_answer"]


class PendingProof:
    """A proof that passed every check but replay. It is accepted when :meth:`settle` gives a :class:`VerifiedProof`."""

    __slots__ = ("_native",)

    def __init__(self, native: _keybound.NativePending) -> None:
        self._native = native

    @property
    def entry(self) -> ReplayEntry:
        """What goes into the replay store."""
        return ReplayEntry(self._native.entry)

    def settle(self, insertion: Insertion, *, now: int | None = None) -> VerifiedProof:
        """Accepts or refuses the proof by the store's answer. `now` is the time after the store answered.

        Raises :class:`~keybound.ReplayDetected`, :class:`~keybound.StoreUnavailable`, another
        :class:`~keybound.ProofRejected`, or :class:`~keybound.Misuse` for anything but an :class:`Insertion`, and on second use.
        """
        answer = store_answer(insertion)
        try:
            return VerifiedProof(*self._native.settle(answer.value, current(now)))
        except NATIVE as error:
            reraise(error)

    def danger_skip_replay_check(self) -> VerifiedProof:
        """Accepts the proof without a store: whoever sees the request can repeat it until the proof is too old."""
        try:
            return VerifiedProof(*self._native.danger_skip_replay_check())
        except NATIVE as error:
            reraise(error)


def store_answer(given: object) -> Insertion:
    """The answer of a store, which is one word of an enumeration and nothing that could pass for one."""
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


class Verifier:
    """Judges proofs by one policy. It holds no store, and all threads may use it.

    With nonces, give it the `epoch` of the replay store, so that nonces vouch for the store's present life.
    """

    __slots__ = ("_native", "policy")

    def __init__(self, *, policy: Policy | None = None, epoch: str | None = None) -> None:
        """Raises :class:`~keybound.Misuse` for a policy outside its bounds."""
        self.policy = one("policy", policy, Policy) or Policy()
        try:
            self._native = _keybound.NativeVerifier(self.policy.options(), epoch)
        except NATIVE as error:
            reraise(error)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that are accepted."""
        return tuple(self._native.algorithms)

    def verify(
        self,
        *,
        store: ReplayStore,
        proof: Proofs,
        method: str,
        url: str,
        access_token: str | None = None,
        bound_to: str | None = None,
        expected_nonce: str | None = None,
        now: int | None = None,
    ) -> VerifiedProof:
        """Judges a proof and consumes it in `store`. The arguments are those of :class:`Presented`.

        Raises :class:`~keybound.ProofRejected` with the answer to send, or :class:`~keybound.StoreUnavailable`.
        """
        at = current(now)
        check_keys(store, self.policy)
        if type(store) is MemoryReplayStore:
            try:
                if type(proof) is str and proof.isascii():
                    told = self._native.verify_one(
                        store._native, proof, method, url, access_token, bound_to, expected_nonce, at
                    )
                else:
                    shown = Presented(
                        proof=proof,
                        method=method,
                        url=url,
                        access_token=access_token,
                        bound_to=bound_to,
                        expected_nonce=expected_nonce,
                    )
                    told = self._native.verify(store._native, shown._request(), at)
            except NATIVE as error:
                reraise(error)
            return VerifiedProof(*told)
        pending = self.check(
            proof=proof,
            method=method,
            url=url,
            access_token=access_token,
            bound_to=bound_to,
            expected_nonce=expected_nonce,
            now=now,
        )
        try:
            insertion: Insertion = store.insert(pending.entry, now=at)
        except KeyboundError:
            raise
        except Exception as failure:
            raise _failed(pending, now) from failure
        return pending.settle(insertion, now=now)

    async def averify(
        self,
        *,
        store: AsyncReplayStore,
        proof: Proofs,
        method: str,
        url: str,
        access_token: str | None = None,
        bound_to: str | None = None,
        expected_nonce: str | None = None,
        now: int | None = None,
    ) -> VerifiedProof:
        """The same with a store that is awaited."""
        check_keys(store, self.policy)
        pending = self.check(
            proof=proof,
            method=method,
            url=url,
            access_token=access_token,
            bound_to=bound_to,
            expected_nonce=expected_nonce,
            now=now,
        )
        try:
            answer = store.insert(pending.entry, now=current(now))
            insertion = (await answer) if inspect.isawaitable(answer) else answer
        except KeyboundError:
            raise
        except Exception as failure:
            raise _failed(pending, now) from failure
        return pending.settle(insertion, now=now)

    def verify_many(
        self, requests: Iterable[Presented], *, store: MemoryReplayStore, now: int | None = None
    ) -> list[VerifiedProof | KeyboundError]:
        """Verdicts in the order of the requests: a :class:`VerifiedProof`, or the error that :meth:`verify` would raise.

        Other threads run meanwhile.
        """
        if type(store) is not MemoryReplayStore:
            raise Misuse("store_type", "a batch is consumed in a MemoryReplayStore; for another store call verify for each")
        check_keys(store, self.policy)
        shown = [request._request() for request in requests]
        told = self._native.verify_many(store._native, shown, current(now))
        return [translated(each) if isinstance(each, BaseException) else VerifiedProof(*each) for each in told]

    def check(
        self,
        *,
        proof: Proofs,
        method: str,
        url: str,
        access_token: str | None = None,
        bound_to: str | None = None,
        expected_nonce: str | None = None,
        now: int | None = None,
    ) -> PendingProof:
        """Makes every check but replay. Raises :class:`~keybound.ProofRejected` with the answer to send."""
        shown = Presented(
            proof=proof,
            method=method,
            url=url,
            access_token=access_token,
            bound_to=bound_to,
            expected_nonce=expected_nonce,
        )
        try:
            return PendingProof(self._native.check(shown._request(), current(now)))
        except NATIVE as error:
            reraise(error)

    def explain(self, presented: Presented, *, now: int | None = None) -> Explanation:
        """What came of every check, with cause and fix for the one that failed. It consumes nothing."""
        try:
            told: dict[str, Any] = json.loads(self._native.explain(presented._request(), current(now)))
        except NATIVE as error:
            reraise(error)
        checks = tuple(Check(**check) for check in told["checks"])
        return Explanation(accepted=told["accepted"], reason=told["reason"], section=told["section"], checks=checks)

    def refuse(self, reason: str, presented: Presented, *, now: int | None = None) -> Refusal:
        """The answer to a request that the caller refuses, for one of the reasons of rejections."""
        try:
            return refusal(self._native.refuse(reason, presented._request(), current(now)))
        except NATIVE as error:
            reraise(error)

    def fresh_nonce(self, role: Literal["resource", "token"], *, now: int | None = None) -> str | None:
        """A nonce for the next proof of any key; `None` if none are issued, or they are bound to keys."""
        try:
            return self._native.fresh_nonce(role, current(now))
        except NATIVE as error:
            reraise(error)

    def __repr__(self) -> str:
        return f"Verifier({self.policy.preset}, {' '.join(self.algorithms)})"


def refusal(told: tuple[int, str, str | None, list[tuple[str, str]], str]) -> Refusal:
    """An answer as the native module gives it."""
    status, reason, error, headers, body = told
    return Refusal(status=status, reason=reason, error=error, headers=tuple(headers), body=body.encode())


def _failed(pending: PendingProof, now: int | None) -> StoreUnavailable:
    """The error where a store raised one: nobody knows whether the proof was used."""
    try:
        pending.settle(Insertion.UNAVAILABLE, now=now)
    except StoreUnavailable as error:
        return error
    except KeyboundError as error:
        return StoreUnavailable("store_unavailable", error.detail)
    return StoreUnavailable("store_unavailable", "the replay store failed")
