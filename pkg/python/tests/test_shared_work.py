"""Work that requests share, and what belongs to one alone: who may hang up, how long it takes, and what a store answers."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keybound import (
    AsyncResourceServer,
    HttpRequest,
    HttpResponse,
    Incoming,
    Inserted,
    Insertion,
    Introspection,
    Key,
    MemoryReplayStore,
    Misuse,
    NonceKey,
    NonceRequired,
    Nonces,
    Policy,
    Presented,
    Principal,
    Refused,
    ReplayEntry,
    ResourceServer,
    Unconsumed,
    Verifier,
    _async_drive,
    _drive,
    proof,
)
from test_servers import API, AS, Network, both, fields, made

PLACES = ["/.well-known/oauth-authorization-server", "/jwks"]


def incoming(network: Network, key: Key, nonce: str | None = None) -> Incoming:
    """A request with a token and a proof."""
    headers = fields(network.issuer.token(API, key.thumbprint), key, nonce=nonce)
    return Incoming(method="GET", target=b"/items", headers=headers)


class Held(Network):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def send(self, request: HttpRequest) -> HttpResponse:
        self.reached.set()
        self.go_on.wait(20)
        return super().send(request)


def options() -> dict[str, Any]:
    policy = Policy(nonces=False)
    return {"resource": API, "policy": policy, "store": MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)}


class HangUp(Exception):
    """What a server does to a thread whose client is gone."""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no signals here")
def test_a_leader_that_hangs_up_does_not_stop_the_fetch() -> None:
    network, key = Held(), Key.generate()
    server = ResourceServer(issuers=[AS], transport=network, **options())
    leader, follower = incoming(network, key), incoming(network, key)
    told = threading.Event()

    def hang_up(*_: object) -> None:
        if not told.is_set():
            told.set()
            raise HangUp

    def follow() -> Principal:
        assert network.reached.wait(20)
        # A signal that comes just before the thread waits is told to it after that.
        while not told.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        return server.authenticate(follower)

    before = signal.signal(signal.SIGUSR1, hang_up)
    try:
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follow)
            try:
                with pytest.raises(HangUp):
                    server.authenticate(leader)
            finally:
                network.go_on.set()
            assert following.result(20).subject == "alice"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert network.asked == PLACES


def test_a_leader_that_hangs_up_does_not_stop_the_fetch_for_tasks() -> None:
    async def hung_up() -> None:
        network, key = Network(), Key.generate()
        reached, go_on = asyncio.Event(), asyncio.Event()

        class Transport:
            async def send(self, request: HttpRequest) -> HttpResponse:
                reached.set()
                await go_on.wait()
                return network.send(request)

        server = AsyncResourceServer(issuers=[AS], transport=Transport(), **options())
        leader = asyncio.ensure_future(server.authenticate(incoming(network, key)))
        await reached.wait()
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        follower = asyncio.ensure_future(server.authenticate(incoming(network, key)))
        await asyncio.sleep(0)
        go_on.set()
        assert (await follower).subject == "alice"
        assert network.asked == PLACES

    asyncio.run(asyncio.wait_for(hung_up(), 20))


@both
def test_a_question_that_is_never_answered_ends_by_its_time_out_and_another_is_asked_then(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Short(_drive.Share):
        """The core's time-out is longer than a test wants to wait."""

        def __init__(self, name: str, timeout: int, *rest: Any) -> None:
            super().__init__(name, 0.05 * (timeout > 0), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_drive, "Share", Short)
    network, key = Held(), Key.generate()
    asks = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")
    request = Incoming(method="GET", target=b"/items", headers=fields("opaque", key))
    if kind == "blocking":
        server: Any = ResourceServer(introspection=asks, transport=network, **options())
        admit = server.authenticate
    else:
        server = AsyncResourceServer(introspection=asks, transport=_async_drive.Threaded(), **options())
        server._transport._standard = network
        admit = lambda request: asyncio.run(server.authenticate(request))  # noqa: E731
    try:
        with caplog.at_level(logging.WARNING, "keybound"), pytest.raises(Refused) as told:
            admit(request)
        assert told.value.refusal.status == 503
        assert "a question to an authorization server failed" in caplog.text
    finally:
        network.go_on.set()
    monkeypatch.undo()
    with pytest.raises(Refused) as told:
        admit(request)
    assert told.value.reason == "token_inactive"


def test_threads_whose_transport_ignores_its_time_out_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_drive, "THREADS", 0)
    network, key = Network(), Key.generate()
    server = made("blocking", network)
    with pytest.raises(Refused) as told:
        server.authenticate(incoming(network, key))
    assert told.value.refusal.status == 503 and not network.asked


@both
@pytest.mark.parametrize("says_its_epoch", [False, True])
def test_a_loss_noticed_by_the_insert_costs_one_challenge(kind: str, says_its_epoch: bool) -> None:
    class Database:
        """`life` is what the database says, and `epoch` what this process knows of it."""

        life = epoch = "1"

        def insert(self, entry: ReplayEntry, *, now: int) -> Insertion | Inserted:
            answer = Insertion.FRESH if entry.nonce_epoch == self.life else Insertion.BEFORE_FLOOR
            if says_its_epoch:
                return Inserted(answer, self.life)
            self.epoch = self.life
            return answer

    network, key, database = Network(), Key.generate(), Database()
    server = made(kind, network, policy=None, store=database)

    def challenge(nonce: str | None) -> str:
        with pytest.raises(Refused) as told:
            server.authenticate(incoming(network, key, nonce))
        assert told.value.refusal.error == "use_dpop_nonce"
        return dict(told.value.refusal.headers)["DPoP-Nonce"]

    nonce = challenge(None)
    assert server.authenticate(incoming(network, key, nonce)).subject == "alice"
    database.life = "2"
    nonce = challenge(nonce)
    database.epoch = "2"
    assert server.authenticate(incoming(network, key, nonce)).subject == "alice"


@both
def test_a_store_that_answers_with_anything_else_is_a_mistake_of_the_program(kind: str) -> None:
    class Talkative:
        epoch = "1"

        def insert(self, entry: ReplayEntry, *, now: int) -> Any:
            return True

    network, key = Network(), Key.generate()
    server = made(kind, network, store=Talkative())
    with pytest.raises(Misuse) as told:
        server.authenticate(incoming(network, key))
    assert told.value.reason == "not_an_insertion"
    with pytest.raises(Misuse):
        Inserted(True, "1")  # type: ignore[arg-type]


@both
def test_a_gateway_checks_and_uses_nothing_up(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network)
    request = incoming(network, key)
    check = server.check if kind == "blocking" else lambda request: asyncio.run(server.check(request))
    for _ in range(2):
        assert check(request) == Unconsumed(key.thumbprint)
    assert server.store.held == 0
    assert server.authenticate(request).thumbprint == key.thumbprint
    with pytest.raises(Refused) as told:
        check(Incoming(method="GET", target=b"/others", headers=request.headers))
    assert told.value.reason == "target_mismatch"


def test_a_request_is_its_target_or_its_url() -> None:
    for wrong in ({}, {"target": b"/items", "url": f"{API}/items"}):
        with pytest.raises(Misuse):
            Incoming(method="GET", headers=[], **wrong)  # type: ignore[arg-type]
    network, key = Network(), Key.generate()
    request = incoming(network, key)
    assert made("blocking", network).authenticate(Incoming(method="GET", url=f"{API}/items", headers=request.headers)).subject == "alice"
    assert repr(request.headers[0][1]) not in repr(request)


def test_a_verifier_settles_with_the_epoch_of_the_answer() -> None:
    policy = Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=bytes(range(32))),)))
    verifier, key = Verifier(policy=policy), Key.generate()

    def presented(nonce: str | None, epoch: str) -> Presented:
        text = proof(key=key, method="GET", url=API, access_token="t", nonce=nonce)
        return Presented(proof=text, method="GET", url=API, access_token="t", bound_to=key.thumbprint, epoch=epoch)

    first = presented(verifier.fresh_nonce("resource", epoch="1"), "1")
    for answer, epoch in [(Insertion.BEFORE_FLOOR, "1"), (Inserted(Insertion.BEFORE_FLOOR, "2"), "2")]:
        with pytest.raises(NonceRequired) as told:
            verifier.check(first).settle(answer)
        assert told.value.refusal is not None
        again = presented(dict(told.value.refusal.headers)["DPoP-Nonce"], epoch)
        assert verifier.check(again).entry.nonce_epoch == epoch
