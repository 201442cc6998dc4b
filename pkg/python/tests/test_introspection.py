"""Introspection: what is remembered of an answer, and how many questions strangers can cause."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import pytest

from flow_server import reply
from keybound import (
    AsyncResourceServer,
    HttpRequest,
    HttpResponse,
    Introspection,
    Key,
    MemoryReplayStore,
    Policy,
    Refused,
    ResourceServer,
    _judging,
    resource,
)
from test_servers import API, AS, Network, both, fields, made


@both
def test_an_active_token_with_a_member_that_says_otherwise_is_admitted_again(kind: str) -> None:
    network, key = Network(), Key.generate()
    asks = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")
    server = made(kind, network, introspection=asks)
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
        assert server.authenticate(method="GET", target=b"/items", headers=fields("opaque", key)).subject == "bob"


@both
@pytest.mark.parametrize("body", [b'{"active"\n:\tfalse}', b'{"active":null}', b"{}", b'{"active":"true"}', b'["active"]', b"<html>", b"[" * 60_000])
def test_an_answer_that_does_not_say_active_is_remembered_as_a_denial(kind: str, body: bytes) -> None:
    network, key = Network(), Key.generate()
    asks = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")
    server = made(kind, network, introspection=asks)
    network.body = body
    for _ in range(3):
        with pytest.raises(Refused) as told:
            server.authenticate(method="GET", target=b"/items", headers=fields("opaque", key))
        assert told.value.reason == "token_inactive"
    assert network.asked == ["/introspect"]


def test_a_denial_is_remembered_for_a_moment_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    network, key, clock = Network(), Key.generate(), [1000.0]
    monkeypatch.setattr(_judging.time, "monotonic", lambda: clock[0])
    server = made("blocking", network, introspection=Introspection(url=f"{AS}/introspect", client_id="api", client_secret="s"))
    for _ in range(4):
        with pytest.raises(Refused):
            server.authenticate(method="GET", target=b"/items", headers=fields("opaque", key))
        clock[0] += 2
    # Asked at 0 and 6 seconds, remembered at 2 and 4.
    assert network.asked == ["/introspect"] * 2


class Crowd:
    """An introspection endpoint that answers when it is told to, for those who block and those who await it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.underway = self.most = 0
        self.reached = threading.Semaphore(0)
        self._guard = threading.Lock()

    def begin(self) -> None:
        with self._guard:
            self.underway += 1
            self.most = max(self.most, self.underway)
        self.reached.release()

    def end(self) -> HttpResponse:
        with self._guard:
            self.underway -= 1
        return reply(200, {"active": False})

    def send(self, request: HttpRequest) -> HttpResponse:
        self.begin()
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
        self.begin()
        try:
            await self.gone.wait()
        finally:
            answer = self.end()
        return answer


def crowded(kind: str, crowd: Crowd) -> Any:
    policy = Policy()
    store = MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)
    asks = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")
    server: Any = ResourceServer if kind == "blocking" else AsyncResourceServer
    return server(resource=API, introspection=asks, policy=policy, store=store, transport=crowd)


def test_introspection_is_bounded_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_judging, "ASKED_NEXT", 4)
    key, crowd = Key.generate(), Crowd()
    server = crowded("blocking", crowd)

    def ask(number: int) -> tuple[str, int]:
        with pytest.raises(Refused) as told:
            server.authenticate(method="GET", target=b"/items", headers=fields(f"opaque-{number}", key))
        return told.value.reason, told.value.refusal.status

    with ThreadPoolExecutor(80) as pool:
        asked = [pool.submit(ask, number) for number in range(80)]
        try:
            for _ in range(64):
                assert crowd.reached.acquire(timeout=30)
            # Twelve are sent away before anything is answered: 64 are asked about, 4 wait.
            away = [each.result()[1] for each in islice(as_completed(asked, timeout=30), 12)]
            assert away == [503] * 12
        finally:
            crowd.go_on.set()
        said = [each.result(30) for each in asked]
    assert said.count(("token_inactive", 401)) == 68 and crowd.most == 64 and crowd.underway == 0


def test_introspection_is_bounded_for_tasks_and_broken_off_requests_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_judging, "ASKED_NEXT", 100)
    key = Key.generate()

    async def flood() -> None:
        crowd = AwaitedCrowd()
        server = crowded("awaited", crowd)

        async def ask(number: int) -> int:
            try:
                await server.authenticate(method="GET", target=b"/items", headers=sent[number])
            except Refused as refused:
                return refused.refusal.status
            return 200

        sent = [fields(f"opaque-{number}", key) for number in range(300)]
        for _ in range(3):
            asked = [asyncio.ensure_future(ask(number)) for number in range(300)]
            for _ in range(10):
                await asyncio.sleep(0)
            # 64 under way, 100 wait, the others have been sent away.
            assert crowd.underway == crowd.most == 64
            assert sorted({each.result() for each in asked if each.done()}) == [503] and sum(each.done() for each in asked) == 136
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            assert crowd.underway == 0 and server._asking.waiting == 0
        # Whoever comes now is served as if nothing had been.
        crowd.gone.set()
        assert await asyncio.gather(*(ask(number) for number in range(150))) == [401] * 150

    asyncio.run(asyncio.wait_for(flood(), 60))


def test_whoever_waits_too_long_for_introspection_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "ASKED_WITHIN", 0)
    key = Key.generate()

    async def crowd_of(number: int) -> list[int]:
        crowd = AwaitedCrowd()
        server = crowded("awaited", crowd)

        async def ask(each: int) -> int:
            try:
                await server.authenticate(method="GET", target=b"/items", headers=fields(f"opaque-{each}", key))
            except Refused as refused:
                return refused.refusal.status
            return 200

        asked = [asyncio.ensure_future(ask(each)) for each in range(number)]
        late = await asyncio.gather(*asked[64:])
        crowd.gone.set()
        return late + await asyncio.gather(*asked[:64])

    assert asyncio.run(crowd_of(70)) == [503] * 6 + [401] * 64
