"""What was looked at is what is sent, at every attempt, and nothing of the caller's own goes along with it or is shown of it."""

from __future__ import annotations

import asyncio
import copy
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests

from flow_server import FakeServer, listening
from keybound import AsyncClient, Client, Credentials, Key, Misuse, SessionRequest
from keybound import httpx as by_httpx
from keybound import requests as by_requests

TOKEN = "t0ken-of-one-account"


@dataclass
class Api:
    """An API that asks for a nonce before it answers, and what reached it."""

    url: str = ""
    received: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    #: Called before the nonce is asked for: what happens between two attempts.
    between: Callable[[], object] = lambda: None


def serving(api: Api) -> http.server.ThreadingHTTPServer:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fields = {name.lower(): value for name, value in self.headers.items()}
            api.received.append((self.command, self.path, fields, body))
            asks = len(api.received) == 1
            if asks:
                api.between()
            self.send_response(401 if asks else 200)
            if asks:
                self.send_header("WWW-Authenticate", 'DPoP error="use_dpop_nonce"')
                self.send_header("DPoP-Nonce", "n1")
            self.send_header("Set-Cookie", "account=one; Path=/")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture
def apis() -> Iterator[tuple[Api, Api]]:
    """The one that the token is for, and a thief's."""
    made = Api(), Api()
    running = [serving(api) for api in made]
    yield made
    for server in running:
        server.shutdown()
        server.server_close()


def auth_for(module: Any, api: Api) -> Any:
    return module.DPoPAuth.for_token(TOKEN, key=Key.generate(), resource=api.url, allow_loopback=True)


def check(api: Api, thief: Api, bodies: list[bytes]) -> None:
    """Two attempts of the same request, and nothing elsewhere."""
    assert thief.received == []
    assert [(method, path) for method, path, _, _ in api.received] == [("POST", "/items?a=b")] * len(bodies)
    assert [body for *_, body in api.received] == bodies
    for _, _, fields, _ in api.received:
        assert fields["authorization"] == f"DPoP {TOKEN}" and fields["x-mine"] == "first"


@pytest.mark.parametrize("kind", ["httpx", "async"])
def test_a_request_of_httpx_that_is_changed_between_two_attempts(kind: str, apis: tuple[Api, Api]) -> None:
    api, thief = apis
    extensions: dict[str, Any] = {"timeout": {}}
    request = httpx.Request("POST", api.url + "/items?a=b", content=b"one", headers={"X-Mine": "first"}, extensions=extensions)

    def changed() -> None:
        request.url = httpx.URL(thief.url)
        request.method = "GET"
        request.headers["X-Mine"] = "second"
        request.stream = httpx.ByteStream(b"two")
        request.extensions["target"] = b"/admin"

    api.between = changed
    if kind == "httpx":
        with httpx.Client(auth=auth_for(by_httpx, api)) as http:
            assert http.send(request).status_code == 200
    else:

        async def run() -> int:
            async with httpx.AsyncClient(auth=auth_for(by_httpx, api)) as http:
                return (await http.send(request)).status_code

        assert asyncio.run(run()) == 200
    check(api, thief, [b"one"] * 2)


def test_an_extension_of_httpx_that_names_another_target_is_refused(apis: tuple[Api, Api]) -> None:
    api, _ = apis
    with httpx.Client(auth=auth_for(by_httpx, api)) as http, pytest.raises(Misuse) as told:
        http.get(api.url + "/items", extensions={"target": b"/admin"})
    assert told.value.reason == "request_target" and api.received == []


def test_a_request_of_requests_that_is_changed_between_two_attempts(apis: tuple[Api, Api]) -> None:
    api, thief = apis
    with requests.Session() as http:
        asked = requests.Request("POST", api.url + "/items?a=b", data=b"one", headers={"X-Mine": "first"}, auth=auth_for(by_requests, api))
        request = http.prepare_request(asked)

        def changed() -> None:
            for name, value in (("url", thief.url), ("method", "GET")):
                with pytest.raises(Misuse):
                    setattr(request, name, value)
                # As one that does not ask.
                vars(request)[name] = value
            request.headers["X-Mine"] = "second"
            request.body = b"two"

        api.between = changed
        assert http.send(request).status_code == 200
    check(api, thief, [b"one"] * 2)


def test_a_prepared_request_cannot_be_led_elsewhere(apis: tuple[Api, Api]) -> None:
    api, thief = apis

    class Own(requests.PreparedRequest):
        """One of the caller's own kind."""

    own = Own()
    own.prepare(method="GET", url=api.url + "/items", auth=auth_for(by_requests, api))
    with requests.Session() as http:
        usual = http.prepare_request(requests.Request("GET", api.url + "/items", auth=auth_for(by_requests, api)))
        for request in (usual, own):
            for lead in (
                lambda request=request: setattr(request, "url", thief.url),
                lambda request=request: request.prepare_url(thief.url, {}),
                lambda request=request: request.prepare_method("POST"),
            ):
                with pytest.raises(Misuse) as told:
                    lead()
                assert told.value.reason == "request_changed" and TOKEN not in told.value.detail
            assert isinstance(request, Own) == (request is own)
            assert http.send(request).status_code == 200
            # A copy is a request of its own, which is free.
            free = request.copy()
            free.url = thief.url
            http.send(free)
    assert all("authorization" not in fields and "dpop" not in fields for _, _, fields, _ in thief.received)


def test_a_live_body_of_a_call_is_frozen(apis: tuple[Api, Api]) -> None:
    api, _ = apis
    key, body = Key.generate(), bytearray(b"one")
    client = Client(allow_loopback=True)
    client.store.add_key(key, key.thumbprint)  # type: ignore[attr-defined]
    session = client.adopt(TOKEN, key=key, resource=api.url)
    api.between = lambda: body.__setitem__(slice(None), b"two")
    assert client.call(session, api.url + "/items", method="POST", body=body).status == 200  # type: ignore[arg-type]
    assert [body for *_, body in api.received] == [b"one"] * 2


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with listening() as fake:
        yield fake


def transports(kind: str) -> tuple[Any, Any]:
    """A transport over a client with all that a user may have given it, and that client."""
    options: dict[str, Any] = {"headers": {"Authorization": "Bearer mine", "X-Key": "mine"}, "cookies": {"account": "mine"}}
    if kind == "requests":
        session = requests.Session()
        session.headers.update(options["headers"])
        session.cookies.update(options["cookies"])
        session.params, session.auth = {"api_key": "mine"}, ("user", "mine")
        return by_requests.RequestsTransport(session), session
    options |= {"params": {"api_key": "mine"}, "auth": ("user", "mine"), "follow_redirects": True}
    if kind == "httpx":
        client = httpx.Client(**options)
        return by_httpx.HttpxTransport(client), client
    awaited = httpx.AsyncClient(**options)
    return by_httpx.AsyncHttpxTransport(awaited), awaited


@pytest.mark.parametrize("kind", ["httpx", "async", "requests"])
def test_a_users_client_lends_its_way_and_none_of_its_secrets(
    kind: str, server: FakeServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mine password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    transport, _ = transports(kind)
    options: dict[str, Any] = {
        "credentials": [Credentials(issuer=server.origin, client_id="app")],
        "redirect_uri": "http://127.0.0.1:7777/callback",
        "allow_loopback": True,
        "transport": transport,
    }
    if kind == "async":

        async def run() -> None:
            client = AsyncClient(**options)
            found = await client.discover(server.api)
            session = await client.exchange(server.login((await client.authorize(SessionRequest(at=found))).url))
            assert (await client.call(session, server.api, headers=[("X-A", "1"), ("X-A", "2")])).status == 200

        asyncio.run(run())
    else:
        client = Client(**options)
        found = client.discover(server.api)
        session = client.exchange(server.login(client.authorize(SessionRequest(at=found)).url))
        assert client.call(session, server.api, headers=[("X-A", "1"), ("X-A", "2")]).status == 200
    assert len(server.asked) == 5
    for request in server.asked:
        assert "mine" not in repr((request.url, request.headers, request.body))
    # A repeated field arrives whole.
    assert ", ".join(value for name, value in server.asked[-1].headers if name.lower() == "x-a").replace(" ", "") == "1,2"


@pytest.mark.parametrize("make", [by_httpx.HttpxTransport, by_requests.RequestsTransport])
def test_cookies_of_one_account_do_not_go_along_with_another(make: Callable[[], Any], apis: tuple[Api, Api]) -> None:
    api, _ = apis
    transport = make()
    for token in ("one", "two"):
        client, key = Client(transport=transport, allow_loopback=True), Key.generate()
        client.store.add_key(key, key.thumbprint)  # type: ignore[attr-defined]
        client.call(client.adopt(token, key=key, resource=api.url), api.url)
    assert len(api.received) >= 3 and all("cookie" not in fields for _, _, fields, _ in api.received)


def test_requests_on_their_way_show_no_token(apis: tuple[Api, Api]) -> None:
    api, _ = apis
    with requests.Session() as http:
        request = http.prepare_request(requests.Request("GET", "http://127.0.0.1:1/", auth=auth_for(by_requests, Api("http://127.0.0.1:1"))))
        assert request.headers["Authorization"] == f"DPoP {TOKEN}"
        proof = request.headers["DPoP"]
        with pytest.raises(requests.ConnectionError) as failed:
            http.send(request)
    sealed: list[httpx.Request] = []

    def broken(request: httpx.Request) -> httpx.Response:
        sealed.append(request)
        raise httpx.ConnectError("no one is there", request=request)

    with httpx.Client(auth=auth_for(by_httpx, api), transport=httpx.MockTransport(broken)) as client, pytest.raises(httpx.ConnectError):
        client.get(api.url)
    assert sealed[0].headers["authorization"] == f"DPoP {TOKEN}"
    shown: list[Any] = [request.headers, request.headers.copy(), copy.copy(request), vars(request), failed.value, failed.value.request]
    shown += [vars(failed.value.request), sealed[0], sealed[0].headers, sealed[0].headers.copy(), vars(sealed[0])]
    for each in shown:
        for text in (repr(each), str(each)):
            assert TOKEN not in text and proof not in text and "eyJ" not in text, text
