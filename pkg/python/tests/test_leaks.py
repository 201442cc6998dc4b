"""Memory does not grow with the number of calls, whatever they come to."""

from __future__ import annotations

import contextlib
import gc
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from keybound import Key, MemoryReplayStore, Misuse, Presented, ProofRejected, Verifier, proof

URL = "https://api.example.com/items"
CALLS = 100_000


def resident() -> int:
    """The memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class Load:
    """Keys, a verifier, a store, and a clock that goes on so that the store forgets."""

    def __init__(self) -> None:
        self.keys = [Key.generate() for _ in range(16)]
        self.verifier = Verifier()
        self.now = int(time.time())
        self.store = MemoryReplayStore(capacity=50_000, now=self.now - 3600)

    def work(self, count: int) -> None:
        """For each count one proof, one verdict and one refusal, and sometimes a mistake."""
        for number in range(count):
            self.now += number % 10 == 0
            key = self.keys[number % 16]
            text = proof(key=key, method="GET", url=URL, access_token="a-token", now=self.now)
            self.verify("GET", text, key)
            with contextlib.suppress(ProofRejected):
                self.verify("PUT" if number % 2 else "GET", text, key)
                raise AssertionError("it was accepted twice")
            if number % 100 == 0:
                with pytest.raises(Misuse):
                    proof(key=key, method="GET", url="nowhere")

    def verify(self, method: str, text: str, key: Key) -> None:
        """One verdict."""
        presented = Presented(proof=text, method=method, url=URL, access_token="a-token", bound_to=key.thumbprint)
        self.verifier.verify(presented, store=self.store, now=self.now)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_memory_does_not_grow() -> None:
    load = Load()
    load.work(10_000)
    gc.collect()
    before = resident()
    load.work(CALLS - 10_000)
    gc.collect()
    grown = resident() - before
    assert grown < 4 * 1024 * 1024, f"{grown} bytes more after {CALLS} calls"


def test_python_keeps_no_objects() -> None:
    load = Load()
    load.work(1_000)
    tracemalloc.start()
    try:
        load.work(1_000)
        gc.collect()
        first, _ = tracemalloc.get_traced_memory()
        load.work(3_000)
        gc.collect()
        second, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert second - first < 64 * 1024, f"{second - first} bytes more"
