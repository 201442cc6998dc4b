"""What the middleware refuses to work with: decoded paths, several processes with a memory each, routes without protection."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from pathlib import Path

import pytest
from protected import APPS, GUNICORN, SERVERS, UVICORN, Protected, start
from loopback import PYTHON, exchange, free_port, running
from token_issuer import TokenIssuer
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from keybound import AsyncResourceServer, Misuse, ResourceServer
from keybound.flask import Keybound
from keybound.starlette import KeyboundMiddleware

SERVERS["decoded"] = ([*UVICORN, "starlette_app:decoded"], {})
SERVERS["wsgiref"] = ([PYTHON, "-c", "from wsgiref.simple_server import make_server as m; from flask_app import app; m('', {port}, app).serve_forever()"], {})


@pytest.mark.parametrize("kind", ["decoded", "wsgiref"])
def test_a_server_without_raw_paths_is_refused_clearly(kind: str, issuer: TokenIssuer) -> None:
    with ExitStack() as stack:
        protected = start(stack, kind, issuer)
        answer = protected.send("/api/items", ("Authorization", f"DPoP {protected.token()}"))
        assert answer.status == 500
        assert b"danger_decoded_path" in answer.body and b"uvicorn" in answer.body
        assert protected.send("/health").status == 200
    with ExitStack() as stack:
        protected = start(stack, kind, issuer, DECODED="1")
        assert protected.call("/api/items").status == 200
        # What that costs: the two are one path to the application, and whatever its proof was for.
        assert protected.call("/api/a b".replace(" ", "%20")).status == 200


def test_workers_with_a_memory_each_are_refused(issuer: TokenIssuer, tmp_path: Path) -> None:
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("workers = 2")
    with ExitStack() as stack:
        protected = start(stack, "flask-gunicorn", issuer, GUNICORN_CMD_ARGS=f"--config {config}")
        answer = protected.send("/api/items", ("Authorization", f"DPoP {protected.token()}"))
        assert (answer.status, b"worker" in answer.body) == (500, True)
    with ExitStack() as stack:
        protected = start(stack, "flask-gunicorn", issuer, GUNICORN_CMD_ARGS="--preload")
        answer = protected.send("/api/items", ("Authorization", f"DPoP {protected.token()}"))
        assert (answer.status, b"--preload" in answer.body) == (500, True)


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        ([*UVICORN, "--workers", "2", "starlette_app:app"], {}),
        ([*UVICORN, "starlette_app:app"], {"WEB_CONCURRENCY": "2"}),
        ([*GUNICORN, "-w", "2", "flask_app:app"], {}),
    ],
)
def test_applications_of_several_workers_do_not_start(
    command: list[str], environment: dict[str, str], issuer: TokenIssuer
) -> None:
    port = free_port()
    env = {"ISSUER": issuer.url, "ORIGIN": f"http://127.0.0.1:{port}", **environment}
    with running([part.format(port=port) for part in command], port, env=env, cwd=APPS):
        # Its socket may be open; nobody answers, or all is a failure.
        for _ in range(3):
            with contextlib.suppress(OSError, ValueError):
                assert exchange(port, "/health", timeout=1).status == 500


@pytest.fixture
def starlette(issuer: TokenIssuer) -> object:
    with ExitStack() as stack:
        yield start(stack, "starlette-h11", issuer)


def test_the_handshake_of_a_websocket_is_proved(starlette: Protected) -> None:
    starlette.call("/api/items")
    url, token = f"ws://127.0.0.1:{starlette.port}/api/socket", starlette.token()
    fields = {"Authorization": f"DPoP {token}", "DPoP": starlette.proof("/api/socket", token)}
    with connect(url, additional_headers=fields) as socket:
        assert socket.recv() == "alice"
    # The same once more is a replay.
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=fields)
    assert refused.value.response.status_code == 401
    assert "DPoP" in refused.value.response.headers["WWW-Authenticate"]


def test_an_answer_keeps_what_the_application_says_of_caches(starlette: Protected) -> None:
    answer = starlette.call("/api/write", starlette.token("write"))
    assert answer.one("cache-control") == "max-age=5"


def test_a_server_comes_without_options_beside_it() -> None:
    options = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"]}
    for make, kind in ((lambda **given: KeyboundMiddleware(lambda *_: None, **given), AsyncResourceServer), (Keybound, ResourceServer)):
        server = kind(**options)
        assert make(server=server).server is server
        for more in (options, {"store": server.store}):
            with pytest.raises(Misuse):
                make(server=server, **more)
