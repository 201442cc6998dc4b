"""A malformed challenge spoils its own field line alone, and every way to call says that one was ignored."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests

from keybound import Client, Key, MemoryStore
from keybound import httpx as by_httpx
from keybound import requests as by_requests
from keybound.keys import thumbprint


@pytest.fixture
def api() -> Iterator[str]:
    """An API that always asks for a nonce, beside a challenge that cannot be read, until it gets one; then it refuses the token."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.server.asked = not getattr(self.server, "asked", False)  # type: ignore[attr-defined]
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Bearer realm="api')
            self.send_header("WWW-Authenticate", 'DPoP error="use_dpop_nonce"' if asked else 'DPoP error="invalid_token"')
            self.send_header("DPoP-Nonce", "n1")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["httpx", "requests", "client"])
def test_an_ignored_challenge_is_told(kind: str, api: str) -> None:
    key = Key.generate()
    if kind == "client":
        store = MemoryStore()
        store.add_key(key, thumbprint(key.public_jwk))
        client = Client(store=store, algorithms=[key.algorithm], allow_loopback=True)
        response = client.call(client.adopt("t0ken", key=key, resource=api), api)
        told: Any = (response.demand, response.ignored_challenge)
    elif kind == "httpx":
        auth = by_httpx.DPoPAuth.for_token("t0ken", key=key, resource=api, allow_loopback=True)
        with httpx.Client(auth=auth) as http_client:
            answer = http_client.get(api)
        told = ((by_httpx.demand_of(answer) or ("none",))[0], by_httpx.ignored_challenge_of(answer))
    else:
        auth_of_requests = by_requests.DPoPAuth.for_token("t0ken", key=key, resource=api, allow_loopback=True)
        got = requests.get(api, auth=auth_of_requests, timeout=10)
        told = ((by_requests.demand_of(got) or ("none",))[0], by_requests.ignored_challenge_of(got))
    assert told == ("login", "a quoted string does not end")
