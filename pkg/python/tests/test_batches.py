"""Many proofs at a time: verdicts in order, while other threads run."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from keybound import (
    Key,
    MemoryReplayStore,
    Misuse,
    Presented,
    ProofRejected,
    ReplayDetected,
    StoreUnavailable,
    VerifiedProof,
    Verifier,
    _keybound,
    proof,
)

URL = "https://api.example.com/items"


def presented(key: Key, method: str = "GET") -> Presented:
    text = proof(key=key, method="GET", url=URL, access_token="a-token")
    return Presented(proof=text, method=method, url=URL, access_token="a-token", bound_to=key.thumbprint)


def settled_store(capacity: int = 100_000) -> MemoryReplayStore:
    return MemoryReplayStore(capacity=capacity, now=int(time.time()) - 3600)


def test_verdicts_come_in_the_order_of_the_requests() -> None:
    keys = [Key.generate() for _ in range(20)]
    batch = [presented(keys[number % 20]) for number in range(100)]
    batch[3] = presented(keys[3], method="PUT")
    batch[60] = batch[10]
    batch[70] = Presented(proof=None, method="GET", url=URL, at_authorization_server=True)
    batch[80] = Presented(proof=[str(batch[0].proof), b"\xff"], method="GET", url=URL, at_authorization_server=True)
    store = settled_store()
    verdicts = Verifier().verify_many(iter(batch), store=store)
    assert len(verdicts) == 100
    refused = {3: "method_mismatch", 60: "replayed", 70: "proof_missing", 80: "multiple_proofs"}
    for number, verdict in enumerate(verdicts):
        if number in refused:
            assert isinstance(verdict, ProofRejected) and verdict.reason == refused[number]
            assert verdict.refusal is not None and verdict.refusal.status in (400, 401)
        else:
            assert isinstance(verdict, VerifiedProof) and verdict.thumbprint == keys[number % 20].thumbprint
    assert isinstance(verdicts[60], ReplayDetected)
    again = Verifier().verify_many(batch[:2], store=store)
    assert all(isinstance(verdict, ReplayDetected) for verdict in again)
    assert Verifier().verify_many([], store=store) == []


def test_a_full_store_is_a_verdict_of_each() -> None:
    key = Key.generate()
    verdicts = Verifier().verify_many([presented(key) for _ in range(200)], store=settled_store(capacity=1))
    assert isinstance(verdicts[0], VerifiedProof)
    assert isinstance(verdicts[-1], StoreUnavailable)


def test_a_store_of_ones_own_is_asked_one_by_one() -> None:
    class Own:
        epoch = "1"

    with pytest.raises(Misuse) as told:
        Verifier().verify_many([], store=Own())  # type: ignore[arg-type]
    assert told.value.reason == "store_type"


def test_mistakes_in_a_batch_are_verdicts_too() -> None:
    without_binding = Presented(proof="x", method="GET", url=URL, access_token="a-token")  # type: ignore[call-overload]
    (verdict,) = Verifier().verify_many([without_binding], store=settled_store())
    assert isinstance(verdict, Misuse)


def test_other_threads_run_meanwhile() -> None:
    keys = [Key.generate() for _ in range(50)]
    batch = [presented(keys[number % 50]) for number in range(2_000)]
    ticks, running = list[float](), threading.Event()
    done = threading.Event()

    def tick() -> None:
        running.set()
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    before = sys.getswitchinterval()
    # Only a call that gives the interpreter up lets the other thread run.
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=tick)
    try:
        thread.start()
        running.wait()
        begin = time.perf_counter()
        verdicts = _keybound.verify_many(Verifier()._native, batch, int(time.time()), settled_store()._native)
        end = time.perf_counter()
    finally:
        sys.setswitchinterval(before)
        done.set()
        thread.join()
    assert all(isinstance(verdict, tuple) for verdict in verdicts)
    assert sum(begin < at < end for at in ticks) >= 10
