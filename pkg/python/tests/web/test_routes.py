"""FastAPI and Starlette: protection by route, of which parts may be optional or public, overridden dependencies, and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.websockets import WebSocketDisconnect

from keybound import Misuse
from keybound import starlette as by_starlette
from keybound.fastapi import Principal, authenticated, metadata_route, optional, protect, require
from keybound.testing import TestClient as Signing
from keybound.testing import TestIssuer, TestToken

RESOURCE = "https://api.example.com"
OPTIONS: dict[str, Any] = {"resource": RESOURCE, "issuers": ["https://as.example.com"]}


def application(**options: Any) -> FastAPI:
    """Routes of all kinds."""
    app = FastAPI()
    protect(app, **{**OPTIONS, **options})
    router = APIRouter(prefix="/routed", dependencies=[Depends(require("items:read"))])

    @app.get("/open")
    def open_() -> str:
        return "open"

    @app.get("/items")
    def items(principal: Annotated[Principal, Depends(require("items:read"))]) -> str | None:
        return principal.subject

    @app.get("/feed")
    async def feed(principal: Annotated[Principal | None, Depends(optional())]) -> str | None:
        return None if principal is None else principal.subject

    @app.get("/twice")
    def twice(one: Annotated[Principal, Depends(require())], other: Annotated[Principal, Depends(require("items:read"))]) -> bool:
        return one is other

    @router.get("/items")
    def routed() -> str:
        return "routed"

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, principal: Annotated[Principal, Depends(require())]) -> None:
        await websocket.accept()
        await websocket.send_text(str(principal.subject))
        await websocket.close()

    app.include_router(router)
    return app


@pytest.fixture
def by_route() -> Iterator[tuple[FastAPI, TestIssuer]]:
    app = application(by_route=True)
    with TestIssuer.of(app).trusted_by(app) as issuer:
        yield app, issuer


def statuses(app: FastAPI, client: Signing, *paths: str) -> list[int]:
    http = client.starlette(app)
    return [http.get(path).status_code for path in paths]


def test_routes_that_ask_for_a_principal_are_protected_and_others_are_open(by_route: tuple[FastAPI, TestIssuer]) -> None:
    app, issuer = by_route
    paths = ("/open", "/items", "/feed", "/twice", "/routed/items", "/nowhere")
    assert statuses(app, issuer.stranger(), *paths) == [200, 401, 200, 401, 401, 404]
    alice = issuer.client(TestToken("alice", scopes=["items:read"]))
    assert statuses(app, alice, *paths) == [200, 200, 200, 200, 200, 404]
    assert statuses(app, alice.thief(), *paths) == [200, 401, 401, 401, 401, 404]
    assert statuses(app, issuer.client(TestToken("bob")), *paths) == [200, 403, 200, 403, 403, 404]
    assert alice.starlette(app).get("/feed").json() == "alice" and issuer.stranger().starlette(app).get("/feed").json() is None
    refused = issuer.stranger().starlette(app).get("/items")
    assert refused.headers["www-authenticate"].startswith("DPoP ") and "no-store" in refused.headers["cache-control"]
    assert issuer.stranger().starlette(app).get("/.well-known/oauth-protected-resource").json()["resource"] == RESOURCE


def test_a_proof_is_good_once_whoever_asks_for_the_principal(by_route: tuple[FastAPI, TestIssuer]) -> None:
    app, issuer = by_route
    alice = issuer.client(TestToken("alice", scopes=["items:read"]))
    assert statuses(app, alice, "/twice") == [200]
    fields = alice.sign("GET", "/items")
    assert [TestClient(app, base_url=RESOURCE).get("/items", headers=fields).status_code for _ in range(2)] == [200, 401]


@pytest.mark.parametrize("header", ["Authorization", "DPoP"])
def test_half_of_what_is_wanted_is_not_optional(header: str, by_route: tuple[FastAPI, TestIssuer]) -> None:
    app, issuer = by_route
    alice = issuer.client(TestToken("alice"))
    statuses(app, alice, "/feed")
    half = {header: alice.sign("GET", "/feed")[header]}
    assert TestClient(app, base_url=RESOURCE).get("/feed", headers=half).status_code == 401


def test_the_handshake_of_a_websocket_is_protected_by_its_route(by_route: tuple[FastAPI, TestIssuer]) -> None:
    app, issuer = by_route
    alice = issuer.client(TestToken("alice"))
    statuses(app, alice, "/feed")
    with TestClient(app).websocket_connect("/socket", headers=alice.sign("GET", "/socket")) as socket:
        assert socket.receive_text() == "alice"
    with pytest.raises(Exception) as refused, TestClient(app).websocket_connect("/socket"):
        pass
    assert isinstance(refused.value, WebSocketDisconnect) or getattr(refused.value, "status_code", None) == 401


def test_public_paths_of_an_application_may_ask_for_a_principal() -> None:
    app = application(public=["/feed", "/open", "/routed/*"])
    with TestIssuer.of(app).trusted_by(app) as issuer:
        paths = ("/open", "/items", "/feed", "/routed/items", "/routed", "/nowhere", "/routed/nowhere")
        assert statuses(app, issuer.stranger(), *paths) == [200, 401, 200, 401, 401, 401, 404]
        alice = issuer.client(TestToken("alice", scopes=["items:read"]))
        assert statuses(app, alice, *paths) == [200, 200, 200, 200, 404, 404, 404]


def test_an_encoded_way_out_of_a_public_place_is_not_public() -> None:
    app = FastAPI()
    protect(app, **OPTIONS, public=["/static/*"])

    @app.get("/{rest:path}")
    def all_(rest: str) -> str:
        return rest

    with TestIssuer.of(app).trusted_by(app) as issuer:
        http = issuer.stranger().starlette(app)
        assert [http.get(path).status_code for path in ("/static/a", "/static/a%2Fb", "/static", "/statics/a")] == [200, 200, 401, 401]
        assert [http.get(path).status_code for path in ("/static/..%2Fitems", "/static/..%5Citems")] == [401, 401]


def test_dependencies_are_overridden(by_route: tuple[FastAPI, TestIssuer]) -> None:
    app, issuer = by_route
    reader = issuer.principal(TestToken("reader", scopes=["items:read"]))
    http = TestClient(app)
    app.dependency_overrides[authenticated] = lambda: reader
    assert (http.get("/items").json(), http.get("/routed/items").status_code) == ("reader", 200)
    app.dependency_overrides[authenticated] = lambda: issuer.principal(TestToken("other"))
    assert http.get("/items").status_code == 403, "scopes still count"
    app.dependency_overrides = {require("items:read"): lambda: reader, optional(): lambda: reader}
    assert [http.get(path).status_code for path in ("/items", "/feed", "/twice")] == [200, 200, 401]
    app.dependency_overrides = {require("items:write"): lambda: reader}
    assert http.get("/items").status_code == 401, "another dependency"


def test_dependencies_of_starlette_are_equal_by_their_scopes() -> None:
    assert by_starlette.require("a", "b") == by_starlette.require("a", "b") != by_starlette.require("a")
    assert len({by_starlette.require("a"), by_starlette.require("a"), by_starlette.optional(), by_starlette.optional(), require("a")}) == 3
    assert require("a") != by_starlette.require("a")


def test_the_openapi_document_has_the_security_scheme() -> None:
    app = application(public=["/openapi.json"])
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    # What `/docs` shows and takes: a scheme `http` with `dpop` is "unsupported" there.
    assert {(each["type"], each["in"], each["name"]) for each in schemes.values()} == {("apiKey", "header", "Authorization"), ("apiKey", "header", "DPoP")}
    assert all("proof" in each["description"] or "access token" in each["description"] for each in schemes.values())
    both = [{"DPoP token": [], "DPoP proof": []}]
    secured = {path for path, item in document["paths"].items() if item["get"].get("security") == both}
    assert app.openapi() == document
    assert secured == {"/items", "/feed", "/twice", "/routed/items"}


def test_metadata_of_a_mounted_application_is_served_by_the_one_that_mounts_it() -> None:
    inner = FastAPI()
    server = protect(inner, resource=f"{RESOURCE}/app", issuers=["https://as.example.com"], mount_path="/app", public=["/health"])

    @inner.get("/health")
    def health() -> str:
        return "fine"

    outer = FastAPI()
    outer.mount("/app", inner)
    http = TestClient(outer)
    assert [http.get(path).status_code for path in ("/app/health", "/app/items", server.metadata_path)] == [200, 401, 404]
    outer.router.routes.append(metadata_route(server))
    assert http.get(server.metadata_path).json()["resource"] == f"{RESOURCE}/app"
    assert http.get(f"/app{server.metadata_path}").status_code == 200


def test_a_route_outside_of_a_protected_application_says_so() -> None:
    async def items(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str((await by_starlette.require()(request)).subject))

    routes = [Route("/items", items)]
    with pytest.raises(Misuse, match="add KeyboundMiddleware"):
        TestClient(Starlette(routes=[Mount("/app", app=Starlette(routes=routes))])).get("/app/items")
    inner = Starlette(routes=routes)
    by_starlette.protect(inner, **OPTIONS, mount_path="/app", by_route=True)
    app = Starlette(routes=[Mount("/app", app=inner)])
    with TestIssuer.of(app).trusted_by(app) as issuer:
        assert issuer.client(TestToken("alice")).starlette(app).get("/app/items").text == "alice"
