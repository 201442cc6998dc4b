"""What the store owes, answer by answer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlite_store import SqliteReplayStore

from keybound import Insertion, Key, Nonces, Policy, Presented, ReplayDetected, ReplayEntry, ResourceServer, Verifier, proof

NOW = 1_700_000_000
KEY = Key.generate()


def entry(*, at: int = NOW, policy: Policy | None = None, nonce: str | None = None) -> ReplayEntry:
    """The entry of a new proof."""
    made = proof(key=KEY, method="GET", url="https://api.example.com/", access_token="t", nonce=nonce, now=at)
    presented = Presented(
        proof=made, method="GET", url="https://api.example.com/", access_token="t", bound_to=KEY.thumbprint
    )
    return Verifier(policy=policy).check(presented, now=at).entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "proofs.sqlite3"


def opened(path: Path, *, capacity: int = 1000, namespace: str = "n") -> SqliteReplayStore:
    return SqliteReplayStore(path, namespace=namespace, capacity=capacity, began=NOW - 1000)


def test_a_proof_is_fresh_once_in_all_processes(path: Path) -> None:
    proof_entry = entry()
    assert opened(path).insert(proof_entry, now=NOW) is Insertion.FRESH
    assert opened(path).insert(proof_entry, now=NOW) is Insertion.SEEN
    assert opened(path, namespace="other").insert(proof_entry, now=NOW) is Insertion.FRESH
    assert opened(path).epoch == opened(path).epoch


def test_many_threads_at_once(path: Path) -> None:
    store, proof_entry = opened(path), entry()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: store.insert(proof_entry, now=NOW), range(64)))
    assert answers.count(Insertion.FRESH) == 1 and answers.count(Insertion.SEEN) == 63


def test_verifiers_have_to_agree(path: Path) -> None:
    assert opened(path).insert(entry(), now=NOW) is Insertion.FRESH
    assert opened(path).insert(entry(policy=Policy(max_age=120)), now=NOW) is Insertion.UNAVAILABLE


def test_a_full_store_gives_up_nothing(path: Path) -> None:
    store, first = opened(path, capacity=2), entry()
    assert [store.insert(each, now=NOW) for each in (first, entry())] == [Insertion.FRESH] * 2
    assert store.insert(entry(), now=NOW) is Insertion.FULL
    assert store.insert(first, now=NOW) is Insertion.SEEN
    # Room is made by time alone, and what was forgotten stays dead when the clock is set back.
    later = first.keep_until + 1
    assert store.insert(entry(at=later), now=later) is Insertion.FRESH
    assert store.insert(first, now=NOW) is Insertion.BEFORE_FLOOR


def test_it_vouches_for_its_own_time(path: Path) -> None:
    store = SqliteReplayStore(path, namespace="n", began=NOW)
    assert store.insert(entry(), now=NOW) is Insertion.BEFORE_FLOOR
    assert store.insert(entry(at=NOW + 60), now=NOW + 60) is Insertion.FRESH


def test_failures_let_nobody_in(path: Path) -> None:
    store = SqliteReplayStore(path, namespace="n", began=NOW - 1000, timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert store.insert(entry(), now=NOW) is Insertion.UNAVAILABLE, "busy"
    other.execute("COMMIT")
    proof_entry = entry()
    assert store.insert(proof_entry, now=NOW) is Insertion.FRESH
    other.execute("DELETE FROM namespace")
    assert store.insert(proof_entry, now=NOW) is Insertion.UNAVAILABLE, "someone emptied it"
    other.execute("DROP TABLE proof")
    assert store.insert(proof_entry, now=NOW) is Insertion.UNAVAILABLE, "broken"
    other.close()


def test_servers_share_it(path: Path) -> None:
    policy = Policy(nonces=Nonces())
    server = ResourceServer(
        resource="https://api.example.com", issuers=["https://as.example.com"], policy=policy, store=opened(path)
    )
    assert server.store.epoch == opened(path).epoch
    verifier = Verifier()
    made = proof(key=KEY, method="GET", url="https://api.example.com/", access_token="t", now=NOW)
    presented = Presented(
        proof=made, method="GET", url="https://api.example.com/", access_token="t", bound_to=KEY.thumbprint
    )
    verifier.verify(presented, store=opened(path), now=NOW)
    with pytest.raises(ReplayDetected):
        verifier.verify(presented, store=opened(path), now=NOW)


def test_the_example_runs() -> None:
    main = Path(__file__).with_name("main.py")
    said = subprocess.run([sys.executable, main], capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.splitlines() == ["1 x accepted", "7 x replayed"]
