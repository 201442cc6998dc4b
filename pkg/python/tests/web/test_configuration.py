"""What the middleware refuses to work with: decoded paths, routes without protection, a server beside its options."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from protected import SERVERS, UVICORN, Protected, start
from loopback import PYTHON
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
        for more in (options, {"store": server.store}, {"workers": 1}):
            with pytest.raises(Misuse):
                make(server=server, **more)
