"""Ways in which httpx and requests are used besides plain requests: streams, uploads, fragments, transports of tests, hooks, sessions."""

from __future__ import annotations

import asyncio
import contextlib
import io

import httpx
import pytest
import requests
from logins import client_of, device_login
from loopback import Serve

from keybound import Client, Session
from keybound import httpx as by_httpx
from keybound import requests as by_requests


@pytest.fixture(scope="module")
def session(server: Serve) -> tuple[Client, Session]:
    client = client_of(server)
    return client, device_login(client, server)


def test_an_answer_that_is_streamed(server: Serve, session: tuple[Client, Session]) -> None:
    with httpx.Client(auth=by_httpx.DPoPAuth(*session)) as http, http.stream("GET", server.resource) as answer:
        assert answer.status_code == 200
        assert b"".join(answer.iter_bytes()).startswith(b"{")
    got = requests.get(server.resource, auth=by_requests.DPoPAuth(*session), stream=True, timeout=5)
    assert b"".join(got.iter_content(7)).startswith(b"{")


def test_files_that_are_uploaded(server: Serve, session: tuple[Client, Session]) -> None:
    with httpx.Client(auth=by_httpx.DPoPAuth(*session)) as http:
        assert http.post(server.resource, files={"f": io.BytesIO(b"x" * 100_000)}).status_code == 200
    auth = by_requests.DPoPAuth(*session)
    for data in (io.BytesIO(b"x" * 100_000), {"a": "b"}, "text", b"bytes"):
        assert requests.post(server.resource, data=data, auth=auth, timeout=5).status_code == 200
    assert requests.post(server.resource, files={"f": io.BytesIO(b"x")}, auth=auth, timeout=5).status_code == 200
    assert requests.put(server.resource, json={"a": 1}, auth=auth, timeout=5).status_code == 200


def test_a_fragment_stays_here(server: Serve, session: tuple[Client, Session]) -> None:
    with httpx.Client(auth=by_httpx.DPoPAuth(*session)) as http:
        assert http.get(server.resource + "/a?b=c#part").json()["query"] == "b=c"
    answer = requests.get(server.resource + "/a?b=c#part", auth=by_requests.DPoPAuth(*session), timeout=5)
    assert answer.json()["query"] == "b=c"


def test_sessions_of_requests_keep_their_own(server: Serve, session: tuple[Client, Session]) -> None:
    with requests.Session() as http:
        http.auth, http.headers["X-Mine"] = by_requests.DPoPAuth(*session), "é".encode().decode("latin-1")
        http.cookies.set("a", "b")
        for _ in range(3):
            answer = http.get(server.resource, timeout=5)
            assert answer.status_code == 200
        assert answer.request.headers["Cookie"] == "a=b"
        assert not {"authorization", "dpop"} & {name.lower() for name in answer.request.headers}


def test_transports_of_tests_see_what_is_sent(server: Serve, session: tuple[Client, Session]) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, headers=[("DPoP-Nonce", "n1")])

    with httpx.Client(auth=by_httpx.DPoPAuth(*session), transport=httpx.MockTransport(answer)) as http:
        http.get(server.resource)
    (request,) = seen
    assert request.headers["Authorization"].startswith("DPoP ") and "DPoP" in request.headers
    assert [name for name, _ in request.headers.raw].count(b"DPoP") == 1
    assert "DPoP e" not in repr(request.headers) and "Authorization" not in httpx.Headers(request.headers)


def test_what_fails_gives_back_its_locks(server: Serve, session: tuple[Client, Session]) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    for _ in range(2):
        with httpx.Client(auth=by_httpx.DPoPAuth(*session), transport=httpx.MockTransport(broken)) as http:
            with pytest.raises(httpx.ConnectError):
                http.get(server.resource)
    with httpx.Client(auth=by_httpx.DPoPAuth(*session)) as http:
        assert http.get(server.resource).status_code == 200


def test_tasks_that_are_cancelled(server: Serve, session: tuple[Client, Session]) -> None:
    async def run() -> int:
        async with httpx.AsyncClient(auth=by_httpx.DPoPAuth(*session)) as http:
            for delay in (0, 0.001, 0.01):
                task = asyncio.ensure_future(http.get(server.resource))
                await asyncio.sleep(delay)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            return (await http.get(server.resource)).status_code

    assert asyncio.run(run()) == 200
