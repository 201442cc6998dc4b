"""The standard transport: an answer is waited for as long as the request says, and no longer."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import keybound.httpx
import keybound.requests
from keybound import AsyncClient, Client, HostFailed, HttpRequest, StandardTransport, Transport


@contextmanager
def dripping(first: bytes) -> Iterator[str]:
    """A server that sends `first`, and then a byte now and then, for ever."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(first)
                while not over.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
    ids=["status", "field-name", "field", "body-to-the-end", "body"],
)
def test_a_server_that_drips_does_not_hold_a_request_for_ever(first: bytes) -> None:
    with dripping(first) as url, pytest.raises(HostFailed, match="took longer than 0.1 s") as told:
        StandardTransport().send(HttpRequest(method="GET", url=url, max_body=100_000, timeout=0.1))
    assert isinstance(told.value.__cause__, TimeoutError)


@pytest.mark.parametrize("max_body", [None, 100_000])
def test_an_answer_that_breaks_off_is_no_answer(max_body: int | None) -> None:
    # Half a document is not JSON, and discovery would take that for a place without metadata and ask the next one.
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"resource":"https://api.exam'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(HostFailed) as told:
            StandardTransport().send(HttpRequest(method="GET", url=url, max_body=max_body, timeout=5))
        assert isinstance(told.value.__cause__, http.client.IncompleteRead)
        thread.join()


def nobody_at() -> str:
    """An address where connections are refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", [StandardTransport, keybound.requests.RequestsTransport, keybound.httpx.HttpxTransport])
def test_a_refused_connection_names_the_url(kind: type[Transport]) -> None:
    url = nobody_at()
    with pytest.raises(HostFailed) as told:
        Client(transport=kind(), allow_loopback=True).discover(f"{url}/mcp?key=secret")
    assert told.value.reason == "network"
    assert url in told.value.detail and "secret" not in told.value.detail
    assert told.value.__cause__ is not None


def test_a_refused_connection_names_the_url_also_where_it_is_awaited() -> None:
    url = nobody_at()
    for client in (AsyncClient(allow_loopback=True), AsyncClient(transport=keybound.httpx.AsyncHttpxTransport(), allow_loopback=True)):
        with pytest.raises(HostFailed) as told:
            asyncio.run(client.discover_issuer(url))
        assert told.value.reason == "network" and url in told.value.detail
        assert told.value.__cause__ is not None
