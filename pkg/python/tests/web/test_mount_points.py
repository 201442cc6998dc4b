"""Applications that are mounted below the root of their server; that a client mounts none is shown in `test_frameworks.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from protected import ALONE, DAPHNE, GUNICORN, SERVERS, UVICORN, Protected, start
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

MOUNTED = {"MOUNT_PATH": "/app"}
FORCED = {"FORCE_SCRIPT_NAME": "/app"}

# Where the application is mounted is configuration of the server as well.
SERVERS["starlette-uvicorn-app"] = ([*UVICORN, "--root-path", "/app", "starlette_app:app"], MOUNTED)
SERVERS["django-daphne-app"] = ([*DAPHNE, "django_app:asgi"], {"ASGI": "1", **FORCED})
SERVERS["flask-gunicorn-app"] = ([*GUNICORN, "flask_app:app"], {"SCRIPT_NAME": "/app", **MOUNTED, **ALONE})
SERVERS["django-gunicorn-app"] = ([*GUNICORN, "django_app:wsgi"], {"SCRIPT_NAME": "/app", **FORCED, **ALONE})

BELOW = ["starlette-uvicorn-app", "django-daphne-app", "flask-gunicorn-app", "django-gunicorn-app"]


@pytest.fixture(scope="module")
def running(issuer: TokenIssuer) -> Iterator[dict[str, Protected]]:
    """All of them, started at the same time."""
    with ExitStack() as stack, ThreadPoolExecutor(4) as threads:
        started = dict(zip(BELOW, threads.map(lambda kind: start(stack, kind, issuer), BELOW), strict=True))
        yield started
        for protected in started.values():
            protected.process.terminate()


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
        answer = protected.send(path, *protected.stating(mount))
        assert (answer.status, b"gold" in answer.body) == (400, False), (mount, path, answer)
    # Not below the mount point, or below another with the same beginning.
    for path in ("/api/vault", "/health", "/apple/health", "/app"):
        answer = protected.send(path)
        assert answer.status >= 400 and b"gold" not in answer.body and b"fine" not in answer.body, (path, answer)


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
    assert "states the mount point '/app'" in caplog.text and "write mount_path='/…' where you mounted" in caplog.text
    caplog.clear()
    assert status_of(sub_application(public=["/health"], mount_path="/app"), "/health", "/sub") == 400
    assert "states the mount point '/sub'" in caplog.text and "mount_path is '/app'" in caplog.text
