"""Where a program's login comes back to: a loopback address that takes one answer (RFC 8252 section 7.3)."""

from __future__ import annotations

import http.server
import threading
from typing import Any
from urllib.parse import urlsplit

from .errors import FlowFailed, Misuse

__all__ = ["Loopback"]


class Loopback:
    """Receives the browser's return on a loopback address, once."""

    def __init__(self, redirect_uri: str | None) -> None:
        parts = urlsplit(redirect_uri or "")
        if parts.hostname not in ("127.0.0.1", "::1", "localhost") or parts.port is None:
            raise Misuse("redirect_uri", "a login in this program comes back to loopback: http://127.0.0.1:7777/callback")
        self._path, self._url = parts.path or "/", f"{parts.scheme}://{parts.netloc}"
        self._received: list[str] = []
        self._event = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                expected = urlsplit(self.path).path == outer._path and "state=" in self.path
                self.send_response(200 if expected else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(b"You can close this window now.\n" if expected else b"not found\n")
                if expected and not outer._received:
                    outer._received.append(outer._url + self.path)
                    outer._event.set()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the URL holds the code."""

        host = "::1" if parts.hostname == "::1" else "127.0.0.1"
        self._server = http.server.ThreadingHTTPServer((host, parts.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, timeout: float) -> str:
        """The URL that the browser came back to."""
        if not self._event.wait(timeout):
            raise FlowFailed("login_expired", f"nobody came back from the login within {timeout:.0f} seconds; begin it again")
        return self._received[0]
