"""Introspection: what is remembered of an answer, and how many questions strangers can cause."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flow_server import reply
from keybound import (
    AsyncResourceServer,
    HttpRequest,
    HttpResponse,
    Incoming,
    Introspection,
    Key,
    MemoryReplayStore,
    Misuse,
    Policy,
    Refused,
    ResourceServer,
    proof,
)
from test_servers import API, AS, Network, both, fields, made

ASKS = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")


def incoming(token: str, key: Key) -> Incoming:
    """A request with a token and a proof."""
    return Incoming(method="GET", target=b"/items", headers=fields(token, key))


@both
def test_an_active_token_with_a_member_that_says_otherwise_is_admitted_again(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network, introspection=ASKS)
    now = int(time.time())
    network.token = {
        "active": True,
        "sub": "bob",
        "aud": API,
        "exp": now + 60,
        "cnf": {"jkt": key.thumbprint},
        "device": {"active": False},
        "note": '"active":false',
    }
    for _ in range(3):
        assert server.authenticate(incoming("opaque", key)).subject == "bob"


@both
@pytest.mark.parametrize("body", [b'{"active":null}', b"{}", b'{"active":"true"}', b'["active"]', b"<html>", b"[" * 60_000])
def test_an_answer_that_is_none_says_nothing_about_the_token(kind: str, body: bytes) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network, introspection=ASKS)
    network.body = body
    for _ in range(2):
        with pytest.raises(Refused) as told:
            server.authenticate(incoming("opaque", key))
        assert (told.value.reason, told.value.refusal.status) == ("introspection_unavailable", 503)
    network.body = b'{"active"\n:\tfalse}'
    with pytest.raises(Refused) as told:
        server.authenticate(incoming("opaque", key))
    assert told.value.reason == "token_inactive"


def test_a_denial_is_remembered_for_a_moment_however_often_it_is_asked_for() -> None:
    network, key, now = Network(), Key.generate(), int(time.time())
    server = made("blocking", network, introspection=ASKS)
    for later in (0, 4, 8, 12):
        with pytest.raises(Refused):
            server.authenticate(incoming("opaque", key), now=now + later)
    # Asked at 0 and 12 seconds, remembered at 4 and 8.
    assert network.asked == ["/introspect"] * 2


@both
def test_an_active_token_is_remembered_if_the_operator_says_so(kind: str) -> None:
    network, key, now = Network(), Key.generate(), int(time.time())
    asks = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="s e", authentication="client_secret_post", remembered_for=60)
    server = made(kind, network, introspection=asks)
    network.token = {"active": True, "sub": "bob", "aud": API, "exp": now + 600, "cnf": {"jkt": key.thumbprint}}
    for later in (0, 10, 40):
        text = proof(key=key, method="GET", url=f"{API}/items", access_token="opaque", now=now + later)
        headers = [("Authorization", b"DPoP opaque"), ("DPoP", text.encode())]
        server.authenticate(Incoming(method="GET", target=b"/items", headers=headers), now=now + later)
    assert network.asked == ["/introspect"]
    assert network.last is not None and b"client_id=api&client_secret=s+e" in (network.last.body or b"")
    assert "Authorization" not in dict(network.last.headers)
    for wrong in ({"remembered_for": 61}, {"authentication": "none"}):
        with pytest.raises(Misuse):
            ResourceServer(resource=API, introspection=dataclasses.replace(asks, **wrong))


class Crowd:
    """An introspection endpoint that answers when it is told to, for those who block and those who await it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[bytes | None] = []
        self.underway = self.most = 0
        self.reached = threading.Semaphore(0)
        self._guard = threading.Lock()

    def begin(self, request: HttpRequest) -> None:
        with self._guard:
            self.asked.append(request.body)
            self.underway += 1
            self.most = max(self.most, self.underway)
        self.reached.release()

    def end(self) -> HttpResponse:
        with self._guard:
            self.underway -= 1
        return reply(200, {"active": False})

    def send(self, request: HttpRequest) -> HttpResponse:
        self.begin(request)
        try:
            self.go_on.wait(30)
        finally:
            answer = self.end()
        return answer


class AwaitedCrowd(Crowd):
    def __init__(self) -> None:
        super().__init__()
        self.gone = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpResponse:  # type: ignore[override]
        self.begin(request)
        try:
            await self.gone.wait()
        finally:
            answer = self.end()
        return answer


def crowded(kind: str, crowd: Crowd) -> Any:
    policy = Policy(nonces=False)
    store = MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)
    server: Any = ResourceServer if kind == "blocking" else AsyncResourceServer
    return server(resource=API, introspection=ASKS, policy=policy, store=store, transport=crowd)


async def status_of(server: Any, request: Incoming) -> int:
    try:
        await server.authenticate(request)
    except Refused as refused:
        return refused.refusal.status
    return 200


def test_a_token_is_asked_about_once_for_all_threads_that_bring_it_and_64_at_a_time() -> None:
    key, crowd = Key.generate(), Crowd()
    server = crowded("blocking", crowd)

    def ask(number: int) -> tuple[str, int]:
        with pytest.raises(Refused) as told:
            server.authenticate(incoming(f"opaque-{number % 70}", key))
        return told.value.reason, told.value.refusal.status

    with ThreadPoolExecutor(140) as pool:
        asked = [pool.submit(ask, number) for number in range(140)]
        try:
            for _ in range(64):
                assert crowd.reached.acquire(timeout=30)
            assert crowd.underway == 64
        finally:
            crowd.go_on.set()
        assert [each.result(30) for each in asked] == [("token_inactive", 401)] * 140
    assert crowd.most == 64 and crowd.underway == 0
    assert len(crowd.asked) == len(set(crowd.asked)) == 70


def test_strangers_who_wait_are_bounded_and_broken_off_requests_leave_nothing() -> None:
    key = Key.generate()

    async def flood() -> None:
        crowd = AwaitedCrowd()
        server = crowded("awaited", crowd)
        sent = [incoming(f"opaque-{number}", key) for number in range(1100)]
        asked = [asyncio.ensure_future(status_of(server, each)) for each in sent]
        while sum(each.done() for each in asked) < 1100 - 1024 or crowd.underway < 64:
            await asyncio.sleep(0)
        # 64 are asked about, the others wait up to 1,024 in all, and the rest has been sent away.
        assert crowd.underway == crowd.most == 64
        assert sorted({each.result() for each in asked if each.done()}) == [503] and sum(each.done() for each in asked) == 76
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        # The questions belong to none of the requests.
        assert crowd.underway == 64
        crowd.gone.set()
        assert await asyncio.gather(*(status_of(server, incoming(f"another-{number}", key)) for number in range(150))) == [401] * 150
        assert crowd.underway == 0 and not server._works._ends

    asyncio.run(asyncio.wait_for(flood(), 60))
