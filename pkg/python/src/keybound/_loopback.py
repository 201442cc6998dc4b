"""Where a program's login comes back to: a loopback address that takes one answer (RFC 8252 section 7.3)."""

from __future__ import annotations

import hmac
import http.server
import socket
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .errors import FlowFailed, Misuse

__all__ = ["Loopback"]


class Loopback:
    """Receives the browser's return on a loopback address, once."""

    def __init__(self, redirect_uri: str | None) -> None:
        parts = urlsplit(redirect_uri or "")
        if parts.hostname not in ("127.0.0.1", "::1", "localhost") or parts.port is None:
            raise Misuse("redirect_uri", "a login in this program comes back to loopback: http://127.0.0.1:7777/callback")
        self._path, self._url = parts.path or "/", f"{parts.scheme}://{parts.netloc}"
        self._state: str | None = None
        self._received: str | None = None
        self._event = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                expected = outer._expects(self.path)
                self.send_response(200 if expected else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(b"You can close this window now.\n" if expected else b"not found\n")
                if expected and outer._received is None:
                    outer._received = outer._url + self.path
                    outer._event.set()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the URL holds the code."""

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if parts.hostname == "::1" else socket.AF_INET

        self._server = Server(("::1" if parts.hostname == "::1" else "127.0.0.1", parts.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Ends a wait on another thread, whose task was cancelled.
        self._event.set()
        self._server.shutdown()
        self._server.server_close()

    def expect(self, state: str) -> None:
        """From now on, the response to the login with this `state` is the one that is waited for."""
        self._state = state

    def wait(self, timeout: float) -> str:
        """The URL that the browser came back to. Requests for anything else, and responses with another `state`, are answered with 404."""
        self._event.wait(timeout)
        if self._received is None:
            raise FlowFailed("login_expired", f"no one came back from the login within {timeout:.0f} seconds; begin it again")
        return self._received

    def _expects(self, target: str) -> bool:
        """Whether a request is the expected response: any page in the user's browser can send others here (RFC 8252 section 8.9)."""
        path, _, query = target.partition("?")
        if path != self._path or self._state is None:
            return False
        try:
            states = parse_qs(query, keep_blank_values=True, max_num_fields=100).get("state", [])
        except ValueError:
            return False
        return len(states) == 1 and hmac.compare_digest(states[0].encode(), self._state.encode())
