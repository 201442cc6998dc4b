"""Transports of others send token and proof, however they read header fields: of tests (Starlette's `TestClient`) and of libraries (aiohttp)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import httpx_aiohttp
import pytest
from logins import client_of, device_login
from loopback import Serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from keybound import Client, Key, Misuse, Session
from keybound import _httpx
from keybound import httpx as by_httpx
from keybound import httpx2 as by_httpx2

BOTH = pytest.mark.parametrize(("module", "library"), [(by_httpx, httpx), (by_httpx2, httpx2)], ids=["httpx", "httpx2"])


@pytest.fixture(scope="module")
def session(server: Serve) -> Iterator[tuple[Client, Session]]:
    client = client_of(server)
    yield client, device_login(client, server)


def attempt(library: ModuleType) -> Any:
    """A request as it is sent, with a token and a proof."""
    request = library.Request("GET", "https://api.example.com/")
    request.headers = _httpx._sealed(library, (("Host", "api.example.com"), ("Authorization", "DPoP t0ken"), ("DPoP", "pr00f")))
    return request


@BOTH
def test_every_way_of_reading_fields_shows_token_and_proof(module: Any, library: ModuleType) -> None:
    fields = attempt(library).headers
    seen = [
        dict(fields),
        dict(fields.items()),
        dict(fields.multi_items()),
        dict(zip(fields.keys(), fields.values(), strict=True)),
        {name.decode().lower(): value.decode() for name, value in fields.raw},
        {name: fields[name] for name in fields},
        {name: fields.get(name) for name in list(fields)},
        {name: fields.get_list(name)[0] for name in fields},
    ]
    whole = {"host": "api.example.com", "authorization": "DPoP t0ken", "dpop": "pr00f"}
    assert seen == [whole] * len(seen)
    assert len(fields) == 3 and "dpop" in fields and fields == whole and fields != {"host": "api.example.com"}


@BOTH
def test_a_copy_has_neither_token_nor_proof_and_nothing_shows_them(module: Any, library: ModuleType) -> None:
    fields = attempt(library).headers
    fields["X-Mine"] = "1"
    fields.update({"X-Other": "2"})
    del fields["Host"]
    for copy in (library.Headers(fields), fields.copy()):
        assert dict(copy) == {"x-mine": "1", "x-other": "2"}
    assert list(fields) == ["authorization", "dpop", "x-mine", "x-other"]
    assert "t0ken" not in repr(fields) and "pr00f" not in repr(fields)


@BOTH
def test_a_version_that_copies_fields_otherwise_sends_nothing(module: Any, library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Headers(library.Headers):  # type: ignore[name-defined,misc]
        def __init__(self, headers: Any = None, encoding: str | None = None) -> None:
            super().__init__(list(headers.multi_items()) if isinstance(headers, library.Headers) else headers, encoding)

    monkeypatch.setattr(library, "Headers", Headers)
    auth = module.DPoPAuth.for_token("t0ken", key=Key.generate(), resource="https://api.example.com")
    with library.Client(auth=auth, transport=library.MockTransport(lambda request: pytest.fail("it was sent"))) as http:
        with pytest.raises(Misuse, match="this version of"):
            http.get("https://api.example.com/")


def test_the_test_client_of_starlette() -> None:
    """Which is a client of httpx2, and follows redirects unless it is told not to."""
    received: list[dict[str, str]] = []

    async def answer(request: Request) -> JSONResponse:
        received.append(dict(request.headers))
        if len(received) == 1:
            return JSONResponse({}, 401, {"WWW-Authenticate": 'DPoP error="use_dpop_nonce"', "DPoP-Nonce": "n1"})
        return JSONResponse({"path": request.url.path})

    async def elsewhere(request: Request) -> RedirectResponse:
        received.append(dict(request.headers))
        return RedirectResponse("https://thief.example/")

    application = Starlette(routes=[Route("/items", answer), Route("/away", elsewhere)])
    auth = by_httpx2.DPoPAuth.for_token("t0ken", key=Key.generate(), resource="https://api.example.com")
    client = TestClient(application, base_url="https://api.example.com")
    assert client.get("/items", auth=auth).json() == {"path": "/items"}
    assert [fields["authorization"] for fields in received] == ["DPoP t0ken"] * 2
    assert received[0]["dpop"] != received[1]["dpop"]
    assert client.get("/away", auth=auth, follow_redirects=False).status_code == 307
    with pytest.raises(Misuse, match="httpx2 followed a redirect"):
        client.get("/away", auth=auth)


def test_httpx_over_aiohttp(server: Serve, session: tuple[Client, Session]) -> None:
    async def run() -> list[int]:
        async with httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport(), auth=by_httpx.DPoPAuth(*session)) as http:
            return [(await http.get(server.resource)).status_code, (await http.post(server.resource, json={"a": 1})).status_code]

    assert asyncio.run(run()) == [200, 200]


def test_a_client_of_this_package_by_httpx2(server: Serve) -> None:
    client = client_of(server, transport=by_httpx2.HttpxTransport())
    session = device_login(client, server)
    with httpx2.Client(auth=by_httpx2.DPoPAuth(client, session)) as http:
        assert http.get(server.resource).status_code == 200


@BOTH
def test_auth_of_one_library_is_none_of_the_other(module: Any, library: ModuleType) -> None:
    other = by_httpx2 if module is by_httpx else by_httpx
    auth = other.DPoPAuth.for_token("t0ken", key=Key.generate(), resource="https://api.example.com")
    with pytest.raises(TypeError), library.Client(auth=auth) as http:
        http.get("https://api.example.com/")
