"""Intents at a resource: their tokens open nothing else, and carry out one request once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keybound import Incoming, Insertion, Intent, Key, MemoryReplayStore, Misuse, Refused, request_detail
from test_servers import API, AS, Network, both, fields, made

BODY = b"pay 10"
PAY = {"method": "POST", "url": f"{API}/pay", "body": BODY}
DETAILS = [request_detail("POST", f"{API}/pay", body=BODY)]


def admitted(server: Any, token: str, key: Key, path: str, method: str = "POST") -> Any:
    headers = fields(token, key, method=method, path=path)
    return server.authenticate(Incoming(method=method, target=path.encode(), headers=headers))


def carried_out(principal: Any, request: dict[str, Any]) -> Any:
    outcome = principal.carry_out(**request)
    return asyncio.run(outcome) if hasattr(outcome, "__await__") else outcome


@both
def test_an_intents_token_opens_no_other_endpoint(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network, intents_at=["/pay"])
    token = network.issuer.token(API, key.thumbprint, "read write admin", authorization_details=DETAILS)
    for _ in range(3):
        for path in ("/items", "/", "/pay/1"):
            with pytest.raises(Refused) as told:
                admitted(server, token, key, path)
            assert (told.value.reason, told.value.refusal.status) == ("intent_elsewhere", 403)
    assert admitted(server, token, key, "/pay").intent().details == DETAILS


@both
def test_an_introspected_token_with_details_opens_no_other_endpoint(kind: str) -> None:
    from keybound import Introspection

    network, key = Network(), Key.generate()
    told = {"active": True, "iss": AS, "sub": "bob", "aud": API, "exp": 9_000_000_000, "cnf": {"jkt": key.thumbprint}}
    network.token = {**told, "authorization_details": [{"type": "payment"}]}
    asked = Introspection(url=f"{AS}/introspect", client_id="api", client_secret="secret")
    with pytest.raises(Refused) as refused:
        admitted(made(kind, network, introspection=asked), "opaque", key, "/items")
    assert refused.value.reason == "intent_elsewhere"


@both
def test_an_intent_is_carried_out_once_as_it_was_agreed(kind: str) -> None:
    network, key = Network(), Key.generate()
    server = made(kind, network, intents_at=["/pay"])
    token = network.issuer.token(API, key.thumbprint, "", authorization_details=DETAILS)
    for other in ({"body": b"pay 1000"}, {"url": f"{API}/pay?to=mallory"}, {"method": "PUT"}):
        with pytest.raises(Refused) as told:
            carried_out(admitted(server, token, key, "/pay"), {**PAY, **other})
        assert (told.value.reason, told.value.refusal.status) == ("intent_no_match", 403)
    assert isinstance(carried_out(admitted(server, token, key, "/pay"), PAY), Intent)
    with pytest.raises(Refused) as again:
        carried_out(admitted(server, token, key, "/pay"), PAY)
    assert (again.value.reason, again.value.refusal.status) == ("intent_used", 403)


def test_a_store_that_cannot_tell_refuses() -> None:
    class Failing:
        """Knows the proof, and is out of reach when the token is to be used up."""

        epoch = "1"
        asked = 0

        def insert(self, entry: Any, *, now: int) -> Insertion:
            self.asked += 1
            if self.asked > 1:
                raise OSError("unreachable")
            return Insertion.FRESH

    network, key = Network(), Key.generate()
    server = made("blocking", network, intents_at=["/pay"], store=Failing())
    token = network.issuer.token(API, key.thumbprint, "", authorization_details=DETAILS)
    principal = admitted(server, token, key, "/pay")
    with pytest.raises(AttributeError):
        server.store = MemoryReplayStore()
    with pytest.raises(Refused) as told:
        principal.carry_out(**PAY)
    assert told.value.refusal.status == 503


def test_paths_of_intents_are_paths() -> None:
    for wrong in ("pay", "/pay?x=1", "/a/../b", ""):
        with pytest.raises(Misuse):
            made("blocking", Network(), intents_at=[wrong])
