"""Keys of issuers: fetched when they are needed, once, and not again and again while that fails; and the store's lives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest
from token_issuer import TokenIssuer

from keybound import (
    AsyncResourceServer,
    HttpRequest,
    HttpResponse,
    Incoming,
    Insertion,
    Key,
    Policy,
    Principal,
    Refused,
    ReplayEntry,
    ResourceServer,
    proof,
)

ISSUER = "https://as.example.com"
API = "https://api.example.com"


class Network:
    """The issuer's server, which can be down."""

    def __init__(self) -> None:
        self.issuer = TokenIssuer(ISSUER)
        self.asked: list[str] = []
        self.is_down = False

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        time.sleep(0.05)
        if self.is_down:
            raise OSError("nobody answers")
        if request.url == f"{ISSUER}/jwks":
            return HttpResponse(status=200, body=json.dumps(self.issuer.keys).encode())
        document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}
        return HttpResponse(status=200, body=json.dumps(document).encode())


class Threaded:
    """The same, awaited."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await asyncio.to_thread(self._network.send, request)


class Forgetful:
    """A store that says fresh, and begins new lives."""

    def __init__(self) -> None:
        self.epoch = "1"
        self.seen: list[str | None] = []

    def insert(self, entry: ReplayEntry, *, now: int) -> Insertion:
        self.seen.append(entry.nonce_epoch)
        return Insertion.FRESH


class Admit(Protocol):
    def __call__(self, all: list[Incoming], now: int | None = None) -> list[Principal | Refused]: ...


def requests_of(network: Network, count: int = 1, *, nonce: str | None = None, at: int | None = None, kid: str = "1") -> list[Incoming]:
    """Requests with a token and a proof each."""
    key = Key.generate()
    token = network.issuer.token(API, key.thumbprint, kid=kid, exp=int(time.time()) + 1_000_000)
    made = [proof(key=key, method="GET", url=f"{API}/x", access_token=token, nonce=nonce, now=at) for _ in range(count)]
    return [
        Incoming(method="GET", target=b"/x", headers=[("Authorization", f"DPoP {token}".encode()), ("DPoP", each.encode())])
        for each in made
    ]


@pytest.fixture(params=["threads", "tasks"])
def admit(request: pytest.FixtureRequest, network: Network) -> Admit:
    options: dict[str, Any] = {"resource": API, "issuers": [ISSUER], "policy": Policy(nonces=False), "store": Forgetful()}

    def tried(call: Callable[[], Principal]) -> Principal | Refused:
        try:
            return call()
        except Refused as refused:
            return refused

    if request.param == "threads":
        server = ResourceServer(transport=network, **options)

        def by_threads(all: list[Incoming], now: int | None = None) -> list[Principal | Refused]:
            with ThreadPoolExecutor(16) as threads:
                return list(threads.map(lambda each: tried(lambda: server.authenticate(each, now=now)), all))

        return by_threads
    loop, awaited = asyncio.new_event_loop(), AsyncResourceServer(transport=Threaded(network), **options)
    request.addfinalizer(loop.close)

    async def one(each: Incoming, now: int | None) -> Principal | Refused:
        try:
            return await awaited.authenticate(each, now=now)
        except Refused as refused:
            return refused

    async def together(all: list[Incoming], now: int | None) -> list[Principal | Refused]:
        return await asyncio.gather(*(one(each, now) for each in all))

    return lambda all, now=None: loop.run_until_complete(together(all, now))


@pytest.fixture
def network() -> Network:
    return Network()


def test_many_requests_fetch_once(admit: Admit, network: Network) -> None:
    assert all(isinstance(each, Principal) for each in admit(requests_of(network, 16)))
    assert len(network.asked) == 2


def test_an_issuer_that_is_down_is_asked_once_in_a_while(admit: Admit, network: Network) -> None:
    network.is_down = True
    told = admit(requests_of(network, 8))
    assert [each.refusal.status for each in told if isinstance(each, Refused)] == [503] * 8
    # Asked once more, and then once more, because the answer was lost.
    assert len(network.asked) == 3


def test_keys_that_cannot_be_fetched_anew_are_used(admit: Admit, network: Network) -> None:
    now = int(time.time())
    assert isinstance(admit(requests_of(network))[0], Principal)
    network.is_down = True
    later = now + 700
    assert isinstance(admit(requests_of(network, at=later), later)[0], Principal)
    assert len(network.asked) > 2
    later = now + 100_000
    (told,) = admit(requests_of(network, at=later), later)
    assert isinstance(told, Refused) and told.refusal.status == 503


def test_a_key_that_nobody_has_is_asked_for_once_in_a_while(admit: Admit, network: Network) -> None:
    now = int(time.time())
    assert isinstance(admit(requests_of(network), now)[0], Principal)
    fetched = network.asked.count(f"{ISSUER}/jwks")
    assert fetched == 1
    for later, fetched in [(1, 1), (11, 2), (12, 2), (20, 2), (22, 3)]:
        told = admit(requests_of(network, 8, at=now + later, kid="nobody's"), now + later)
        assert {each.reason for each in told if isinstance(each, Refused)} == {"token_key_unknown"} and len(told) == 8
        assert network.asked.count(f"{ISSUER}/jwks") == fetched


def test_nonces_are_of_the_stores_present_life(network: Network) -> None:
    store = Forgetful()
    server = ResourceServer(resource=API, issuers=[ISSUER], transport=network, store=store)

    def nonce() -> str:
        with pytest.raises(Refused) as refused:
            server.authenticate(requests_of(network)[0])
        return dict(refused.value.refusal.headers)["DPoP-Nonce"]

    server.authenticate(requests_of(network, nonce=nonce())[0])
    store.epoch = "2"
    server.authenticate(requests_of(network, nonce=nonce())[0])
    assert store.seen == ["1", "2"]
