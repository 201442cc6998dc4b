"""Replay stores: each proof is good once, whoever asks at the same time, and whatever fails."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest

from keybound import (
    AsyncResourceServer,
    AuthorizationServer,
    Grant,
    HostFailed,
    Insertion,
    Key,
    MemoryReplayStore,
    Misuse,
    NonceKey,
    NonceRequired,
    Nonces,
    Policy,
    Presented,
    ProofRejected,
    ReplayDetected,
    ReplayEntry,
    ResourceServer,
    StoreUnavailable,
    Verifier,
    averify,
    explain,
    proof,
    verify,
)

URL = "https://api.example.com/items"


def settled_store(policy: Policy | None = None) -> MemoryReplayStore:
    """A store that is an hour old: its floor is past."""
    return MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)


def shown(key: Key, nonce: str | None = None) -> dict[str, Any]:
    """What a request brings."""
    text = proof(key=key, method="GET", url=URL, access_token="a-token", nonce=nonce)
    return {"proof": text, "method": "GET", "url": URL, "access_token": "a-token", "bound_to": key.thumbprint}


def test_threads_accept_each_proof_once() -> None:
    key, store, verifier = Key.generate(), settled_store(), Verifier()
    proofs = [shown(key) for _ in range(200)]
    start = threading.Barrier(16)

    def present_all(first: int) -> list[str]:
        start.wait()
        accepted = []
        for each in proofs[first:] + proofs[:first]:
            try:
                verifier.verify(Presented(**each), store=store)
            except ReplayDetected:
                continue
            accepted.append(each["proof"])
        return accepted

    with ThreadPoolExecutor(16) as pool:
        accepted = [text for texts in pool.map(present_all, range(0, 160, 10)) for text in texts]
    assert sorted(accepted) == sorted(each["proof"] for each in proofs)
    assert store.held == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_copy_in_a_forked_process_answers_unavailable() -> None:
    key, store = Key.generate(), settled_store()
    once = shown(key)
    verify(store=store, **once)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run in the child.
        said = "?"
        try:
            verify(store=store, **shown(key))
            said = "accepted"
        except StoreUnavailable as error:
            said = f"{error.reason} {error.refusal.status if error.refusal else None} {store.was_forked}"
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "store_unavailable 503 True"
    assert not store.was_forked
    assert verify(store=store, **shown(key)).thumbprint == key.thumbprint


@pytest.mark.parametrize("variable", ["WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS"])
def test_several_workers_are_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "4")
    with pytest.raises(Misuse) as told:
        MemoryReplayStore()
    assert told.value.reason == "several_workers"
    assert "4 worker processes" in told.value.detail
    MemoryReplayStore(workers=1)
    monkeypatch.setenv(variable, "1")
    MemoryReplayStore()
    with pytest.raises(Misuse):
        MemoryReplayStore(workers=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["/venv/bin/uvicorn", "app:app", "--workers", "2"],
        ["/venv/bin/gunicorn", "-w", "3", "app:app"],
        ["/venv/bin/gunicorn", "--workers=3", "app:app"],
        ["/venv/bin/hypercorn", "-w4", "app:app"],
        ["/usr/bin/uwsgi", "--processes", "2"],
        ["/venv/lib/uvicorn/__main__.py", "app:app", "--workers", "2"],
    ],
    ids=" ".join,
)
def test_the_command_line_of_a_server_is_read(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(Misuse):
        MemoryReplayStore()
    # What it orders happens, whatever the application says.
    with pytest.raises(Misuse):
        MemoryReplayStore(workers=1)
    monkeypatch.setattr(sys, "argv", ["/home/me/tool", *arguments[1:]])
    MemoryReplayStore()


def made_in_a_child(arguments: list[str], options: dict[str, Any]) -> str:
    """What comes of a store in a process that `multiprocessing` started, under this command line."""
    sys.argv = arguments
    try:
        MemoryReplayStore(**options)
    except Misuse as error:
        return f"{error.reason}: {error.detail}"
    return "made"


SCRIPT = ["program.py"]


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """A process as uvicorn, hypercorn and granian start their workers."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize(
    ("arguments", "options", "is_made"),
    [
        (SCRIPT, {}, False),
        (SCRIPT, {"workers": 1}, True),
        (["/venv/bin/uvicorn", "app:app"], {}, False),
        (["/venv/bin/uvicorn", "app:app", "--reload"], {}, True),
        (["/venv/bin/uvicorn", "app:app", "--workers", "2"], {"workers": 1}, False),
        (["/venv/bin/fastapi", "dev", "app.py"], {}, True),
        (["/venv/bin/fastapi", "run", "app.py"], {}, False),
        (["/venv/bin/hypercorn", "app:app"], {}, False),
        (["/venv/bin/hypercorn", "app:app"], {"workers": 1}, True),
        (["/venv/bin/hypercorn", "-c", "file:hypercorn.py", "-w", "1", "app:app"], {}, False),
        (["/venv/bin/granian", "--workers", "1", "app:app"], {}, False),
        (["/venv/lib/uvicorn/__main__.py", "app:app", "--reload"], {}, True),
        # Programs of one's own, whose names have that of a server.
        (["/home/me/granian-demo/main.py"], {}, False),
        (["/home/me/hypercorn/main.py"], {}, False),
        (["/home/me/run-uvicorn.py", "--reload"], {}, False),
        (["/home/me/run-gunicorn.py", "--workers", "1"], {}, False),
        (["/venv/bin/granian", "--workers", "2", "app:app"], {}, False),
    ],
    ids=str,
)
def test_a_process_that_another_started_needs_to_be_told(
    arguments: list[str], options: dict[str, Any], is_made: bool, child: ProcessPoolExecutor
) -> None:
    said = child.submit(made_in_a_child, arguments, options).result(timeout=60)
    assert (said == "made") == is_made, said
    assert is_made or said.startswith("several_workers: ")


@pytest.mark.parametrize("variable", ["SERVER_SOFTWARE", "GUNICORN_PID"])
def test_a_process_of_a_server_needs_to_be_told(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "gunicorn")
    with pytest.raises(Misuse, match="workers=1"):
        MemoryReplayStore()
    MemoryReplayStore(workers=1)
    # A hook in a configuration file can still order several.
    for arguments in (["-w", "1"], ["--workers=1", "-c", "file.py"]):
        monkeypatch.setattr(sys, "argv", ["/venv/bin/gunicorn", *arguments, "app:app"])
        with pytest.raises(Misuse, match="workers=1"):
            MemoryReplayStore()
        MemoryReplayStore(workers=1)
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "-w 1")
    with pytest.raises(Misuse, match="workers=1"):
        MemoryReplayStore()


@pytest.mark.parametrize(
    ("arguments", "variable"), [(["--workers=2"], ""), (["-w", "1", "-Rw2"], ""), (["-w2"], "-w 1"), ([], "-w 1 -Rw2"), ([], "--workers 2")]
)
def test_several_on_the_command_line_count_for_more_than_what_is_stated(
    arguments: list[str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/gunicorn", *arguments, "app:app"])
    monkeypatch.setenv("GUNICORN_CMD_ARGS", variable)
    for workers in (None, 1):
        with pytest.raises(Misuse, match="2 worker processes"):
            MemoryReplayStore(workers=workers)


def test_configured_nonce_keys_are_for_several_processes() -> None:
    policy = Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=bytes(range(32))),)))
    options: dict[str, Any] = {"resource": URL, "issuers": ["https://as.example.com"], "policy": policy}
    for make in (lambda: MemoryReplayStore(policy=policy), lambda: ResourceServer(**options), lambda: AsyncResourceServer(**options)):
        with pytest.raises(Misuse, match="nonce keys") as told:
            make()
        assert told.value.reason == "several_workers"
    with pytest.raises(Misuse, match="nonce keys"):
        ResourceServer(**options, store=MemoryReplayStore())
    # A store of another policy, whose verifier has the keys.
    given = {"store": MemoryReplayStore(), "method": "POST", "url": URL, "proof": None}
    grant = Grant(type="client_credentials")
    for use in (
        lambda: verify(**given, at_authorization_server=True, policy=policy),
        lambda: asyncio.run(averify(**given, at_authorization_server=True, policy=policy)),
        lambda: Verifier(policy=policy).verify_many([], store=MemoryReplayStore()),
        lambda: AuthorizationServer(policy=policy).admit(**given, client="public", grant=grant),
    ):
        with pytest.raises(Misuse, match="nonce keys"):
            use()
    MemoryReplayStore(policy=policy, workers=1)
    ResourceServer(**options, workers=1)
    ResourceServer(**options, store=MemoryReplayStore(policy=policy, workers=1))
    ResourceServer(**options, store=Table())
    with pytest.raises(Misuse):
        ResourceServer(**options, store=MemoryReplayStore(workers=1), workers=2)


class Table:
    """A synchronous store of the application's own."""

    epoch = "7"

    def __init__(self) -> None:
        self.entries: dict[bytes, ReplayEntry] = {}

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
        """One atomic step: `setdefault`."""
        fresh = self.entries.setdefault(entry.key, entry) is entry
        return Insertion.FRESH if fresh else Insertion.SEEN


class SlowTable(Table):
    """The same for those who await it."""

    async def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:  # type: ignore[override]
        """The insert is atomic, the answer takes its time."""
        answer = super().insert(entry, now=now)
        await asyncio.sleep(0.005)
        return answer


def test_own_stores() -> None:
    key, table = Key.generate(), Table()
    once = shown(key)
    assert verify(store=table, **once).thumbprint == key.thumbprint
    with pytest.raises(ReplayDetected):
        verify(store=table, **once)
    (entry,) = table.entries.values()
    now = int(time.time())
    assert len(entry.key) == 16 and len(entry.agreement) == 16
    assert entry.thumbprint == key.thumbprint
    assert entry.timed_at <= now < entry.expires_at <= entry.keep_until
    assert 0 < entry.lifetime(now) <= entry.keep_until - now + 1

    async def many() -> list[object]:
        asked = [averify(store=slow, **once) for _ in range(64)]
        return await asyncio.gather(*asked, return_exceptions=True)

    slow = SlowTable()
    outcomes = asyncio.run(many())
    assert sum(isinstance(outcome, ReplayDetected) for outcome in outcomes) == 63


def test_verifiers_that_disagree_do_not_share_a_store() -> None:
    key, store = Key.generate(), settled_store()
    verify(store=store, **shown(key))
    with pytest.raises(Misuse, match="max_age is 20 s in this policy and 60 s in that of its replay store"):
        verify(store=store, policy=Policy(max_age=20), **shown(key))


def test_a_store_that_fails_is_unavailable_and_keeps_the_cause() -> None:
    cause = ConnectionError("the database is down")

    class Broken(Table):
        def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
            raise cause

    class SlowBroken(SlowTable):
        async def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:  # type: ignore[override]
            raise cause

    key = Key.generate()
    errors = []
    with pytest.raises(StoreUnavailable) as told:
        verify(store=Broken(), **shown(key))
    errors.append(told.value)
    with pytest.raises(StoreUnavailable) as told:
        asyncio.run(averify(store=SlowBroken(), **shown(key)))
    errors.append(told.value)
    for error in errors:
        assert isinstance(error, HostFailed) and not isinstance(error, ProofRejected)
        assert error.__cause__ is cause
        assert error.refusal is not None and error.refusal.status == 503
        assert error.reason == "store_unavailable"


def test_a_full_store_accepts_nothing_more() -> None:
    key, store = Key.generate(), MemoryReplayStore(capacity=1, now=int(time.time()) - 3600)
    outcomes = []
    for _ in range(200):
        try:
            verify(store=store, **shown(key))
            outcomes.append("accepted")
        except StoreUnavailable as error:
            outcomes.append(error.reason)
    assert outcomes[0] == "accepted"
    assert outcomes[-1] == "store_full"
    assert store.held == outcomes.count("accepted")


def test_one_key_is_refused_for_its_share_once_half_is_used() -> None:
    def outcomes(shares: int) -> list[str]:
        key, store = Key.generate(), MemoryReplayStore(capacity=64, shares=shares, now=int(time.time()) - 3600)
        found = []
        for _ in range(40):
            try:
                verify(store=store, **shown(key))
                found.append("accepted")
            except StoreUnavailable as error:
                found.append(error.reason)
        return found

    assert outcomes(64) == ["accepted"] * 32 + ["store_share_full"] * 8
    assert outcomes(1) == ["accepted"] * 40
    with pytest.raises(Misuse, match=r"shares \(1 to 4096"):
        MemoryReplayStore(shares=0)


def test_a_store_that_has_just_begun_asks_for_a_nonce() -> None:
    policy = Policy(nonces=Nonces())
    store = MemoryReplayStore(policy=policy)
    verifier = Verifier(policy=policy)
    key = Key.generate()
    with pytest.raises(NonceRequired) as told:
        verifier.verify(Presented(**shown(key)), store=store)
    assert (told.value.code, told.value.status) == ("use_dpop_nonce", 401)
    assert told.value.refusal is not None
    (nonce,) = [value for name, value in told.value.refusal.headers if name == "DPoP-Nonce"]
    assert verifier.verify(Presented(**shown(key, nonce)), store=store).thumbprint == key.thumbprint
    assert verifier.verify(Presented(**shown(key, verifier.fresh_nonce("resource", epoch=store.epoch))), store=store).thumbprint == key.thumbprint
    # A nonce of another life of the store vouches for nothing.
    with pytest.raises((NonceRequired, ProofRejected)):
        verifier.verify(Presented(**shown(key, verifier.fresh_nonce("resource", epoch="12"))), store=store)


def test_without_nonces_it_asks_for_patience() -> None:
    store = MemoryReplayStore()
    with pytest.raises(ProofRejected) as told:
        verify(store=store, **shown(Key.generate()))
    assert told.value.reason == "before_store_floor"
    assert told.value.refusal is not None and told.value.refusal.status == 503
    assert "Retry-After" in dict(told.value.refusal.headers)


def test_the_first_start_of_a_namespace_takes_proofs_at_once() -> None:
    key, store = Key.generate(), MemoryReplayStore(danger_first_start=True)
    given = shown(key)
    assert verify(store=store, **given).thumbprint == key.thumbprint
    with pytest.raises(ReplayDetected):
        verify(store=store, **given)
    with pytest.raises(Misuse):
        MemoryReplayStore(danger_first_start=1)  # type: ignore[arg-type]


def test_a_server_says_whether_its_own_store_is_the_first() -> None:
    options: dict[str, Any] = {"resource": URL, "issuers": ["https://as.example.com"], "policy": Policy(nonces=False)}
    for server in (ResourceServer, AsyncResourceServer):
        key, store = Key.generate(), server(**options, danger_first_start=True).store
        assert isinstance(store, MemoryReplayStore)
        assert verify(store=store, policy=options["policy"], **shown(key)).thumbprint == key.thumbprint
        with pytest.raises(Misuse, match="where it is made"):
            server(**options, store=store, danger_first_start=True)


def test_an_explanation_knows_since_when_the_store_remembers() -> None:
    given = shown(Key.generate())
    assert explain(**given).accepted
    told = explain(store=MemoryReplayStore(), **given)
    assert (told.accepted, told.reason) == (False, "before_store_floor")
    assert told.checks[-1].outcome == "failed" and "danger_first_start" in str(told.checks[-1].fix)
    assert explain(store=MemoryReplayStore(danger_first_start=True), **given).accepted
    assert explain(store=settled_store(), **given).accepted
