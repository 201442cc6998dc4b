"""Resource servers over a transport of the test's own."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flow_server import reply
from keybound import (
    AsyncResourceServer,
    HttpRequest,
    HttpResponse,
    Incoming,
    Insertion,
    Introspection,
    Key,
    MemoryReplayStore,
    Misuse,
    Nonces,
    Policy,
    Principal,
    Refused,
    ResourceServer,
    proof,
)
from token_issuer import TokenIssuer

API = "https://api.example.com"
AS = "https://as.example.com"


class Network:
    """Answers for the authorization server, and counts what it was asked."""

    def __init__(self) -> None:
        self.issuer = TokenIssuer(AS)
        self.asked: list[str] = []
        self.token: dict[str, Any] = {"active": False}
        self.body: bytes | None = None
        self.fail: Exception | None = None
        self.delay = 0.0
        self.last: HttpRequest | None = None

    def send(self, request: HttpRequest) -> HttpResponse:
        """A transport that blocks."""
        self.asked.append(request.url.removeprefix(AS))
        self.last = request
        time.sleep(self.delay)
        if self.fail is not None:
            raise self.fail
        if self.body is not None:
            return HttpResponse(status=200, body=self.body)
        documents = {
            f"{AS}/.well-known/oauth-authorization-server": {"issuer": AS, "jwks_uri": f"{AS}/jwks"},
            f"{AS}/jwks": self.issuer.keys,
            f"{AS}/introspect": self.token,
        }
        return reply(200, documents[request.url]) if request.url in documents else reply(404)


class Awaited:
    """The same for those who await it."""

    def __init__(self, network: Network) -> None:
        self.network = network

    async def send(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(self.network.delay)
        return self.network.send(request)


Authenticate = Callable[..., Principal]


def made(kind: str, network: Network, **options: Any) -> Any:
    """A server of either kind, whose `authenticate` blocks."""
    policy = Policy(nonces=False)
    options = {
        "resource": API,
        "policy": policy,
        "store": MemoryReplayStore(policy=policy, now=int(time.time()) - 3600),
        **({} if "introspection" in options else {"issuers": [AS]}),
        **options,
    }
    if kind == "blocking":
        return ResourceServer(transport=network, **options)
    server: Any = AsyncResourceServer(transport=Awaited(network), **options)
    awaited = server.authenticate
    server.authenticate = lambda *request, **rest: asyncio.run(awaited(*request, **rest))
    return server


def fields(token: str, key: Key, *, method: str = "GET", path: str = "/items", nonce: str | None = None) -> list[tuple[str, bytes]]:
    text = proof(key=key, method=method, url=API + path, access_token=token, nonce=nonce)
    return [("Authorization", f"DPoP {token}".encode()), ("DPoP", text.encode())]


both = pytest.mark.parametrize("kind", ["blocking", "awaited"])


@both
def test_a_bound_token_is_admitted_once(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network)
    token = network.issuer.token(API, key.thumbprint, "read write")
    sent = fields(token, key)
    principal = server.authenticate(Incoming(method="GET", target=b"/items?page=2", headers=sent))
    assert (principal.subject, principal.client_id, principal.issuer) == ("alice", "app", AS)
    assert principal.scopes == {"read", "write"} and principal.has_scope("read")
    assert principal.thumbprint == key.thumbprint and principal.claims["sub"] == "alice"
    principal.require("read", "write")
    with pytest.raises(Refused) as told:
        principal.require("admin")
    assert told.value.refusal.status == 403 and "insufficient_scope" in dict(told.value.refusal.headers)["WWW-Authenticate"]
    assert principal.revoked().status == 401
    with pytest.raises(Refused) as replayed:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=sent))
    assert (replayed.value.reason, replayed.value.refusal.status) == ("replayed", 401)
    assert network.asked == ["/.well-known/oauth-authorization-server", "/jwks"]
    assert "alice" not in repr(principal) and token not in repr(principal)


@both
def test_what_is_refused(kind: str) -> None:
    network, key, thief = Network(), Key.generate(), Key.generate()
    server = made(kind, network)
    token = network.issuer.token(API, key.thumbprint)
    for headers, reason in [
        ([], "credentials_missing"),
        (fields(token, thief), "binding_mismatch"),
        (fields(token, key, method="PUT"), "method_mismatch"),
        (fields(token, key, path="/others"), "target_mismatch"),
        (fields(token, key)[:1], "proof_missing"),
        ([("Authorization", f"Bearer {token}".encode())], "scheme_not_accepted"),
        (fields(network.issuer.token("https://other.example.com", key.thumbprint), key), "audience_mismatch"),
        (fields(network.issuer.token(API, None), key), "token_unbound"),
        (fields(network.issuer.token(API, key.thumbprint, exp=1), key), "token_expired"),
        (fields(TokenIssuer(AS).token(API, key.thumbprint), key), "token_signature_invalid"),
    ]:
        with pytest.raises(Refused) as told:
            server.authenticate(Incoming(method="GET", target=b"/items", headers=headers))
        assert told.value.reason == reason
        assert told.value.refusal.status in (400, 401) and token not in str(told.value.refusal)
    with pytest.raises(Misuse):
        server.authenticate(Incoming(method="GET", headers=[]))


@both
def test_keys_that_cannot_be_fetched_are_no_reason_to_admit(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network)
    network.fail = ConnectionError("the network is down")
    sent = fields(network.issuer.token(API, key.thumbprint), key)
    with pytest.raises(Refused) as told:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=sent))
    assert told.value.refusal.status == 503
    asked = len(network.asked)
    with pytest.raises(Refused):
        server.authenticate(Incoming(method="GET", target=b"/items", headers=sent))
    assert len(network.asked) == asked, "a server that is down is not asked again at once"
    network.fail = None
    later = int(time.time()) + 11
    assert server.authenticate(Incoming(method="GET", target=b"/items", headers=sent), now=later).subject == "alice"


@both
def test_a_store_that_fails_admits_nobody(kind: str) -> None:
    class Broken:
        epoch = "1"

        def insert(self, entry: object, *, now: int) -> Insertion:
            raise ConnectionError("the database is down")

    network, key = Network(), Key.generate()
    server = made(kind, network, store=Broken())
    with pytest.raises(Refused) as told:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=fields(network.issuer.token(API, key.thumbprint), key)))
    assert told.value.refusal.status == 503


def test_threads_and_tasks_fetch_keys_once() -> None:
    keys = [Key.generate() for _ in range(16)]
    network = Network()
    network.delay = 0.05
    requests = [fields(network.issuer.token(API, key.thumbprint), key) for key in keys]
    server = made("blocking", network)
    start = threading.Barrier(16)

    def ask(headers: list[tuple[str, bytes]]) -> str | None:
        start.wait()
        principal: Principal = server.authenticate(Incoming(method="GET", target=b"/items", headers=headers))
        return principal.thumbprint

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, requests)) == [key.thumbprint for key in keys]
    assert network.asked == ["/.well-known/oauth-authorization-server", "/jwks"]

    network.asked.clear()
    policy = Policy(nonces=False)
    store = MemoryReplayStore(policy=policy, now=int(time.time()) - 3600)
    awaited = AsyncResourceServer(transport=Awaited(network), resource=API, issuers=[AS], policy=policy, store=store)

    async def all_at_once() -> list[Any]:
        asked = [asyncio.ensure_future(awaited.authenticate(Incoming(method="GET", target=b"/items", headers=each))) for each in requests]
        await asyncio.sleep(0.02)
        # Whoever goes away takes the keys from nobody.
        asked[0].cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [outcome.thumbprint for outcome in outcomes[1:]] == [key.thumbprint for key in keys[1:]]
    assert network.asked == ["/.well-known/oauth-authorization-server", "/jwks"]


@both
def test_usually_a_nonce_is_asked_for(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network, policy=None, store=None)
    token = network.issuer.token(API, key.thumbprint)
    with pytest.raises(Refused) as told:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=fields(token, key)))
    assert told.value.refusal.error == "use_dpop_nonce"
    nonce = dict(told.value.refusal.headers)["DPoP-Nonce"]
    assert server.authenticate(Incoming(method="GET", target=b"/items", headers=fields(token, key, nonce=nonce))).subject == "alice"


@both
def test_introspection(kind: str) -> None:
    network, key = Network(), Key.generate()
    asks = Introspection(url=f"{AS}/introspect", client_id="the api", client_secret="s&cret")
    server = made(kind, network, introspection=asks)
    now = int(time.time())
    network.token = {"active": True, "sub": "bob", "scope": "read", "aud": API, "exp": now + 60, "cnf": {"jkt": key.thumbprint}}
    principal = server.authenticate(Incoming(method="GET", target=b"/items", headers=fields("opaque-1", key)))
    assert principal.subject == "bob" and principal.scopes == {"read"}
    assert network.last is not None and network.last.body == b"token=opaque-1&token_type_hint=access_token"
    credentials = dict(network.last.headers)["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(credentials) == b"the+api:s%26cret"
    network.token = {"active": False}
    network.asked.clear()
    for _ in range(3):
        with pytest.raises(Refused) as told:
            server.authenticate(Incoming(method="GET", target=b"/items", headers=fields("opaque-2", key)))
        assert told.value.reason == "token_inactive"
    assert network.asked == ["/introspect"], "a denial is remembered for a moment"
    network.fail = TimeoutError()
    with pytest.raises(Refused) as unavailable:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=fields("opaque-3", key)))
    assert unavailable.value.refusal.status == 503


def test_an_outage_is_waited_for_once() -> None:
    network, key = Network(), Key.generate()
    network.delay, network.fail = 0.2, TimeoutError()
    server = made("blocking", network)
    start = threading.Barrier(8)

    def ask(headers: list[tuple[str, bytes]]) -> int:
        start.wait()
        with pytest.raises(Refused) as told:
            server.authenticate(Incoming(method="GET", target=b"/items", headers=headers))
        return told.value.refusal.status

    with ThreadPoolExecutor(8) as pool:
        sent = [fields(network.issuer.token(API, key.thumbprint), key) for _ in range(8)]
        assert list(pool.map(ask, sent)) == [503] * 8
    # The one question was asked again when its answer was lost, and then once more.
    assert network.asked == ["/.well-known/oauth-authorization-server"] * 3


def test_options_and_metadata() -> None:
    server = ResourceServer(resource=f"{API}/v1", issuers=[AS], scopes=["read"], name="Items", documentation=f"{API}/docs")
    document = json.loads(server.metadata())
    assert document["resource"] == f"{API}/v1" and document["authorization_servers"] == [AS]
    assert document["scopes_supported"] == ["read"] and document["dpop_bound_access_tokens_required"] is True
    assert server.metadata_path == "/.well-known/oauth-protected-resource/v1"
    assert server.metadata_url == API + server.metadata_path
    for wrong in ({}, {"issuers": ["http://as.example.com"]}, {"issuers": [AS], "leeway": -1}, {"issuers": [AS], "workers": 2}):
        with pytest.raises(Misuse):
            ResourceServer(resource=API, **wrong)  # type: ignore[arg-type]
    ResourceServer(resource=API, issuers=["http://127.0.0.1:1"], allow_loopback=True)
    # None is as good as nothing.
    assert ResourceServer(resource=API, issuers=[AS], policy=None).policy == Policy()
