"""`keybound.testing`: the tests that users write, for applications of each framework, without sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import django
import httpx
import httpx2
import pytest
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.test import override_settings
from django.urls import path, re_path
from fastapi import Depends, FastAPI
from flask import Flask, g
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from keybound import HttpResponse, Key, Misuse, Policy, Principal, Refused, ResourceServer
from keybound.django import require as django_require
from keybound.flask import Keybound
from keybound.flask import require as flask_require
from keybound.starlette import KeyboundMiddleware, protect, require
from keybound.testing import TestClock, TestIssuer, TestToken, danger_admit
from keybound.testing.fixtures import keybound_clock, keybound_issuer
from keybound.testing.issuer import Published
from keybound.transport import HttpRequest as Fetched

__all__ = ["keybound_clock", "keybound_issuer"]

RESOURCE = "https://api.example.com"
OPTIONS: dict[str, Any] = {"resource": RESOURCE, "issuers": ["https://as.example.com"], "public": ["/health"]}
IssuerOf = Callable[[Any], TestIssuer]
#: Sends a request of a client, and gives status and JSON.
Send = Callable[..., tuple[int, Any]]


def told(principal: Principal) -> dict[str, Any]:
    return {"subject": principal.subject, "client": principal.client_id, "scopes": sorted(principal.scopes)}


def fastapi_application(**options: Any) -> FastAPI:
    app = FastAPI()
    protect(app, **{**OPTIONS, **options})

    @app.get("/items")
    @app.post("/items")
    def items(principal: Annotated[Principal, Depends(require("items:read"))]) -> dict[str, Any]:
        return told(principal)

    @app.get("/files/{rest:path}")
    def file(rest: str, principal: Annotated[Principal, Depends(require())]) -> dict[str, Any]:
        return told(principal)

    return app


def starlette_application(**options: Any) -> Starlette:
    async def items(request: Request) -> JSONResponse:
        return JSONResponse(told(await require("items:read")(request)))

    async def file(request: Request) -> JSONResponse:
        return JSONResponse(told(request.state.principal))

    routes = [Route("/items", items, methods=["GET", "POST"]), Route("/files/{rest:path}", file)]
    return Starlette(routes=routes, middleware=[Middleware(KeyboundMiddleware, **{**OPTIONS, **options})])


def flask_application(**options: Any) -> Flask:
    app = Flask(__name__)
    Keybound(app, **{**OPTIONS, **options})

    @app.route("/items", methods=["GET", "POST"])
    @flask_require("items:read")
    def items() -> dict[str, Any]:
        assert flask_request.method == "GET" or flask_request.get_data() == b"body"
        return told(g.principal)

    @app.get("/files/<path:rest>")
    def file(rest: str) -> dict[str, Any]:
        return told(g.principal)

    return app


@django_require("items:read")
def django_items(request: HttpRequest) -> JsonResponse:
    assert request.method == "GET" or request.body == b"body"
    return JsonResponse(told(request.principal))  # type: ignore[attr-defined]


def django_file(request: HttpRequest, rest: str) -> JsonResponse:
    return JsonResponse(told(request.principal))  # type: ignore[attr-defined]


urlpatterns = [path("items", django_items), re_path(r"^files/(?P<rest>.*)$", django_file)]


@contextlib.contextmanager
def of_django(**options: Any) -> Iterator[Any]:
    if not settings.configured:
        settings.configure()
    if not django.apps.apps.ready:
        django.setup()
    given = {
        "ROOT_URLCONF": __name__, "ALLOWED_HOSTS": ["*"], "MIDDLEWARE": ["keybound.django.KeyboundMiddleware"],
        "KEYBOUND": {**OPTIONS, **options}, "APPEND_SLASH": False,
    }  # fmt: skip
    with override_settings(**given):
        yield settings


def by_starlette(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    answer = client.starlette(app).request(method, target, content=b"body" if method == "POST" else None)
    return answer.status_code, answer.json() if answer.content else None


def by_httpx(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    async def run() -> tuple[int, Any]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), auth=client.httpx(), base_url=RESOURCE) as http:
            answer = await http.request(method, target, content=b"body" if method == "POST" else None)
            return answer.status_code, answer.json() if answer.content else None

    return asyncio.run(run())


def by_httpx2(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    async def run() -> tuple[int, Any]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), auth=client.httpx2(), base_url=RESOURCE) as http:
            answer = await http.request(method, target, content=b"body" if method == "POST" else None)
            return answer.status_code, answer.json() if answer.content else None

    return asyncio.run(run())


def by_flask(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    answer = client.flask(app).open(target, method=method, data=b"body" if method == "POST" else None)
    return answer.status_code, answer.get_json(silent=True)


def by_django(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    answer = client.django().generic(method, target, b"body" if method == "POST" else b"")
    return answer.status_code, answer.json() if answer.content else None


def by_django_async(app: Any, client: Any, method: str, target: str) -> tuple[int, Any]:
    async def run() -> tuple[int, Any]:
        http = client.django_async()
        answer = await (http.post(target, b"body", "text/plain") if method == "POST" else http.get(target))
        return answer.status_code, answer.json() if answer.content else None

    return asyncio.run(run())


@contextlib.contextmanager
def made(make: Callable[..., Any], **options: Any) -> Iterator[Any]:
    yield make(**options)


KINDS: dict[str, tuple[Any, Send]] = {
    "fastapi": (lambda **options: made(fastapi_application, **options), by_starlette),
    "fastapi-httpx": (lambda **options: made(fastapi_application, **options), by_httpx),
    "fastapi-httpx2": (lambda **options: made(fastapi_application, **options), by_httpx2),
    "starlette": (lambda **options: made(starlette_application, **options), by_starlette),
    "flask": (lambda **options: made(flask_application, **options), by_flask),
    "django": (of_django, by_django),
    "django-async": (of_django, by_django_async),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> tuple[Any, Send]:
    return KINDS[request.param]


def test_a_client_is_admitted_and_others_are_not(kind: tuple[Any, Send], keybound_issuer: IssuerOf, keybound_clock: TestClock) -> None:
    opened, send = kind
    with opened() as app:
        issuer = keybound_issuer(app)
        assert (issuer.resource, issuer.name) == (RESOURCE, "https://as.example.com")
        alice = issuer.client(TestToken("alice", scopes=["items:read", "more"], client_id="app"))
        for method, target in (("GET", "/items"), ("GET", "/items?page=2"), ("POST", "/items"), ("GET", "/files/a%2Fb"), ("GET", "/files/a%20b")):
            assert send(app, alice, method, target) == (200, {"subject": "alice", "client": "app", "scopes": ["items:read", "more"]}), target
        assert send(app, issuer.client(TestToken("bob")), "GET", "/items")[0] == 403
        assert send(app, alice.thief(), "GET", "/items")[0] == 401
        assert send(app, issuer.stranger(), "GET", "/items")[0] == 401
        for token in (TestToken("eve", audience="https://other.example.com"), TestToken("eve", bound_to=alice.thumbprint), TestToken("eve", claims={"iss": "x"})):
            assert send(app, issuer.client(token), "GET", "/items")[0] == 401
        forger = TestIssuer(RESOURCE, name=issuer.name, clock=issuer.clock)
        assert send(app, forger.client(TestToken("alice")), "GET", "/items")[0] == 401
        keybound_clock.advance(3600)
        assert send(app, alice, "GET", "/items")[0] == 401


def test_a_proof_is_good_once_and_needs_no_nonce_where_none_are_issued(kind: tuple[Any, Send], keybound_issuer: IssuerOf) -> None:
    opened, send = kind
    with opened(policy=Policy(nonces=False)) as app:
        issuer = keybound_issuer(app)
        alice = issuer.client(TestToken("alice", scopes=["items:read"]))
        fields = alice.sign("GET", "/items")
        alice.sign = lambda method, url: fields  # type: ignore[method-assign]
        # The first request of a store that has just begun is not refused: no earlier process served the resource.
        assert [send(app, alice, "GET", "/items")[0] for _ in range(2)] == [200, 401]


def test_everyone_is_admitted_where_a_test_says_so(kind: tuple[Any, Send]) -> None:
    opened, send = kind
    with opened() as app:
        issuer = TestIssuer.of(app)
        alice = issuer.principal(TestToken("alice", scopes=["items:read"]))
        stranger = TestIssuer("https://elsewhere.example").client(TestToken("eve"))
        with danger_admit(app, alice):
            assert send(app, stranger, "GET", "/items") == (200, {"subject": "alice", "client": "test-client", "scopes": ["items:read"]})
        with danger_admit(app, issuer.principal(TestToken("bob"))):
            assert send(app, stranger, "GET", "/items")[0] == 403, "scopes still count"


class Unreachable:
    """A network without the issuer, and a clock: what an application has before a test lends it others."""

    asked = 0

    def clock(self) -> float:
        return 1_600_000_000

    def send(self, request: Fetched) -> HttpResponse:
        self.asked += 1
        return HttpResponse(status=404, headers=(), body=b"")


class UnreachableLater(Unreachable):
    async def send(self, request: Fetched) -> HttpResponse:  # type: ignore[override]
        return super().send(request)


@pytest.mark.parametrize("name", ["fastapi", "flask", "django"])
def test_after_the_block_an_application_is_as_it_was(name: str) -> None:
    opened, send = KINDS[name]
    own = UnreachableLater() if name == "fastapi" else Unreachable()
    with opened(transport=own, clock=own.clock, policy=Policy(nonces=False), danger_first_start=True) as app:
        before = TestIssuer.of(app, clock=TestClock(1_600_000_000)).client(TestToken("alice", scopes=["items:read"]))
        issuer, other = TestIssuer.of(app), TestIssuer.of(app, clock=TestClock(1_800_000_000))
        alice, bob = (each.client(TestToken("alice", scopes=["items:read"])) for each in (issuer, other))
        for _ in range(2):
            with issuer.trusted_by(app):
                assert send(app, alice, "GET", "/items")[0] == 200
                with other.trusted_by(app):
                    assert send(app, bob, "GET", "/items")[0] == 200
                    assert send(app, alice, "GET", "/items")[0] == 401
                assert send(app, alice, "GET", "/items")[0] == 200, "the issuer, its keys and its clock are those of the outer block"
                assert send(app, bob, "GET", "/items")[0] == 401
        assert own.asked == 0
        assert send(app, before, "GET", "/items")[0] == 503
        assert own.asked > 0, "the application's own network is asked again"


@pytest.mark.parametrize("name", list(KINDS))
def test_after_the_block_no_one_is_admitted_by_it(name: str) -> None:
    opened, send = KINDS[name]
    with opened() as app:
        issuer = TestIssuer.of(app)
        alice, bob = (issuer.principal(TestToken(subject, scopes=["items:read"])) for subject in ("alice", "bob"))
        stranger = issuer.stranger()
        with danger_admit(app, alice):
            with danger_admit(app, bob):
                assert send(app, stranger, "GET", "/items")[1]["subject"] == "bob"
            assert send(app, stranger, "GET", "/items")[1]["subject"] == "alice"
        assert send(app, stranger, "GET", "/items")[0] == 401


def test_a_principal_made_by_hand_has_what_the_token_says() -> None:
    issuer = TestIssuer(RESOURCE)
    reader = issuer.principal(TestToken("alice", client_id="app", scopes=["items:read"], claims={"tenant": "t1"}))
    assert (told(reader), reader.claims["tenant"], reader.issuer) == ({"subject": "alice", "client": "app", "scopes": ["items:read"]}, "t1", issuer.name)
    assert reader.expires_at == issuer.clock() + 300 and reader.thumbprint
    assert issuer.principal(TestToken("alice", lifetime=60)).expires_at == issuer.clock() + 60
    reader.require("items:read")
    with pytest.raises(Refused):
        reader.require("items:write")
    details = [{"type": "payment"}]
    assert issuer.principal(TestToken("alice", claims={"authorization_details": details})).authorization_details == details
    for token in (TestToken("alice", lifetime=0, claims={"exp": 1}), TestToken("alice", audience="https://other.example.com"), TestToken("alice", bound_to=Key.generate().thumbprint)):
        with pytest.raises(Refused):
            issuer.principal(token)


def test_the_mount_points_and_prefixes_of_an_application() -> None:
    sub = starlette_application(mount_path="/sub")
    outer = Starlette(routes=[Mount("/sub", app=sub)])
    for app, target, options in (
        (outer, "/sub/items", {}),
        (fastapi_application(path_prefix="/v1"), "/items", {}),
        (fastapi_application(mount_path="/app", path_prefix="/app"), "/items", {"root_path": "/app"}),
    ):
        issuer = TestIssuer.of(app)
        with issuer.trusted_by(app):
            http = issuer.client(TestToken("alice", scopes=["items:read"])).starlette(app, **options)
            assert http.get(target).status_code == 200, target
    app = flask_application(mount_path="/app")
    app.config["APPLICATION_ROOT"] = "/app"
    issuer = TestIssuer.of(app)
    with issuer.trusted_by(app):
        assert by_flask(app, issuer.client(TestToken("alice", scopes=["items:read"])), "GET", "/items")[0] == 200
    with of_django(mount_path="/app") as given, override_settings(FORCE_SCRIPT_NAME="/app"):
        issuer = TestIssuer.of(given)
        with issuer.trusted_by(given):
            for send in (by_django, by_django_async):
                assert send(given, issuer.client(TestToken("alice", scopes=["items:read"])), "GET", "/items")[0] == 200


def test_a_server_without_a_framework_and_its_clock() -> None:
    clock = TestClock(1_800_000_000)
    server = ResourceServer(**{name: value for name, value in OPTIONS.items() if name != "public"}, clock=clock)
    with TestIssuer.of(server, clock=clock).trusted_by(server) as issuer:
        assert issuer.principal(TestToken("alice")).expires_at == 1_800_000_300
        clock.set(1_700_000_000)
        assert issuer.principal(TestToken("alice")).expires_at == 1_700_000_300
    for wrong in (7, "now"):
        with pytest.raises(Misuse, match="clock is a function"):
            ResourceServer(resource=RESOURCE, issuers=["https://as.example.com"], clock=wrong)  # type: ignore[arg-type]


def test_a_stranger_sends_neither_token_nor_proof() -> None:
    assert TestIssuer(RESOURCE).stranger().sign("GET", "/items") == {}


def test_the_network_of_a_test_has_the_issuers_documents_and_no_others() -> None:
    issuer = TestIssuer(RESOURCE, name="https://as.example.com/realms/main")

    def asked(url: str) -> tuple[int, Any]:
        answer = Published(issuer).send(Fetched(method="GET", url=url, headers=(), body=b""))
        return answer.status, json.loads(answer.body)

    assert asked("https://as.example.com/.well-known/oauth-authorization-server/realms/main") == (200, issuer.metadata)
    assert asked("https://as.example.com/realms/main/jwks") == (200, issuer.jwks)
    for url in ("https://as.example.com/jwks", "https://elsewhere.example/realms/main/jwks", "https://elsewhere.example/.well-known/oauth-authorization-server"):
        assert asked(url)[0] == 404, url


def test_what_is_not_protected_says_so() -> None:
    for application in (Starlette(), Flask(__name__), object()):
        with pytest.raises(Misuse, match="not protected"):
            TestIssuer.of(application)


def test_what_is_shown_holds_no_token_and_no_private_key() -> None:
    issuer = TestIssuer(RESOURCE)
    alice = issuer.client(TestToken("alice"))
    assert str(alice.token) not in repr(alice) and '"d"' not in str(issuer.jwks) and "'d'" not in str(issuer.jwks)


def test_production_modules_never_import_it() -> None:
    package = Path(sys.modules["keybound"].__file__ or "").parent
    names = [f"keybound.{each.stem}" for each in package.glob("*.py") if each.stem != "__init__"]
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\nprint([name for name in sys.modules if name.startswith('keybound.testing')])"
    ended = subprocess.run([sys.executable, "-c", "from django.conf import settings; settings.configure()\n" + code], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "[]", ended.stderr
