"""One renewal at a time: who waits for a session's lock, for how long, and what a call that is broken off leaves."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
import requests

from flow_server import FakeServer
from keybound import AsyncClient, HttpRequest, HttpResponse, LockTimeout, MemoryStore
from keybound import httpx as by_httpx
from keybound import requests as by_requests
from keybound._locks import locked
from test_client import Awaited, CountingStore, logged_in, made, options


def test_cancellation_gives_locks_back() -> None:
    server, store = FakeServer(), CountingStore()
    session = logged_in(made(server, store), server)
    server.end_token()

    class Stuck(Awaited):
        """Waits for ever at the token endpoint."""

        async def send(self, request: HttpRequest) -> HttpResponse:
            if request.url.endswith("/token"):
                self.reached.set()
                await asyncio.Event().wait()
            return await super().send(request)

    async def cancelled() -> None:
        transport = Stuck(server)
        transport.reached = asyncio.Event()  # type: ignore[attr-defined]
        client = AsyncClient(transport=transport, **options(server, store))
        refreshing = [asyncio.ensure_future(client.refresh(session)) for _ in range(3)]
        await transport.reached.wait()  # type: ignore[attr-defined]
        assert store.held == 1
        for task in refreshing:
            task.cancel()
        outcomes = await asyncio.gather(*refreshing, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    asyncio.run(asyncio.wait_for(cancelled(), 20))
    assert store.held == 0
    made(server, store).refresh(session)
    assert session.danger_access_token() == "access-2"


@pytest.mark.parametrize("kind", ["refresh", "call", "httpx"])
def test_a_cancelled_task_loses_no_renewed_token(kind: str) -> None:
    server, store = FakeServer(), CountingStore()
    # Over from the start, as it is not used in its last five seconds: a call renews it first.
    server.lifetime = 1
    session = logged_in(made(server, store), server)
    server.lifetime = 3600

    async def cancelled() -> None:
        reached, arrived = asyncio.Event(), asyncio.Event()

        class Late(Awaited):
            """The server has used up the old refresh token, and its answer is on the way."""

            async def send(self, request: HttpRequest) -> HttpResponse:
                answer = await super().send(request)
                reached.set()
                await arrived.wait()
                return answer

        client = AsyncClient(transport=Late(server), **options(server, store))
        sends = httpx.MockTransport(lambda request: httpx.Response(200))
        async with httpx.AsyncClient(auth=by_httpx.DPoPAuth(client, session), transport=sends) as http:
            begin: dict[str, Any] = {
                "refresh": lambda: client.refresh(session),
                "call": lambda: client.call(session, server.api),
                "httpx": lambda: http.get(server.api),
            }
            task = asyncio.ensure_future(begin[kind]())
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert store.held == 1 and session.danger_access_token() == "access-1"
            arrived.set()
            # Waits for the renewal, and takes what it got.
            assert (await client.call(session, server.api)).status == 200

    asyncio.run(asyncio.wait_for(cancelled(), 20))
    assert server.refreshed == 1 and store.held == 0
    assert made(server, store).open().danger_access_token() == session.danger_access_token() == "access-2"


def test_an_interrupted_call_gives_its_locks_back() -> None:
    server, store = FakeServer(), CountingStore()
    # The token is not used in its last five seconds: each call renews it first.
    server.lifetime = 1
    client = made(server, store)
    session = logged_in(client, server)

    def interrupt(request: HttpRequest) -> None:
        assert request.url.endswith("/token") and store.held == 1
        raise KeyboardInterrupt

    server.fail = interrupt
    for act in (
        lambda: client.refresh(session),
        lambda: requests.get(server.api, auth=by_requests.DPoPAuth(client, session), timeout=5),
    ):
        # The traceback keeps the call alive, as a prompt or a debugger does.
        with pytest.raises(KeyboardInterrupt) as told:
            act()
        assert told.value.__traceback__ is not None and store.held == 0


class Hurried(CountingStore):
    """Waits for its locks as if the lease were this short."""

    lease = 0.0

    def lock(self, name: str, lease: int) -> AbstractContextManager[object]:
        return super().lock(name, self.lease)  # type: ignore[arg-type]


def test_no_one_renews_beside_a_slow_holder() -> None:
    server, store = FakeServer(), Hurried()
    client = made(server, store)
    session = logged_in(client, server)
    server.end_token()

    async def tried() -> None:
        other = AsyncClient(transport=Awaited(server), **options(server, store))
        with pytest.raises(LockTimeout):
            await other.refresh(session)
        outcomes = await asyncio.gather(*(other.call(session, server.api) for _ in range(20)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LockTimeout}

    # Another thread or process that is merely slow: it may be using the refresh token.
    with MemoryStore.lock(store, "session/default", 90):
        for act in (lambda: client.refresh(session), lambda: client.call(session, server.api)):
            with pytest.raises(LockTimeout) as told:
                act()
            assert told.value.reason == "lock_timeout" and "session/default" in told.value.detail
        asyncio.run(asyncio.wait_for(tried(), 20))
        assert server.refreshed == 0
    assert client.call(session, server.api).status == 200
    assert server.refreshed == 1 and store.held == 0


def test_tasks_that_wait_for_a_tasks_lock_give_up_after_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    server, store = FakeServer(), CountingStore()
    session = logged_in(made(server, store), server)
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Awaited):
        async def send(self, request: HttpRequest) -> HttpResponse:
            reached.set()
            await go_on.wait()
            return await super().send(request)

    async def tried() -> None:
        client = AsyncClient(transport=Slow(server), **options(server, store))
        first = asyncio.ensure_future(client.refresh(session))
        await reached.wait()
        with pytest.raises(LockTimeout):
            await locked(store, "session/default", 0)
        cancelled = [asyncio.ensure_future(client.refresh(session)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        go_on.set()
        await first
        # The turn of those who were cancelled is given to the next.
        await client.refresh(session)

    asyncio.run(asyncio.wait_for(tried(), 20))
    assert server.refreshed == 2 and store.held == 0


def test_cancelled_tasks_leave_one_waiting_thread() -> None:
    server, store = FakeServer(), CountingStore()
    session = logged_in(made(server, store), server)

    def waiting() -> int:
        return sum(thread.name == "keybound-lock" for thread in threading.enumerate())

    async def tried() -> None:
        client = AsyncClient(transport=Awaited(server), **options(server, store))
        held = MemoryStore.lock(store, "session/default", 90)
        held.__enter__()
        for _ in range(50):
            task = asyncio.ensure_future(client.refresh(session))
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert waiting() == 1
        held.__exit__(None, None, None)
        await client.refresh(session)

    asyncio.run(asyncio.wait_for(tried(), 20))
    assert server.refreshed == 1 and store.held == 0


def test_many_tasks_renew_a_token_once() -> None:
    server, store = FakeServer(), CountingStore()
    session = logged_in(made(server, store), server)
    server.end_token()

    async def many() -> list[int]:
        client = AsyncClient(transport=Awaited(server), **options(server, store))
        answers = await asyncio.gather(*(client.call(session, server.api) for _ in range(200)))
        return [answer.status for answer in answers]

    # More tasks than the loop has threads: those who wait must not keep out the work of the one who has the lock.
    assert asyncio.run(asyncio.wait_for(many(), 30)) == [200] * 200
    assert server.refreshed == 1 and store.held == 0
