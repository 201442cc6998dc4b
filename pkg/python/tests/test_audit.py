"""Audit records and counters of servers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from typing import Any

import pytest

from keybound import Audit, AuthorizationServer, Grant, Incoming, Key, MemoryReplayStore, Misuse, Policy, Refused, ResourceServer, proof
from keybound.errors import ProofRejected
from test_servers import API, AS, Network

SECRET = bytes(range(32))
URL = f"{API}/items/7"
WITHOUT_NONCES = Policy(nonces=False)


def old_store() -> MemoryReplayStore:
    return MemoryReplayStore(policy=WITHOUT_NONCES, now=int(time.time()) - 3600)


class Story:
    """A client before a server that writes records."""

    def __init__(self, **options: Any) -> None:
        self.lines: list[str] = []
        self.network, self.key = Network(), Key.generate("ES256")
        audit = Audit(key=SECRET, to=self.lines.append)
        given: dict[str, Any] = {"resource": API, "issuers": [AS], "policy": WITHOUT_NONCES, "store": old_store(), "audit": audit, **options}
        self.server = ResourceServer(transport=self.network, **given)
        self.token = self.network.issuer.token(API, self.key.thumbprint, jti="t1")

    def ask(self, made: str) -> None:
        headers = [("Authorization", f"DPoP {self.token}".encode()), ("DPoP", made.encode())]
        self.server.authenticate(Incoming(method="GET", url=URL, headers=headers, route="/items/{id}"))

    def proof(self, key: Key | None = None) -> str:
        return proof(method="GET", url=URL, key=key or self.key, access_token=self.token)


def test_a_record_of_each_decision_goes_to_the_log_and_to_the_function(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keybound.audit")
    story = Story()
    made = story.proof()
    story.ask(made)
    for refused in (made, story.proof(Key.generate("ES256")), "a.b.c"):
        with pytest.raises(Refused):
            story.ask(refused)
    records = [json.loads(line) for line in story.lines]
    assert [record["reason"] for record in records] == [None, "replayed", "binding_mismatch", "base64_non_canonical"]
    named = base64.urlsafe_b64encode(hmac.digest(SECRET, b"t1", hashlib.sha256)).decode().rstrip("=")
    for record, thumbprint, token in zip(records, [story.key.thumbprint] * 2 + [None] * 2, [named] * 3 + [None], strict=True):
        assert (record["thumbprint"], record["token"], record["route"]) == (thumbprint, token, "/items/{id}")
        assert record["latency_us"] >= 0 and record["what"] == "admission"
    assert [message for name, _, message in caplog.record_tuples if name == "keybound.audit"] == story.lines
    for secret in (story.token, made, "alice", "t1\"", "/items/7"):
        assert secret not in "".join(story.lines)


def test_counters_are_values() -> None:
    story = Story(audit=None)
    made = story.proof()
    story.ask(made)
    for _ in range(2):
        with pytest.raises(Refused):
            story.ask(made)
    assert story.server.counters() == {
        "keybound_requests_total": [
            {"verdict": "admitted", "reason": "none", "count": 1},
            {"verdict": "refused", "reason": "replayed", "count": 2},
        ],
        "keybound_replays_total": 2,
        "keybound_nonce_challenges_total": [],
        "keybound_audit_dropped_total": 0,
    }
    assert story.lines == [] and not story.server.is_audited


def test_a_function_that_fails_is_no_failure_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    def failing(_: str) -> None:
        raise OSError("no space")

    story = Story(audit=Audit(key=SECRET, to=failing))
    story.ask(story.proof())
    assert story.server.counters()["keybound_audit_dropped_total"] == 1
    assert "no space" in caplog.text


def test_an_authorization_server_records_whose_proof_it_was() -> None:
    lines: list[str] = []
    server = AuthorizationServer(policy=WITHOUT_NONCES, audit=Audit(key=SECRET, to=lines.append))
    store, key, url = old_store(), Key.generate("ES256"), f"{AS}/token"
    made = proof(method="POST", url=url, key=key)
    request: dict[str, Any] = {"method": "POST", "url": url, "proof": made, "client": "public", "grant": Grant(type="client_credentials")}
    server.admit(store=store, **request)
    with pytest.raises(ProofRejected):
        server.admit(store=store, **request)
    records = [json.loads(line) for line in lines]
    assert [(record["what"], record["reason"], record["thumbprint"]) for record in records] == [
        ("grant", None, key.thumbprint),
        ("grant", "replayed", key.thumbprint),
    ]
    assert server.counters()["keybound_replays_total"] == 1


def test_a_key_of_another_kind_is_a_mistake_and_is_not_shown() -> None:
    for wrong in ("text", b"short", bytes(32)):
        with pytest.raises(Misuse) as misuse:
            ResourceServer(resource=API, issuers=[AS], audit=Audit(key=wrong))  # type: ignore[arg-type]
        assert misuse.value.reason == "audit_key"
    with pytest.raises(Misuse):
        ResourceServer(resource=API, issuers=[AS], audit=True)  # type: ignore[arg-type]
    assert "key" not in repr(Audit(key=SECRET))
