"""A proof is settled with one word of an enumeration, once; nothing else passes for it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from concurrent.futures import Future
from typing import Any

import pytest

from keybound import (
    Insertion,
    Key,
    KeyboundError,
    MemoryReplayStore,
    Misuse,
    PendingProof,
    Policy,
    Presented,
    ProofRejected,
    ReplayDetected,
    StoreUnavailable,
    Verifier,
    proof,
    verify,
)
from keybound import averify as awaited_verify

URL = "https://api.example.com/items"


def pending() -> PendingProof:
    key = Key.generate()
    text = proof(key=key, method="GET", url=URL, access_token="a-token")
    return Verifier().check(Presented(proof=text, method="GET", url=URL, access_token="a-token", bound_to=key.thumbprint))


async def insert() -> Insertion:
    return Insertion.FRESH


WRONG: list[tuple[Any, str]] = [
    (True, "True"),
    (False, "False"),
    (None, "None"),
    (1, "int"),
    (0, "int"),
    ("fresh", "str"),
    ("FRESH", "str"),
    (["fresh"], "list"),
    (object(), "object"),
    (Policy(), "Policy"),
    (Insertion, "type"),
]


@pytest.mark.parametrize(("given", "named"), WRONG, ids=lambda value: str(value)[:20])
def test_nothing_else_settles(given: Any, named: str) -> None:
    waiting = pending()
    with pytest.raises(Misuse) as told:
        waiting.settle(given)
    assert told.value.reason == "not_an_insertion"
    assert named in told.value.detail
    # The mistake used nothing up.
    assert waiting.settle(Insertion.FRESH).algorithm == "ES256"


def test_what_was_not_awaited_is_named_and_leaves_no_warning() -> None:
    waiting = pending()
    loop = asyncio.new_event_loop()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for given in (insert(), loop.create_future()):
            with pytest.raises(Misuse) as told:
                waiting.settle(given)  # type: ignore[arg-type]
            assert told.value.reason == "not_an_insertion"
            assert "await" in told.value.detail
        with pytest.raises(Misuse, match="Future"):
            waiting.settle(Future())  # type: ignore[arg-type]
        gc.collect()
    loop.close()
    assert [str(each.message) for each in seen] == []


def test_a_proof_is_settled_once() -> None:
    waiting = pending()
    assert waiting.settle(Insertion.FRESH).algorithm == "ES256"
    for _ in range(2):
        with pytest.raises(Misuse) as told:
            waiting.settle(Insertion.FRESH)
        assert told.value.reason == "already_used"
    with pytest.raises(Misuse):
        waiting.danger_skip_replay_check()


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (Insertion.SEEN, ReplayDetected, "replayed"),
        (Insertion.UNAVAILABLE, StoreUnavailable, "store_unavailable"),
        (Insertion.FULL, StoreUnavailable, "store_full"),
        (Insertion.SHARE_FULL, StoreUnavailable, "store_share_full"),
        (Insertion.BEFORE_FLOOR, ProofRejected, "before_store_floor"),
    ],
)
def test_every_other_word_refuses(answer: Insertion, error: type[KeyboundError], reason: str) -> None:
    with pytest.raises(error) as told:
        pending().settle(answer)
    assert type(told.value) is error
    assert told.value.reason == reason
    refusal = told.value.refusal  # type: ignore[attr-defined]
    assert refusal.status == (401 if answer is Insertion.SEEN else 503)


def test_a_careless_store_accepts_nothing() -> None:
    key = Key.generate()

    class Careless:
        epoch = "1"

        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def insert(self, entry: object, *, now: int) -> Any:
            return insert() if self.answer is insert else self.answer

    for answer in (True, None, "fresh", 1, insert):
        text = proof(key=key, method="GET", url=URL)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(Misuse, match="settled with keybound.Insertion"):
                verify(store=Careless(answer), proof=text, method="GET", url=URL, at_authorization_server=True)
    # An asynchronous store answers the asynchronous verdict alone, which also takes one that answers at once.
    for answer in (insert, Insertion.FRESH):
        text = proof(key=key, method="GET", url=URL)
        assert asyncio.run(awaited_verify(store=Careless(answer), proof=text, method="GET", url=URL, at_authorization_server=True)).thumbprint == key.thumbprint
    with pytest.raises(Misuse):
        text = proof(key=key, method="GET", url=URL)
        asyncio.run(awaited_verify(store=Careless(True), proof=text, method="GET", url=URL, at_authorization_server=True))


def test_the_replay_check_is_skipped_by_name_alone() -> None:
    assert pending().danger_skip_replay_check().algorithm == "ES256"
