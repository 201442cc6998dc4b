"""A small authorization server of the tests: a function from requests to responses, and a server on loopback for processes."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flow_names import part
from keybound import HttpRequest, HttpResponse


def reply(status: int, document: Any = None, **fields: str) -> HttpResponse:
    """A JSON answer; `DPoP_Nonce="…"` gives a field."""
    headers = [("Content-Type", b"application/json")]
    headers += [(name.replace("_", "-"), value.encode()) for name, value in fields.items()]
    return HttpResponse(status=status, headers=tuple(headers), body=b"" if document is None else json.dumps(document).encode())


class FakeServer:
    """An authorization server and the API it protects, at one origin. It checks codes, refresh tokens and nonces, no signatures."""

    def __init__(self, origin: str = "https://as.example.com") -> None:
        self.origin, self.api = origin, f"{origin}/api"
        self.nonce: str | None = None
        self.asked: list[HttpRequest] = []
        self.tokens = 0
        self.refreshed = 0
        self.lifetime = 3600
        self.members: dict[str, Any] = {}
        """Further members of token responses."""
        self.fail: Callable[[HttpRequest], None] | None = None
        self._codes: dict[str, str] = {}
        self._refresh: set[str] = set()
        self._live = ""
        self._guard = threading.Lock()

    def send(self, request: HttpRequest) -> HttpResponse:
        """A transport that answers at once."""
        with self._guard:
            self.asked.append(request)
            if self.fail is not None:
                self.fail(request)
            return self._answer(request, urlsplit(request.url).path)

    def paths(self) -> list[str]:
        """What was asked for, and that forgotten."""
        paths = [urlsplit(request.url).path for request in self.asked]
        self.asked.clear()
        return paths

    def login(self, url: str) -> str:
        """The user's browser: where it comes back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self._codes["the-code"] = query["dpop_jkt"]
        return f"{query['redirect_uri']}?code=the-code&state={query['state']}&iss={self.origin}"

    def _answer(self, request: HttpRequest, path: str) -> HttpResponse:
        origin = self.origin
        if path.startswith("/.well-known/oauth-protected-resource"):
            return reply(200, {"resource": self.api, "authorization_servers": [origin]})
        if path == "/.well-known/oauth-authorization-server":
            return reply(
                200,
                {
                    "issuer": origin,
                    "authorization_endpoint": f"{origin}/authorize",
                    "token_endpoint": f"{origin}/token",
                    "revocation_endpoint": f"{origin}/revoke",
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
                    "authorization_response_iss_parameter_supported": True,
                    "dpop_signing_alg_values_supported": ["ES256"],
                },
            )
        if path == "/revoke":
            return reply(200)
        fields = {name.lower(): value for name, value in request.headers}
        proof = part(fields["dpop"], 1) if "dpop" in fields else {}
        if path == "/token":
            if proof.get("nonce") != self.nonce:
                return reply(400, {"error": "use_dpop_nonce"}, DPoP_Nonce=str(self.nonce))
            return self._token({name: values[0] for name, values in parse_qs((request.body or b"").decode()).items()})
        metadata = f'resource_metadata="{origin}/.well-known/oauth-protected-resource/api"'
        if fields.get("authorization") != f"DPoP {self._live}" or not self._live:
            error = 'error="invalid_token", ' if "authorization" in fields else ""
            return reply(401, WWW_Authenticate=f"DPoP {error}{metadata}")
        return reply(200, {"path": path, "method": request.method, "body": (request.body or b"").decode()})

    def _token(self, form: dict[str, str]) -> HttpResponse:
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self._refresh:
                return reply(400, {"error": "invalid_grant"})
            self._refresh.remove(form["refresh_token"])
            self.refreshed += 1
        elif form["grant_type"] == "authorization_code" and self._codes.pop(form["code"], None) is None:
            return reply(400, {"error": "invalid_grant"})
        self.tokens += 1
        self._live, renewal = f"access-{self.tokens}", f"refresh-{self.tokens}"
        self._refresh.add(renewal)
        answer = {"access_token": self._live, "token_type": "DPoP", "expires_in": self.lifetime, "refresh_token": renewal}
        return reply(200, answer | self.members)

    def end_token(self) -> None:
        """From now on the access token is refused."""
        self._live = ""


@contextlib.contextmanager
def listening() -> Iterator[FakeServer]:
    """One that listens on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = fake.origin + self.path
            answer = fake.send(HttpRequest(method=self.command, url=url, headers=tuple(self.headers.items()), body=body))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value.decode())
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
