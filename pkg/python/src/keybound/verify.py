"""Verifying proofs (RFC 9449 section 4.3) by one call: verdicts and explanations."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, overload

from ._arguments import by_name
from .policy import Policy
from .presented import Explanation, Presented, Proofs, VerifiedProof
from .stores import AsyncReplayStore, ReplayStore
from .verifier import Verifier

__all__ = ["averify", "explain", "verify"]


@lru_cache(maxsize=16)
def _verifier(policy: Policy) -> Verifier:
    return Verifier(policy=policy)


def _presented(**members: Any) -> Presented:
    """A request of members that no overload has checked."""
    return Presented(**members)


@overload
def verify(
    *,
    store: ReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str,
    bound_to: str,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof: ...
@overload
def verify(
    *,
    store: ReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    at_authorization_server: Literal[True],
    bound_to: str | None = None,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof: ...
@by_name
def verify(
    *,
    store: ReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    at_authorization_server: bool = False,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof:
    """Verifies a proof by `policy` and consumes it in `store`; see :meth:`Verifier.verify`, and :class:`Presented` for the request.

    A resource server gives `access_token` and `bound_to`, a token endpoint `at_authorization_server=True`. Both, or neither, is
    :class:`~keybound.Misuse`. Verifiers are remembered by policy, so nothing is lost by this form.
    """
    shown = _presented(
        proof=proof,
        method=method,
        url=url,
        access_token=access_token,
        bound_to=bound_to,
        at_authorization_server=at_authorization_server,
        expected_nonce=expected_nonce,
    )
    return _verifier(policy or Policy()).verify(shown, store=store, now=now)


@overload
async def averify(
    *,
    store: AsyncReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str,
    bound_to: str,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof: ...
@overload
async def averify(
    *,
    store: AsyncReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    at_authorization_server: Literal[True],
    bound_to: str | None = None,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof: ...
@by_name
async def averify(
    *,
    store: AsyncReplayStore,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    at_authorization_server: bool = False,
    expected_nonce: str | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> VerifiedProof:
    """The same with a store that is awaited."""
    shown = _presented(
        proof=proof,
        method=method,
        url=url,
        access_token=access_token,
        bound_to=bound_to,
        at_authorization_server=at_authorization_server,
        expected_nonce=expected_nonce,
    )
    return await _verifier(policy or Policy()).averify(shown, store=store, now=now)


@by_name
def explain(
    *,
    proof: Proofs,
    method: str,
    url: str,
    access_token: str | None = None,
    bound_to: str | None = None,
    at_authorization_server: bool = False,
    expected_nonce: str | None = None,
    store: AsyncReplayStore | ReplayStore | None = None,
    policy: Policy | None = None,
    now: int | None = None,
) -> Explanation:
    """Why a proof is accepted or refused, check by check; see :meth:`Verifier.explain`.

    Without `access_token` it explains the check of a token endpoint: `ath` and the token are not looked at.
    """
    shown = _presented(
        proof=proof,
        method=method,
        url=url,
        access_token=access_token,
        bound_to=bound_to,
        at_authorization_server=at_authorization_server or access_token is None,
        expected_nonce=expected_nonce,
    )
    return _verifier(policy or Policy()).explain(shown, store=store, now=now)
