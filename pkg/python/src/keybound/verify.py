"""Judging proofs (RFC 9449 section 4.3) by one call: verdicts and explanations."""

from __future__ import annotations

from functools import lru_cache

from .policy import Policy
from .presented import Explanation, Presented, Proofs, VerifiedProof
from .stores import AsyncReplayStore, ReplayStore
from .verifier import Verifier

__all__ = ["averify", "explain", "verify"]


@lru_cache(maxsize=16)
def _verifier(policy: Policy) -> Verifier:
    return Verifier(policy=policy)


def verify(
    *,
    store: ReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof:
    """Judges a proof by `policy` and consumes it in `store`; see :meth:`Verifier.verify`.

    Verifiers are remembered by policy, so nothing is lost by this form.
    """
    shown = Presented(
        proof=proof, method=method, url=url, access_token=access_token, bound_to=bound_to, expected_nonce=expected_nonce
    )
    return _verifier(policy or Policy()).verify(shown, store=store, now=now)


async def averify(
    *,
    store: AsyncReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof:
    """The same with a store that is awaited."""
    shown = Presented(
        proof=proof, method=method, url=url, access_token=access_token, bound_to=bound_to, expected_nonce=expected_nonce
    )
    return await _verifier(policy or Policy()).averify(shown, store=store, now=now)


def explain(
    *,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    expected_nonce: str | None = None,
    store: AsyncReplayStore | ReplayStore | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> Explanation:
    """Why a proof is accepted or refused, check by check; see :meth:`Verifier.explain`."""
    shown = Presented(
        proof=proof, method=method, url=url, access_token=access_token, bound_to=bound_to, expected_nonce=expected_nonce
    )
    return _verifier(policy or Policy()).explain(shown, store=store, now=now)
