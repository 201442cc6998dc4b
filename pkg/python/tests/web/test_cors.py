"""Pages of other origins: preflights are answered by the middleware of every framework, and answers say who may read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from flask import Flask
from loopback import Answer
from protected import Protected, start
from token_issuer import TokenIssuer

from keybound import Cors, Incoming, Misuse, Refused, ResourceServer
from keybound.fastapi import protect
from keybound.flask import Keybound

APP = "https://app.example.com"
ORIGIN, METHOD = ("Origin", APP), ("Access-Control-Request-Method", "PUT")


@pytest.fixture(scope="module", params=["starlette-h11", "fastapi", "flask-werkzeug", "django-gunicorn", "django-uvicorn"])
def crossed(request: pytest.FixtureRequest, issuer: TokenIssuer) -> Iterator[Protected]:
    with ExitStack() as stack:
        yield start(stack, request.param, issuer, CORS=APP)


def listed(answer: Answer, field: str) -> list[str]:
    return [element.strip() for value in answer.all(field) for element in value.split(",")]


@pytest.mark.parametrize("path", ["/api/items", "/health", "/nowhere"])
def test_a_preflight_is_answered_on_every_path(crossed: Protected, path: str) -> None:
    answer = crossed.send(path, ORIGIN, METHOD, method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.one("access-control-allow-origin") == APP
    assert "DPoP" in answer.one("access-control-allow-headers") and "PUT" in answer.one("access-control-allow-methods")
    assert not answer.all("access-control-allow-credentials")
    other = crossed.send(path, ("Origin", "https://evil.example"), METHOD, method="OPTIONS")
    assert (other.status, other.all("access-control-allow-origin")) == (403, [])


def test_what_is_no_preflight_needs_a_token(crossed: Protected) -> None:
    for fields in ((), (ORIGIN,), (METHOD,)):
        assert crossed.send("/api/items", *fields, method="OPTIONS").status == 401, fields
    assert crossed.send("/api/items", ORIGIN, METHOD).status == 401
    twice = crossed.send("/api/items", ORIGIN, ORIGIN, METHOD, method="OPTIONS")
    # Servers of WSGI join both to one value, which is not an origin that may call.
    assert twice.status in (401, 403) and not twice.all("access-control-allow-origin")


def test_every_answer_says_who_may_read_it(crossed: Protected) -> None:
    crossed.call("/api/items")
    token = crossed.token()
    signed = (("Authorization", f"DPoP {token}"), ("DPoP", crossed.proof("/api/items", token)))
    write = crossed.token()
    lacking = (("Authorization", f"DPoP {write}"), ("DPoP", crossed.proof("/api/write", write)))
    for path, fields, status in (
        ("/api/items", signed, 200),
        ("/api/write", lacking, 403),
        ("/api/items", (), 401),
        ("/health", (), 200),
        ("/api/../items", (), 400),
    ):
        answer = crossed.send(path, ORIGIN, *fields)
        assert (answer.status, answer.all("access-control-allow-origin")) == (status, [APP]), (path, answer)
        assert "Origin" in listed(answer, "vary")
        for field in ("WWW-Authenticate", "DPoP-Nonce", "Link"):
            assert listed(answer, "access-control-expose-headers").count(field) == 1, (path, field)
        elsewhere = crossed.send(path, ("Origin", "https://evil.example"))
        assert not elsewhere.all("access-control-allow-origin"), path


def exposing_flask(cors: Cors) -> Flask:
    app = Flask(__name__)
    Keybound(app, **OPTIONS, public=["/open"], cors=cors)
    app.add_url_rule("/open", view_func=lambda: ("open", EXPOSED))
    return app


def exposing_fastapi(cors: Cors) -> FastAPI:
    app = FastAPI()
    protect(app, **OPTIONS, public=["/open"], cors=cors)
    app.get("/open")(lambda: Response("open", headers=EXPOSED))
    return app


EXPOSED = {"Access-Control-Expose-Headers": "X-Own, dpop-nonce", "Vary": "Accept", "Access-Control-Allow-Origin": "https://other.example"}


def test_what_a_view_exposes_stays_exposed() -> None:
    cors = Cors(origins=[APP])
    for answered in (
        exposing_flask(cors).test_client().get("/open", headers={"Origin": APP}).headers.items(),
        TestClient(exposing_fastapi(cors)).get("/open", headers={"Origin": APP}).headers.multi_items(),
    ):
        fields = [(name.lower(), value) for name, value in answered if name.lower() in {known.lower() for known in EXPOSED}]
        assert sorted(fields) == [
            ("access-control-allow-origin", APP),
            ("access-control-expose-headers", "X-Own, dpop-nonce, WWW-Authenticate, Date"),
            ("vary", "Accept, Origin"),
        ]


def test_without_the_option_nothing_is_answered(issuer: TokenIssuer) -> None:
    with ExitStack() as stack:
        answer = start(stack, "flask-werkzeug", issuer).send("/api/items", ORIGIN, METHOD, method="OPTIONS")
    assert (answer.status, answer.all("access-control-allow-origin")) == (401, [])


OPTIONS = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"]}


def test_a_server_without_a_framework_answers_by_its_refusal() -> None:
    server = ResourceServer(**OPTIONS, cors=Cors(origins=(APP,)))
    fields = [(name, value.encode()) for name, value in (ORIGIN, METHOD)]
    with pytest.raises(Refused) as preflight:
        server.authenticate(Incoming(method="OPTIONS", target=b"/items", headers=fields))
    assert (preflight.value.refusal.status, preflight.value.reason) == (204, "preflight")
    with pytest.raises(Refused) as refused:
        server.authenticate(Incoming(method="GET", target=b"/items", headers=fields))
    assert ("Access-Control-Allow-Origin", APP) in refused.value.refusal.headers
    assert server.counters()["keybound_requests_total"][0]["count"] == 1


@pytest.mark.parametrize(
    ("cors", "told"),
    [
        ({"origins": ["https://app.example.com/"]}, "without a path or slash"),
        ({"origins": ["https://*.example.com"]}, "list each"),
        ({"origins": ["*", APP]}, "alone"),
        ({"origins": []}, "leave cors out"),
        ({"origins": APP}, "origins="),
        ({"origins": [APP], "max_age": 86_401}, "86,400"),
    ],
)
def test_an_origin_that_no_browser_sends_is_misuse(cors: dict[str, object], told: str) -> None:
    with pytest.raises(Misuse, match=told.replace("*", r"\*")):
        ResourceServer(**OPTIONS, cors=Cors(**cors))
