"""Redirects: within an origin they are followed with new proofs; elsewhere goes neither token nor proof, whatever the library does."""

from __future__ import annotations

import asyncio
import base64
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import pytest
import requests

from keybound import Key, Misuse
from keybound import httpx as by_httpx
from keybound import httpx2 as by_httpx2
from keybound import requests as by_requests


@dataclass
class Site:
    """A server that redirects by its path: `/to/URL`, with the status in the query; it keeps what it received."""

    url: str = ""
    received: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """Two origins."""
    running = []
    for site in (Site(), Site()):

        class Handler(http.server.BaseHTTPRequestHandler):
            kept = site

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.kept.received.append((self.command, self.path, dict(self.headers.items()), body))
                status, _, target = self.path.removeprefix("/").partition("/")
                self.send_response(int(status) if status.isdigit() else 200)
                if target:
                    self.send_header("Location", target)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append((server, site))
    yield running[0][1], running[1][1]
    for server, _ in running:
        server.shutdown()
        server.server_close()


def claims(proof: str) -> dict[str, Any]:
    """What a proof says."""
    part = proof.split(".")[1]
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return told


def send(kind: str, site: Site, method: str, path: str, *, follow: bool = False, **options: Any) -> int:
    """Sends a request with a token by the library, and gives the status of the answer."""
    module: Any
    library: Any
    module, library = {"2": (by_httpx2, httpx2), "s": (by_requests, requests)}.get(kind[-1], (by_httpx, httpx))
    auth: Any = module.DPoPAuth.for_token("t0ken", key=Key.generate(), resource=site.url, allow_loopback=True)
    if kind == "requests":
        return requests.request(method, site.url + path, auth=auth, timeout=5, allow_redirects=follow, **options).status_code
    if kind.startswith("httpx"):
        with library.Client(auth=auth, follow_redirects=follow) as http:
            return http.request(method, site.url + path, **options).status_code

    async def run() -> int:
        async with library.AsyncClient(auth=auth, follow_redirects=follow) as http:
            return (await http.request(method, site.url + path, **options)).status_code

    return asyncio.run(run())


KINDS = ["httpx", "async", "httpx2", "async2", "requests"]


@pytest.mark.parametrize("kind", KINDS)
def test_within_the_origin_each_hop_has_its_own_proof(kind: str, sites: tuple[Site, Site]) -> None:
    site, _ = sites
    assert send(kind, site, "GET", "/307//one") == 200
    (_, _, first, _), (_, path, second, _) = site.received
    assert path == "/one"
    one, two = claims(first["DPoP"]), claims(second["DPoP"])
    assert one["jti"] != two["jti"]
    assert two["htu"] == site.url + path
    assert second["Authorization"] == "DPoP t0ken"


@pytest.mark.parametrize("kind", KINDS)
def test_a_post_that_is_seen_elsewhere_becomes_a_get_without_body(kind: str, sites: tuple[Site, Site]) -> None:
    site, _ = sites
    assert send(kind, site, "POST", "/303//done", data={"a": "b"}) == 200
    first, second = site.received
    assert (first[0], first[3]) == ("POST", b"a=b")
    assert (second[0], second[3]) == ("GET", b"")
    assert claims(second[2]["DPoP"])["htm"] == "GET"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_elsewhere_is_the_answer(kind: str, status: int, sites: tuple[Site, Site]) -> None:
    site, other = sites
    assert send(kind, site, "GET", f"/{status}/{other.url}/x") == status
    assert other.received == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_library_that_follows_anyway_carries_no_token(kind: str, status: int, sites: tuple[Site, Site]) -> None:
    site, other = sites
    if kind == "requests":
        assert send(kind, site, "GET", f"/{status}/{other.url}/x", follow=True) == 200
    else:
        with pytest.raises(Misuse, match="follow_redirects"):
            send(kind, site, "GET", f"/{status}/{other.url}/x", follow=True)
    ((_, _, fields, _),) = other.received
    assert "authorization" not in {name.lower() for name in fields}
    assert "dpop" not in {name.lower() for name in fields}
