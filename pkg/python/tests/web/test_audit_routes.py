"""The routes that audit records name: templates of the framework, never the path of the request."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import django.conf
import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from keybound import Audit
from keybound.flask import Keybound
from keybound.starlette import KeyboundMiddleware

GIVEN: dict[str, Any] = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"], "workers": 1}


@pytest.fixture
def lines() -> list[str]:
    return []


def audit(lines: list[str]) -> Audit:
    return Audit(key=bytes(range(32)), to=lines.append)


def routes(lines: list[str]) -> list[str | None]:
    assert "secret" not in "".join(lines)
    return [json.loads(line)["route"] for line in lines]


def test_starlette(lines: list[str]) -> None:
    async def item(_: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    middleware = [Middleware(KeyboundMiddleware, audit=audit(lines), **GIVEN)]
    app = Starlette(routes=[Route("/items/{id}", item)], middleware=middleware)

    async def send(_: Any) -> None:
        pass

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    for path in ("/items/secret", "/nowhere/secret"):
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [], "root_path": "", "query_string": b""}
        asyncio.run(app(scope, receive, send))
    assert routes(lines) == ["/items/{id}", None]


def test_flask(lines: list[str]) -> None:
    app = Flask(__name__)
    Keybound(app, audit=audit(lines), **GIVEN)
    app.add_url_rule("/items/<name>", view_func=lambda name: name, endpoint="item")
    for path in ("/items/secret", "/nowhere/secret"):
        assert app.test_client().get(path, environ_overrides={"RAW_URI": path}).status_code == 401
    assert routes(lines) == ["/items/<name>", None]


def test_django(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if not django.conf.settings.configured:
        django.conf.settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    monkeypatch.setattr(django.conf.settings, "ROOT_URLCONF", __name__, raising=False)
    from django.core.handlers.wsgi import WSGIRequest
    from django.http import HttpResponse
    from django.urls import path as at

    from keybound.django import KeyboundMiddleware as DjangoMiddleware

    monkeypatch.setattr(django.conf.settings, "KEYBOUND", {"audit": audit(lines), **GIVEN}, raising=False)
    monkeypatch.setitem(globals(), "urlpatterns", [at("items/<name>", lambda _, name: HttpResponse(name))])
    middleware = DjangoMiddleware(lambda _: HttpResponse())
    for path in ("/items/secret", "/nowhere/secret"):
        environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "RAW_URI": path, "wsgi.input": io.BytesIO(), "SERVER_NAME": "x", "SERVER_PORT": "80"}
        answer = middleware(WSGIRequest(environ))
        assert getattr(answer, "status_code", None) == 401
    assert routes(lines) == ["items/<name>", None]
