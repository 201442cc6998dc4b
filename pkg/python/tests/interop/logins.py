"""`keybound serve` as the other side: authorization server and API, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from loopback import Serve, program, serve

from keybound import Client, Credentials, Session, SessionRequest

REDIRECT_URI = "http://127.0.0.1:7979/callback"


@pytest.fixture(scope="session")
def server() -> Iterator[Serve]:
    """One server for all tests that ask for nothing special."""
    if program() is None:
        pytest.skip("the program keybound is not built: cargo build -p keybound-cli")
    with serve() as running:
        yield running


def client_of(server: Serve, **options: Any) -> Client:
    """A public client of `server`."""
    credentials = [Credentials(issuer=server.issuer, client_id="keybound-demo")]
    return Client(redirect_uri=REDIRECT_URI, credentials=credentials, allow_loopback=True, **options)


def service_of(server: Serve, **options: Any) -> Client:
    """The confidential client of `server`."""
    known = Credentials(
        issuer=server.issuer, client_id=server.client_id, method="client_secret_basic", secret=server.client_secret
    )
    return Client(credentials=[known], allow_loopback=True, **options)


def visit(url: str) -> str:
    """What a browser does: follows redirects until one leads back to the client."""
    for _ in range(10):
        location = httpx.get(url).headers["location"]
        url = urljoin(url, location)
        if url.startswith(REDIRECT_URI):
            return url
    raise AssertionError("redirects without end")


def login(client: Client, server: Serve, *, scope: str = "read", name: str = "default") -> Session:
    """Logs in with the code grant."""
    found = client.discover(server.resource)
    authorization = client.authorize(SessionRequest(at=found, scope=scope, name=name))
    return client.exchange(visit(authorization.url))


def device_login(client: Client, server: Serve, *, scope: str = "read") -> Session:
    """Logs in on another device, which the server approves at once."""
    found = client.discover(server.resource)
    return client.device(SessionRequest(at=found, scope=scope), show=lambda login: None)


def machine_login(client: Client, server: Serve, *, scope: str = "read") -> Session:
    """A session in the client's own name."""
    return client.client_credentials(SessionRequest(at=client.discover(server.resource), scope=scope))
