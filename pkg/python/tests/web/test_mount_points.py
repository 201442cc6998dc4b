"""A client does not choose the mount point: not by the fields of gunicorn and daphne, and not by any way to write a path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from protected import ALONE, DAPHNE, SERVERS, UVICORN, Protected, start
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from token_issuer import TokenIssuer
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client as WsgiClient

from keybound.flask import Keybound
from keybound.starlette import KeyboundMiddleware

#: The field by which a request states a mount point.
FIELDS = {"daphne": "Daphne-Root-Path", "gunicorn": "SCRIPT_NAME"}
MOUNTED = {"MOUNT_PATH": "/app"}
FORCED = {"FORCE_SCRIPT_NAME": "/app"}

# Where the application is mounted is configuration of the server as well.
SERVERS["starlette-uvicorn-app"] = ([*UVICORN, "--root-path", "/app", "starlette_app:app"], MOUNTED)
SERVERS["starlette-uvicorn-unsaid"] = ([*UVICORN, "--root-path", "/app", "starlette_app:app"], {})
SERVERS["starlette-daphne-app"] = ([*DAPHNE, "--root-path", "/app", "starlette_app:app"], MOUNTED)
SERVERS["django-daphne-app"] = ([*DAPHNE, "django_app:asgi"], {"ASGI": "1", **FORCED})
SERVERS["flask-gunicorn-app"] = ([*ALONE, "flask_app:app"], {"SCRIPT_NAME": "/app", **MOUNTED})
SERVERS["django-gunicorn-app"] = ([*ALONE, "django_app:wsgi"], {"SCRIPT_NAME": "/app", **FORCED})

ROOT = ["starlette-daphne", "django-daphne", "flask-gunicorn", "django-gunicorn", "fastapi"]
BELOW = ["starlette-uvicorn-app", "starlette-daphne-app", "django-daphne-app", "flask-gunicorn-app", "django-gunicorn-app"]


@pytest.fixture(scope="module")
def running(issuer: TokenIssuer) -> Iterator[dict[str, Protected]]:
    """All of them, started at the same time."""
    kinds = [*ROOT, *BELOW, "starlette-uvicorn-unsaid"]
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        started = dict(zip(kinds, threads.map(lambda kind: start(stack, kind, issuer), kinds), strict=True))
        yield started
        for protected in started.values():
            protected.process.terminate()


def stated(protected: Protected, mount_path: str) -> list[tuple[str, str]]:
    """The field that states a mount point to this server."""
    return [(name, mount_path) for server, name in FIELDS.items() if server in protected.kind]


@pytest.mark.parametrize("kind", [kind for kind in ROOT if kind != "fastapi"])
def test_a_stated_mount_point_opens_no_handler(kind: str, running: dict[str, Protected]) -> None:
    protected = running[kind]
    # `/open/api/vault` is public, and there is nothing; `/api/vault` is there, and protected.
    answer = protected.send("/open/api/vault")
    assert answer.status == 404, answer
    for mount, path in [("/open", "/open/api/vault"), ("/open/", "/open/api/vault"), ("/x", "/x/api/vault"), ("/x;", "/x;/api/vault")]:
        answer = protected.send(path, *stated(protected, mount))
        assert (answer.status, b"gold" in answer.body) == (400, False), (mount, answer)
        assert "no-store" in answer.one("cache-control")
    # As it is written counts, and as it is decoded: gunicorn compares the one, daphne the other.
    for mount in ("/%6fpen", "/%6Fpen", "/open"):
        for path in ("/%6fpen/api/vault", "/open/api/vault", "//open/api/vault"):
            answer = protected.send(path, *stated(protected, mount))
            assert answer.status in (400, 500) and b"gold" not in answer.body, (mount, path, answer)
            assert answer.status == 400 or not path.startswith(mount), "gunicorn refuses to answer what is not below its mount point"


@pytest.mark.parametrize("kind", [kind for kind in ROOT if kind != "fastapi"])
def test_a_proof_for_one_handler_opens_no_other(kind: str, running: dict[str, Protected]) -> None:
    protected = running[kind]
    assert protected.call("/api/items").status == 200
    token = protected.token()
    fields = (("Authorization", f"DPoP {token}"), ("DPoP", protected.proof("/other/api/items", token)))
    assert protected.send("/other/api/items", *fields, *stated(protected, "/other")).status == 400
    # It was not used up: what was refused was looked at no further.
    assert protected.send("/other/api/items", *fields).status == 404


@pytest.mark.parametrize("kind", ROOT)
def test_a_path_is_routed_as_it_was_sent(kind: str, running: dict[str, Protected]) -> None:
    protected = running[kind]
    for path in ("//api/vault", "/open//api/vault", "/open/../api/vault", "/open/%2e%2e/api/vault", "/open;/api/vault", "/api/vault/", "/api/vault#/open/api/vault"):
        answer = protected.send(path)
        assert answer.status in (400, 401) and b"gold" not in answer.body, (path, answer)


@pytest.mark.parametrize("kind", BELOW)
def test_a_configured_mount_point_is_served(kind: str, running: dict[str, Protected]) -> None:
    protected = running[kind]
    # uvicorn puts its root path in front of what it receives, for proxies that have taken it away.
    front = "" if "uvicorn" in kind else "/app"
    answer = protected.call(f"{front}/api/items", proved="/app/api/items")
    assert (answer.status, answer.json()["subject"]) == (200, "alice"), answer
    assert protected.send(f"{front}/health").status == 200
    assert protected.send(f"{front}/open/api/vault").status == 404
    assert protected.send(f"{front}/api/vault").status == 401
    # The path of the metadata is that of `resource`; here it is that of the application.
    assert protected.send(f"{front}/.well-known/oauth-protected-resource/api").status == 200


@pytest.mark.parametrize("kind", [kind for kind in BELOW if "uvicorn" not in kind])
def test_another_mount_point_is_refused(kind: str, running: dict[str, Protected]) -> None:
    protected = running[kind]
    for mount, path in [("/app/open", "/app/open/api/vault"), ("/open", "/open/api/vault"), ("/app/", "/app/open/api/vault")]:
        answer = protected.send(path, *stated(protected, mount))
        assert (answer.status, b"gold" in answer.body) == (400, False), (mount, path, answer)
    # Not below the mount point, or below another with the same beginning.
    for path in ("/api/vault", "/health", "/apple/health", "/app"):
        answer = protected.send(path)
        assert answer.status >= 400 and b"gold" not in answer.body and b"fine" not in answer.body, (path, answer)


def test_a_mount_point_that_is_not_configured_is_refused(running: dict[str, Protected]) -> None:
    protected = running["starlette-uvicorn-unsaid"]
    for path in ("/health", "/api/items", "/.well-known/oauth-protected-resource/api"):
        assert protected.send(path).status == 400, path


OPTIONS: dict[str, Any] = {"resource": "http://127.0.0.1", "issuers": ["http://127.0.0.1:1"], "allow_loopback": True}


def sub_application(**options: Any) -> Starlette:
    """An application to be mounted by another one, with a middleware of its own."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("gold")

    routes = [Route("/health", answer), Route("/vault", answer)]
    middleware = [Middleware(KeyboundMiddleware, **OPTIONS, **options)] if options else []
    return Starlette(routes=routes, middleware=middleware)


def status_of(application: Starlette, path: str, root_path: str = "") -> int:
    """Asks for a path, as a server does that states `root_path`."""
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": root_path}
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    asyncio.run(application({**scope, "query_string": b"", "headers": []}, receive, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("mount_path", "status"), [({"mount_path": "/sub"}, {"/sub/health": 200, "/sub/vault": 401}), ({}, {"/sub/health": 400, "/sub/vault": 400})]
)
def test_a_middleware_within_a_mounted_application_says_where(mount_path: dict[str, str], status: dict[str, int]) -> None:
    application = Starlette(routes=[Mount("/sub", app=sub_application(public=["/health"], **mount_path))])
    assert {path: status_of(application, path) for path in status} == status


def test_a_middleware_around_mounts_sees_whole_paths() -> None:
    middleware = [Middleware(KeyboundMiddleware, **OPTIONS, public=["/sub/health"])]
    application = Starlette(routes=[Mount("/sub", app=sub_application())], middleware=middleware)
    assert [status_of(application, path) for path in ("/sub/health", "/sub/vault")] == [200, 401]


def test_a_dispatcher_of_werkzeug_mounts() -> None:
    def status(path: str, **options: Any) -> int:
        application = Flask(__name__)
        Keybound(application, **OPTIONS, public=["/health"], **options)
        application.add_url_rule("/health", view_func=lambda: "fine")
        mounted = DispatcherMiddleware(lambda environ, respond: [respond("404 Not Found", [])] and [], {"/sub": application})
        return WsgiClient(mounted).get(path).status_code

    assert [status(path, mount_path="/sub") for path in ("/sub/health", "/sub/vault")] == [200, 401]
    assert [status(path) for path in ("/sub/health", "/sub/vault")] == [400, 400]


def test_a_proxy_that_takes_the_mount_point_away() -> None:
    """The application is told where it is mounted, and `path_prefix` says that a proxy took it from the path."""
    application = sub_application(mount_path="/app", path_prefix="/app", public=["/health"])
    assert [status_of(application, path, "/app") for path in ("/health", "/vault")] == [200, 401]


def test_the_reason_is_logged_with_what_to_type(caplog: pytest.LogCaptureFixture) -> None:
    assert status_of(sub_application(public=["/health"]), "/health", "/app") == 400
    assert "mount_path='/app'" in caplog.text
