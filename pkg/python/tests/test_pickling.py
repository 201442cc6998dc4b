"""Errors go from one process to another, as worker pools send them, and are the same there."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import keybound
from keybound import FlowFailed, KeyboundError, KeyFault, LockTimeout, ProofRejected, Refusal, Refused, StoreUnavailable

REFUSAL = Refusal(status=401, reason="replayed", error="invalid_dpop_proof", headers=(("DPoP-Nonce", "n"),), body=b"")


def tree(root: type[Exception]) -> Iterator[type[Exception]]:
    """A class and all that are derived from it."""
    yield root
    for derived in root.__subclasses__():
        yield from tree(derived)


def one_of(kind: type[Exception]) -> Exception:
    """An error with all that it can have."""
    made: Any = kind
    if issubclass(kind, ProofRejected):
        error = made("replayed", "used before", section="11.1", code="invalid_dpop_proof", status=401, refusal=REFUSAL)
    elif issubclass(kind, Refused):
        error = made(REFUSAL)
    elif issubclass(kind, FlowFailed):
        error = made("denied", "the server refused", code="invalid_grant", status=400)
    elif issubclass(kind, StoreUnavailable):
        error = made("store_full", "no room", REFUSAL)
    elif issubclass(kind, LockTimeout):
        error = made("session/work", 90)
    elif issubclass(kind, KeyFault):
        error = made("changed", "another key")
    else:
        error = made("a_reason", "some detail")
    told: Exception = error
    return told


@pytest.mark.parametrize("kind", list(tree(KeyboundError)), ids=lambda kind: kind.__name__)
def test_an_error_is_the_same_after_pickling_and_copying(kind: type[Exception]) -> None:
    error = one_of(kind)
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for got in (*copies, copy.copy(error), copy.deepcopy(error)):
        assert type(got) is kind
        assert (repr(got), str(got), got.args, vars(got)) == (repr(error), str(error), error.args, vars(error))


def verified_elsewhere(number: int) -> None:
    """What a worker does with a proof that is none."""
    store = keybound.MemoryReplayStore(workers=1, now=0)
    keybound.verify(store=store, proof="no proof", method="GET", url="https://api.example.com/", access_token="t", bound_to="A" * 43)


def test_a_rejected_proof_in_a_worker_does_not_hang_the_pool() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = pool.map_async(verified_elsewhere, range(2))
        with pytest.raises(ProofRejected) as told:
            answer.get(timeout=60)
    assert told.value.reason == "jwt_malformed" and told.value.refusal is not None and told.value.refusal.status == 401


def test_a_rejected_proof_in_a_worker_does_not_break_the_executor() -> None:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(ProofRejected):
            pool.submit(verified_elsewhere, 0).result(timeout=60)
        with pytest.raises(ProofRejected):
            pool.submit(verified_elsewhere, 1).result(timeout=60)
