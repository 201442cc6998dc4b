"""Refusals are logged: reason and path at INFO, what differed at DEBUG, and never a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from flask import Flask
from starlette.testclient import TestClient as StarletteClient

from keybound import Incoming, Policy, Refused, ResourceServer, proof
from keybound.fastapi import Principal, protect, require
from keybound.flask import Keybound
from keybound.flask import require as flask_require
from keybound.testing import TestClient, TestIssuer, TestToken

RESOURCE = "https://api.example.com"
OPTIONS: dict[str, Any] = {"resource": RESOURCE, "issuers": ["https://as.example.com"], "policy": Policy(nonces=False)}


@pytest.fixture
def issuer(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[ResourceServer, TestIssuer]]:
    caplog.set_level(logging.DEBUG, "keybound")
    server = ResourceServer(**OPTIONS)
    with TestIssuer.of(server).trusted_by(server) as trusted:
        yield server, trusted


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records if record.name == "keybound"]
    caplog.clear()
    return said


def ask(server: ResourceServer, client: TestClient, target: str, *, proved: str | None = None, method: str = "GET") -> None:
    fields = client.sign("GET", proved or target)
    headers = [(name, value.encode()) for name, value in fields.items()]
    with pytest.raises(Refused):
        server.authenticate(Incoming(method=method, target=target.encode(), headers=headers))


def test_what_differed_is_told_and_no_secret(issuer: tuple[ResourceServer, TestIssuer], caplog: pytest.LogCaptureFixture) -> None:
    server, trusted = issuer
    alice = trusted.client(TestToken("alice"))
    ask(server, alice, "/b?code=s3cret", proved="/a?token=s3cret")
    refused, differed = lines(caplog)
    assert refused == "refused GET /b with 401: target_mismatch"
    assert f"{RESOURCE}/b" in differed and f"{RESOURCE}/a" in differed
    ask(server, alice, "/a", method="POST")
    assert lines(caplog)[0] == "refused POST /a with 401: method_mismatch"
    ask(server, alice.thief(), "/a")
    refused, differed = lines(caplog)
    assert refused == "refused GET /a with 401: binding_mismatch" and "thumbprint" in differed
    for token, reason, expected, found in (
        (TestToken("eve", audience="https://other.example"), "audience_mismatch", f"aud {RESOURCE}", 'aud "https://other.example"'),
        (TestToken("eve", claims={"iss": "https://x.example\n"}), "issuer_mismatch", "iss https://as.example.com", "x.example"),
        (TestToken("eve", claims={"exp": 1_000_000_000}), "token_expired", "whose time is not over", "exp 1000000000, and it is 1700000000"),
    ):
        ask(server, trusted.client(token), "/a")
        refused, differed = lines(caplog)
        assert refused == f"refused GET /a with 401: {reason}" and expected in differed and found in differed and "\n" not in differed


def test_no_token_no_proof_and_no_query_is_ever_logged(issuer: tuple[ResourceServer, TestIssuer], caplog: pytest.LogCaptureFixture) -> None:
    server, trusted = issuer
    alice = trusted.client(TestToken("alice"))
    fields = alice.sign("GET", "/items")
    for headers in (
        [("Authorization", f"Bearer {alice.token}")],
        [("Authorization", f"DPoP {alice.token}")],
        [("Authorization", f"DPoP {alice.token}"), ("DPoP", fields["DPoP"][:-4] + "AAAA")],
        [("Authorization", f"DPoP {alice.token}x"), ("DPoP", fields["DPoP"])],
        [("Authorization", f"DPoP {alice.token}"), ("DPoP", proof(key=trusted._key, method="GET", url=f"{RESOURCE}/items", access_token="other"))],
        [("Authorization", "Basic s3cret"), ("DPoP", "s3cret")],
    ):
        with pytest.raises(Refused):
            server.authenticate(Incoming(method="GET", url=f"{RESOURCE}/items?s3cret", headers=[(name, value.encode()) for name, value in headers]))
        said = "\n".join(lines(caplog))
        assert said.startswith("refused GET "), said
        token = str(alice.token)
        for secret in ("s3cret", token, token[-20:], fields["DPoP"][-40:], "eyJ"):
            assert secret not in said, said


def test_a_path_cannot_write_lines_of_its_own(issuer: tuple[ResourceServer, TestIssuer], caplog: pytest.LogCaptureFixture) -> None:
    server, _ = issuer
    with pytest.raises(Refused):
        server.authenticate(Incoming(method="GET\n", target=b"/a\r\nrefused \xff" + b"x" * 999, headers=[]))
    (said,) = lines(caplog)
    assert "\n" not in said and "\r" not in said and said.isascii() and len(said) < 400


def test_the_middleware_logs_what_views_refuse(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keybound")
    app = FastAPI()
    protect(app, **OPTIONS, mount_path="")

    @app.get("/items")
    def items(principal: Annotated[Principal, Depends(require("write"))]) -> str:
        return "written"

    with TestIssuer.of(app).trusted_by(app) as trusted:
        trusted.client(TestToken("alice")).starlette(app).get("/items?s3cret")
        assert lines(caplog) == ["refused GET /items with 403: insufficient_scope"]
        trusted.stranger().starlette(app).get("/items")
        assert lines(caplog) == ["refused GET /items with 401: credentials_missing"]
    StarletteClient(app, root_path="/elsewhere").get("/elsewhere/items")
    assert lines(caplog)[-1] == "refused GET /elsewhere/items with 400: mount_path_mismatch"
    by_route = FastAPI()
    protect(by_route, **OPTIONS, by_route=True)
    by_route.get("/items")(items)
    with TestIssuer.of(by_route).trusted_by(by_route) as trusted:
        trusted.stranger().starlette(by_route).get("/items")
        assert lines(caplog) == ["refused GET /items with 401: credentials_missing"], "once, although the route asks for the principal"
    flask = Flask(__name__)
    Keybound(flask, **OPTIONS)
    flask.add_url_rule("/items", view_func=flask_require("write")(lambda: "written"))
    with TestIssuer.of(flask).trusted_by(flask) as trusted:
        trusted.client(TestToken("alice")).flask(flask).get("/items?s3cret")
        assert lines(caplog) == ["refused GET /items with 403: insufficient_scope"]


def test_nothing_is_explained_where_no_one_reads_it(issuer: tuple[ResourceServer, TestIssuer], caplog: pytest.LogCaptureFixture) -> None:
    server, trusted = issuer
    caplog.set_level(logging.WARNING, "keybound")
    ask(server, trusted.client(TestToken("alice")), "/b", proved="/a")
    assert lines(caplog) == []
