"""The client over a transport of the test's own: login, nonces, refresh, and the errors of its surroundings."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from flow_server import FakeServer
from keybound import (
    AsyncClient,
    Client,
    Credentials,
    Discovered,
    FlowFailed,
    HttpRequest,
    HttpResponse,
    Key,
    LoginRequired,
    MemoryStore,
    Misuse,
    NotSent,
    SecurityLevel,
    Session,
    SessionRequest,
)
from loopback import free_port


class CountingStore(MemoryStore):
    """Says which locks are held, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.taken, self.held = 0, 0
        self.fail: Exception | None = None

    def lock(self, name: str, lease: int) -> AbstractContextManager[object]:
        return self._counted(name, lease)

    @contextlib.contextmanager
    def _counted(self, name: str, lease: int) -> Iterator[None]:
        with super().lock(name, lease):
            self.taken, self.held = self.taken + 1, self.held + 1
            try:
                yield
            finally:
                self.held -= 1

    def save(self, slot: str, *, expected: int | None, version: int, value: str | None) -> bool:
        if self.fail is not None:
            raise self.fail
        return super().save(slot, expected=expected, version=version, value=value)


class Awaited:
    """The same server for those who await it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def send(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return self.server.send(request)


def options(server: FakeServer, store: MemoryStore | None = None) -> dict[str, Any]:
    return {
        "credentials": [Credentials(issuer=server.origin, client_id="app")],
        "redirect_uri": f"http://127.0.0.1:{free_port()}/callback",
        "store": store,
    }


def made(server: FakeServer, store: MemoryStore | None = None) -> Client:
    return Client(transport=server, **options(server, store))


def logged_in(client: Client, server: FakeServer) -> Session:
    found = client.discover(server.api)
    assert (found.issuer, found.resource) == (server.origin, server.api)
    return client.exchange(server.login(client.authorize(SessionRequest(at=found)).url))


def test_discovery_begins_with_an_answer_of_the_resource() -> None:
    server = FakeServer()
    found = made(server).discover(server.api)
    assert server.paths() == ["/api", "/.well-known/oauth-protected-resource/api", "/.well-known/oauth-authorization-server"]
    assert isinstance(found, Discovered)
    assert made(server).discover_issuer(server.origin).issuer == server.origin


def browse(url: str, seen: list[int]) -> None:
    """A browser that first asks for something else."""
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(url.split("?")[0].replace("callback", "favicon.ico"), timeout=5)
    with urllib.request.urlopen(url, timeout=5) as answer:
        seen.append(answer.status)


def test_login_of_a_program() -> None:
    server, seen = FakeServer(), list[int]()

    threads: list[threading.Thread] = []

    def browser(url: str) -> None:
        threads.append(threading.Thread(target=browse, args=(server.login(url), seen)))
        threads[-1].start()

    client = made(server)
    session = client.login(SessionRequest(at=client.discover(server.api), scope="read"), browser=browser, timeout=10)
    threads[0].join(10)
    assert (session.level, session.issuer, session.resource) == (SecurityLevel.ENHANCED, server.origin, server.api)
    assert session.danger_access_token() == "access-1" and seen == [200]
    answer = client.call(session, f"{server.api}/items?page=2", method="POST", body=b"{}", headers={"X-Own": "1"})
    assert answer.status == 200 and answer.json() == {"path": "/api/items", "method": "POST", "body": "{}"}
    assert answer.url == f"{server.api}/items?page=2" and answer.demand is None
    assert ("X-Own", "1") in server.asked[-1].headers or ("x-own", "1") in server.asked[-1].headers

    async def again() -> Session:
        other = AsyncClient(transport=Awaited(server), **options(server))
        found = await other.discover(server.api)
        session = await other.login(SessionRequest(at=found), browser=browser, timeout=10)
        assert (await other.call(session, server.api)).status == 200
        return session

    assert asyncio.run(again()).danger_access_token() == "access-2"


def test_the_loopback_takes_the_state_of_its_login_alone() -> None:
    server, codes = FakeServer(), list[int]()
    client = made(server)
    threads: list[threading.Thread] = []

    def browser(url: str) -> None:
        right = server.login(url)
        before, state = right.split("state=")[0], right.split("state=")[1].split("&")[0]
        end = "&iss=" + server.origin
        # What any page in the user's browser, and any program on the machine, can send.
        wrong = [f"{before}state=forged{end}", f"{before}state={end}", f"{before}state={state}x{end}", f"{before}xstate={state}{end}"]
        wrong += [f"{before}state={state}&state={state}{end}", f"{before}state={state[:-1]}{end}", f"{before.split('?')[0]}?state="]
        wrong += [right.replace("/callback", "/callback/"), right.replace("/callback", "/other")]

        def browse_all() -> None:
            for each in wrong:
                with pytest.raises(urllib.error.HTTPError) as told:
                    urllib.request.urlopen(each, timeout=5)
                codes.append(told.value.code)
            with urllib.request.urlopen(right, timeout=5) as answer:
                codes.append(answer.status)

        threads.append(threading.Thread(target=browse_all))
        threads[0].start()

    session = client.login(SessionRequest(at=client.discover(server.api)), browser=browser, timeout=10)
    threads[0].join(10)
    assert codes == [404] * 9 + [200] and session.danger_access_token() == "access-1"


def test_a_cancelled_login_ends_its_wait_and_gives_back_the_port() -> None:
    server = FakeServer()
    told = options(server)

    async def cancelled() -> None:
        client = AsyncClient(transport=Awaited(server), **told)
        begun = asyncio.Event()
        request = SessionRequest(at=await client.discover(server.api))
        login = asyncio.ensure_future(client.login(request, browser=lambda url: begun.set(), timeout=600))
        await begun.wait()
        await asyncio.sleep(0)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login

    # Without an end of the wait, its thread would hold up the end of the loop.
    asyncio.run(asyncio.wait_for(cancelled(), 20))
    Client(transport=server, **told).login(
        SessionRequest(at=made(server).discover(server.api)),
        browser=lambda url: threading.Thread(target=browse, args=(server.login(url), [])).start(),
        timeout=10,
    )


def test_a_login_that_nobody_completes_ends() -> None:
    server = FakeServer()
    client = made(server)
    with pytest.raises(FlowFailed) as told:
        client.login(SessionRequest(at=client.discover(server.api)), browser=lambda url: None, timeout=0.05)
    assert told.value.reason == "login_expired"
    with pytest.raises(Misuse) as misuse:
        Client(transport=server).login(SessionRequest(at=client.discover(server.api)), browser=lambda url: None)
    assert misuse.value.reason == "redirect_uri"


def test_a_demanded_nonce_is_used_and_remembered() -> None:
    server = FakeServer()
    server.nonce = "first"
    client = made(server)
    found = client.discover(server.api)
    callback = server.login(client.authorize(SessionRequest(at=found)).url)
    server.paths()
    session = client.exchange(callback)
    assert server.paths() == ["/token", "/token"]
    client.refresh(session)
    assert server.paths() == ["/token"] and session.danger_access_token() == "access-2"


def test_a_token_that_ended_is_renewed_and_the_request_sent_again() -> None:
    server, store = FakeServer(), CountingStore()
    client = made(server, store)
    session = logged_in(client, server)
    server.end_token()
    server.paths()
    assert client.call(session, server.api, method="PUT", body=b"again").json()["body"] == "again"
    assert server.paths() == ["/api", "/token", "/api"]
    assert store.taken > 0 and store.held == 0
    opened = client.open()
    assert opened.danger_access_token() == session.danger_access_token() == "access-2"
    with pytest.raises(LoginRequired):
        client.open("unknown")
    client.end(session)
    assert session.has_ended
    with pytest.raises(LoginRequired):
        client.open()


def test_errors_of_the_surroundings_are_the_same_objects() -> None:
    server, store = FakeServer(), CountingStore()
    client, asynchronous = made(server, store), AsyncClient(transport=Awaited(server), **options(server, store))
    session = logged_in(client, server)
    network, disk = ConnectionResetError("the network is down"), OSError("the disk is full")

    def fail(request: HttpRequest) -> None:
        raise network

    for act in (
        lambda: client.discover(server.api),
        lambda: client.discover_issuer(server.origin),
        lambda: client.call(session, server.api),
        lambda: client.refresh(session),
        lambda: asyncio.run(asynchronous.call(session, server.api)),
        lambda: asyncio.run(asynchronous.refresh(session)),
    ):
        server.fail = fail
        with pytest.raises(ConnectionResetError) as told:
            act()
        assert told.value is network
        assert store.held == 0, "a lock is given back after a failure"
    server.fail = None
    store.fail = disk
    with pytest.raises(OSError) as told_disk:
        client.authorize(SessionRequest(at=client.discover(server.api)))
    assert told_disk.value is disk


def test_a_key_that_is_gone_asks_for_a_login() -> None:
    server, store = FakeServer(), CountingStore()
    client = made(server, store)
    session = logged_in(client, server)
    assert session.thumbprint is not None
    store.delete_key(session.thumbprint)
    with pytest.raises(LoginRequired) as told:
        client.call(session, server.api)
    assert told.value.reason == "key_missing"
    assert told.value.__cause__ is not None and store.held == 0


def test_an_adopted_token_is_used_with_its_key() -> None:
    server, store, key = FakeServer(), MemoryStore(), Key.generate()
    server._live = "elsewhere"
    store.add_key(key, key.thumbprint)
    client = made(server, store)
    session = client.adopt("elsewhere", key=key, resource=server.api)
    assert client.call(session, server.api).status == 200
    server.end_token()
    assert client.call(session, server.api).demand == "login"
    with pytest.raises(Misuse):
        client.call(session, "https://elsewhere.example.com/")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(Misuse):
        Client(levle=SecurityLevel.ENHANCED)  # type: ignore[call-arg]
    with pytest.raises(Misuse):
        Client(level="more")  # type: ignore[arg-type]
    with pytest.raises(Misuse):
        Client(credentials=[Credentials(issuer="nowhere", client_id="app")])


@pytest.mark.parametrize("kind", ["blocking", "awaited"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_lost_answer_to_a_post_is_not_repeated(kind: str, method: str) -> None:
    server, store = FakeServer(), MemoryStore()
    session = logged_in(made(server, store), server)
    awaited = AsyncClient(transport=Awaited(server), **options(server, store))

    def call() -> object:
        body = b"pay 10" if method == "POST" else None
        if kind == "blocking":
            return made(server, store).call(session, server.api, method=method, body=body)
        return asyncio.run(awaited.call(session, server.api, method=method, body=body))

    lost = ConnectionResetError("the answer is lost")

    def lose(request: HttpRequest) -> None:
        raise lost

    server.asked.clear()
    server.fail = lose
    with pytest.raises(ConnectionResetError) as told:
        call()
    assert told.value is lost
    assert len(server.asked) == 1, "who drops answers has nothing carried out twice"

    def never_left(request: HttpRequest) -> None:
        if len(server.asked) < 3:
            raise NotSent("no connection was made") from lost

    server.asked.clear()
    server.fail = never_left
    call()
    proofs = {dict(request.headers)["DPoP"] for request in server.asked}
    assert len(proofs) == len(server.asked) == 3, "each attempt has a proof of its own"
