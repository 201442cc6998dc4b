"""Limits by address, key and client, and the breaker around a store of the program's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from keybound import (
    AuthorizationServer,
    Breaker,
    Grant,
    Incoming,
    Inserted,
    Insertion,
    Key,
    Limit,
    Misuse,
    Policy,
    ProofRejected,
    Proxies,
    Refused,
    ReplayEntry,
    ResourceServer,
    StoreUnavailable,
    proof,
)
from test_servers import API, AS, Network, both, fields, made

KEY = Key.generate()
NOW = 0


@pytest.fixture(autouse=True)
def _clock() -> None:
    """Proofs are made by the real clock, and the whole suite takes longer than they may be old."""
    global NOW
    NOW = int(time.time())


def arriving(headers: list[tuple[str, bytes]], peer: str | None = "192.0.2.1") -> Incoming:
    return Incoming(method="GET", target=b"/items", headers=headers, peer=peer)


def refused(server: Any, incoming: Incoming, later: int = 0) -> tuple[int, str]:
    with pytest.raises(Refused) as told:
        server.authenticate(incoming, now=NOW + later)
    refusal = told.value.refusal
    assert (refusal.status == 429) == ("Retry-After" in dict(refusal.headers) and refusal.status != 503)
    return refusal.status, refusal.reason


@both
def test_an_address_is_limited_whatever_it_sends(kind: str) -> None:
    network = Network()
    server = made(kind, network, limit_addresses=Limit(rate=1, burst=2))
    nothing = arriving([])
    assert [refused(server, nothing) for _ in range(3)] == [(401, "credentials_missing")] * 2 + [(429, "rate_limited")]
    good = fields(network.issuer.token(API, KEY.thumbprint), KEY)
    assert refused(server, arriving(good)) == (429, "rate_limited")
    assert server.authenticate(arriving(good), now=NOW + 1).subject == "alice"
    assert refused(server, arriving([], "192.0.2.2")) == (401, "credentials_missing")


def test_limits_go_by_a_clock_that_cannot_be_set() -> None:
    server = made("blocking", Network(), limit_addresses=Limit(rate=1, burst=1))
    reasons = []
    for _ in range(2):
        with pytest.raises(Refused) as told:
            server.authenticate(arriving([]))
        reasons.append(told.value.reason)
    assert reasons == ["credentials_missing", "rate_limited"]


def test_behind_a_proxy_the_address_is_the_one_it_names() -> None:
    hidden = Proxies(addresses=("10.0.0.1",), family="x_forwarded")
    with pytest.raises(Misuse, match="client_addresses"):
        made("blocking", Network(), limit_addresses=Limit(1, 1), proxies=hidden)
    proxies = Proxies(addresses=("10.0.0.1",), family="x_forwarded", client_addresses=True)
    server = made("blocking", Network(), limit_addresses=Limit(1, 1), proxies=proxies)
    host = [("X-Forwarded-Proto", b"https"), ("X-Forwarded-Host", b"api.example.com")]
    seen = [
        refused(server, arriving([*host, ("X-Forwarded-For", address)], "10.0.0.1"))[0]
        for address in (b"192.0.2.1", b"192.0.2.1", b"192.0.2.2", b"6.6.6.6, 192.0.2.2")
    ]
    assert seen == [401, 429, 401, 429]


@both
def test_copies_of_a_request_are_not_charged_to_its_key(kind: str) -> None:
    network = Network()
    server = made(kind, network, limit_keys=Limit(rate=1, burst=2))
    token = network.issuer.token(API, KEY.thumbprint)
    seen = fields(token, KEY)
    server.authenticate(arriving(seen), now=NOW)
    assert {refused(server, arriving(seen)) for _ in range(5)} == {(401, "replayed")}
    server.authenticate(arriving(fields(token, KEY)), now=NOW)
    assert refused(server, arriving(fields(token, KEY))) == (429, "rate_limited")


def test_a_client_is_limited_whatever_its_keys() -> None:
    network, other = Network(), Key.generate()
    server = made("blocking", network, limit_clients=Limit(rate=1, burst=1))
    server.authenticate(arriving(fields(network.issuer.token(API, KEY.thumbprint), KEY)), now=NOW)
    theirs = fields(network.issuer.token(API, other.thumbprint), other)
    assert refused(server, arriving(theirs)) == (429, "rate_limited")


class Sick:
    """A store that fails until it is well."""

    epoch = "1"
    asked = 0
    is_well = False

    def insert(self, entry: ReplayEntry, *, now: int) -> Inserted:
        self.asked += 1
        if not self.is_well:
            raise ConnectionError("out of order")
        return Inserted(Insertion.FRESH, self.epoch)


def test_a_store_that_fails_is_left_alone() -> None:
    network, store = Network(), Sick()
    server = made("blocking", network, store=store, breaker=Breaker(faults=2, pause=10))
    token = network.issuer.token(API, KEY.thumbprint)
    for _ in range(5):
        assert refused(server, arriving(fields(token, KEY))) == (503, "store_unavailable")
    assert store.asked == 2
    store.is_well = True
    for _ in range(2):
        server.authenticate(arriving(fields(token, KEY)), now=NOW + 10)
    assert store.asked == 4


def test_a_token_endpoint_has_limits_and_a_breaker() -> None:
    server = AuthorizationServer(limit_addresses=Limit(1, 4), limit_keys=Limit(1, 1), breaker=Breaker(faults=1))
    store = Sick()
    store.is_well = True
    url = f"{AS}/token"

    def ask(later: int = 0, peer: str = "192.0.2.1", bound_to: str | None = KEY.thumbprint) -> None:
        grant = Grant(type="refresh_token", bound_to=bound_to)
        sent = proof(key=KEY, method="POST", url=url)
        server.admit(store=store, method="POST", url=url, proof=sent, client="public", grant=grant, peer=peer, now=NOW + later)

    def limited(**more: Any) -> None:
        with pytest.raises(ProofRejected) as told:
            ask(**more)
        assert told.value.reason == "rate_limited"
        assert told.value.refusal is not None and told.value.refusal.status == 429

    ask()
    limited()
    ask(bound_to=None)
    ask(bound_to=None)
    limited(bound_to=None)
    ask(peer="192.0.2.2", bound_to=None)
    store.is_well = False
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            ask(peer="192.0.2.2", bound_to=None)
    assert store.asked == 5


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: Limit(rate=1.5, burst=1), "rate"),  # type: ignore[arg-type]
        (lambda: Limit(rate=1, burst=True), "burst"),
        (lambda: Limit(rate=1, burst=None), "burst"),  # type: ignore[arg-type]
        (lambda: Breaker(faults="5"), "faults"),  # type: ignore[arg-type]
        (lambda: Proxies(addresses=(), family="forwarded", client_addresses="yes"), "client_addresses"),  # type: ignore[arg-type]
        (lambda: made("blocking", Network(), limit_keys=(1, 2)), "limit_keys"),
        (lambda: made("awaited", Network(), limit_clients=Breaker()), "limit_clients"),
        (lambda: made("blocking", Network(), breaker=True), "breaker"),
        (lambda: made("blocking", Network(), limit_keys=Limit(rate=0, burst=1)), "rate"),
        (lambda: made("blocking", Network(), limit_keys=Limit(rate=1, burst=1_000_001)), "burst"),
        (lambda: made("blocking", Network(), breaker=Breaker(pause=301)), "pause"),
        (lambda: AuthorizationServer(limit_keys=10), "limit_keys"),  # type: ignore[arg-type]
        (lambda: ResourceServer(resource=API, issuers=[AS], policy=Policy(), limit_key=Limit(1, 1)), "limit_keys"),  # type: ignore[call-arg]
    ],
)
def test_mistakes_are_told(wrong: Callable[[], object], named: str) -> None:
    with pytest.raises(Misuse) as told:
        wrong()
    assert named in told.value.detail
