"""httpx and requests in a session of `keybound serve`: what one line of a user's has to do for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
from logins import client_of, device_login, login, machine_login, service_of
from loopback import Serve, serve

from keybound import AsyncClient, Client, Credentials, Key, LoginRequired, Misuse, Session, SessionRequest
from keybound import httpx as by_httpx
from keybound import requests as by_requests


class Caller:
    """One of the libraries, as a user uses it: the answer's status, fields and JSON."""

    def __init__(self, kind: str, client: Client, session: Session) -> None:
        self.kind = kind
        self.auth: Any = (by_requests if kind == "requests" else by_httpx).DPoPAuth(client, session)

    def send(self, method: str, url: str, **options: Any) -> Any:
        if self.kind == "requests":
            if "content" in options:
                options["data"] = options.pop("content")
            return requests.request(method, url, auth=self.auth, timeout=10, **options)
        if self.kind == "httpx":
            with httpx.Client(auth=self.auth) as http:
                return http.request(method, url, **options)

        async def run() -> httpx.Response:
            async with httpx.AsyncClient(auth=self.auth) as http:
                return await http.request(method, url, **options)

        return asyncio.run(run())

    def demand(self, answer: Any) -> Any:
        return (by_requests if self.kind == "requests" else by_httpx).demand_of(answer)


@pytest.fixture(params=["httpx", "async", "requests"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("enter", [login, device_login, machine_login])
def test_a_call_in_a_session(kind: str, server: Serve, enter: Callable[..., Session]) -> None:
    client = service_of(server) if enter is machine_login else client_of(server)
    session = enter(client, server)
    caller = Caller(kind, client, session)
    for path in ("/items", "/a%2Fb?page=1", "/%7Euser"):
        answer = caller.send("GET", server.resource + path)
        assert answer.status_code == 200, answer.text
        assert answer.json()["bound_to"] == session.thumbprint
    assert caller.send("POST", server.resource, content=b"hello").json()["method"] == "POST"
    assert "Authorization" not in repr(caller.auth) and str(session.danger_access_token()) not in repr(caller.auth)


def test_each_request_has_its_own_proof_and_its_newest_nonce(kind: str) -> None:
    with serve("--fault", "new-nonce-each-call") as server:
        client = client_of(server)
        caller = Caller(kind, client, device_login(client, server))
        for _ in range(5):
            assert caller.send("GET", server.resource).status_code == 200


@pytest.mark.parametrize("skew", [7200, -7200])
def test_a_server_whose_clock_is_wrong(kind: str, skew: int) -> None:
    with serve("--no-nonces", "--fault", f"clock-skew={skew}") as server:
        client = client_of(server)
        assert Caller(kind, client, device_login(client, server)).send("GET", server.resource).status_code == 200


def test_a_token_that_ended_is_renewed_first(kind: str) -> None:
    with serve("--token-lifetime", "5") as server:
        client = client_of(server)
        session = login(client, server)
        before = session.danger_access_token()
        # The token is not used in its last five seconds: it is over from the start.
        assert Caller(kind, client, session).send("GET", server.resource).status_code == 200
        assert session.danger_access_token() != before


def test_a_revoked_token_is_renewed_and_the_request_sent_again(kind: str, server: Serve) -> None:
    client = client_of(server)
    session = login(client, server)
    revoke = {"token": session.danger_access_token(), "client_id": "keybound-demo"}
    assert httpx.post(f"{server.issuer}/revoke", data=revoke).status_code == 200
    caller = Caller(kind, client, session)
    answer = caller.send("POST", server.resource, content=b"once more")
    assert (answer.status_code, answer.json()["method"]) == (200, "POST")
    assert session.danger_access_token() != revoke["token"]


def test_scope_that_lacks_is_a_demand(kind: str, server: Serve) -> None:
    client = client_of(server)
    caller = Caller(kind, client, device_login(client, server))
    answer = caller.send("GET", f"{server.resource}/admin")
    assert answer.status_code == 403
    assert caller.demand(answer) == ("step_up", "admin")


def test_a_session_in_its_own_name_widens_itself(kind: str, server: Serve) -> None:
    client = service_of(server)
    caller = Caller(kind, client, machine_login(client, server))
    assert caller.send("GET", f"{server.resource}/write").status_code == 200


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/api", "https://evil.example/api", "/elsewhere"])
def test_the_token_does_not_leave_its_resource(kind: str, server: Serve, place: str) -> None:
    client = client_of(server)
    caller = Caller(kind, client, device_login(client, server))
    url = server.issuer + place if place.startswith("/") else place
    with pytest.raises(Misuse):
        caller.send("GET", url)


def test_fields_of_the_session_are_not_the_callers(kind: str, server: Serve) -> None:
    client = client_of(server)
    caller = Caller(kind, client, device_login(client, server))
    for name in ("Authorization", "DPoP"):
        with pytest.raises(Misuse):
            caller.send("GET", server.resource, headers={name: "x"})


def test_a_stream_is_sent_once_after_asking(kind: str, server: Serve) -> None:
    client = client_of(server)
    caller = Caller(kind, client, device_login(client, server))

    def parts() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    async def async_parts() -> Any:
        for part in parts():
            yield part

    answer = caller.send("POST", server.resource, content=async_parts() if kind == "async" else parts())
    assert answer.status_code == 200, answer.text


def test_a_token_from_elsewhere(kind: str, server: Serve) -> None:
    client = client_of(server)
    session = device_login(client, server)
    assert session.thumbprint is not None
    key, token = client.store.signer(session.thumbprint), session.danger_access_token()
    assert isinstance(key, Key) and token is not None
    caller = Caller(kind, client, session)
    module = by_requests if kind == "requests" else by_httpx
    caller.auth = module.DPoPAuth.for_token(token, key=key, resource=server.resource, allow_loopback=True)
    for _ in range(2):
        assert caller.send("GET", f"{server.resource}/items").status_code == 200
    with pytest.raises(Misuse):
        caller.send("GET", "https://evil.example/")
    # Another key opens nothing.
    caller.auth = module.DPoPAuth.for_token(token, key=Key.generate(), resource=server.resource, allow_loopback=True)
    refused = caller.send("GET", f"{server.resource}/items")
    assert (refused.status_code, caller.demand(refused)) == (401, ("login", None))


def test_many_threads_refresh_once() -> None:
    with serve("--token-lifetime", "6") as server:
        client = client_of(server)
        session = login(client, server)
        auth, tokens, failures = by_httpx.DPoPAuth(client, session), set(), []

        def run() -> None:
            try:
                with httpx.Client(auth=auth) as http:
                    assert http.get(server.resource).status_code == 200
                tokens.add(session.danger_access_token())
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        # A refresh token is good once: a second use would have ended the session.
        assert Caller("httpx", client, session).send("GET", server.resource).status_code == 200


def test_an_asynchronous_client(server: Serve) -> None:
    async def run() -> None:
        known = [Credentials(issuer=server.issuer, client_id="keybound-demo")]
        async with httpx.AsyncClient() as plain:
            client = AsyncClient(
                credentials=known, allow_loopback=True, transport=by_httpx.AsyncHttpxTransport(plain)
            )
            found = await client.discover(server.resource)
            session = await client.device(SessionRequest(at=found), show=lambda login: None)
            async with httpx.AsyncClient(auth=by_httpx.DPoPAuth(client, session)) as http:
                answers = await asyncio.gather(*(http.get(f"{server.resource}/{number}") for number in range(8)))
                assert {answer.status_code for answer in answers} == {200}
            with httpx.Client(auth=by_httpx.DPoPAuth(client, session)) as http, pytest.raises(Misuse):
                http.get(server.resource)
            await client.end(session)

    asyncio.run(run())


@pytest.mark.parametrize("transport", [by_httpx.HttpxTransport, by_requests.RequestsTransport])
def test_the_client_sends_by_the_users_library(server: Serve, transport: Callable[[], Any]) -> None:
    client = client_of(server, transport=transport())
    session = login(client, server)
    assert client.call(session, server.resource).status == 200
    client.end(session)
    with pytest.raises(LoginRequired):
        client.call(session, server.resource)
