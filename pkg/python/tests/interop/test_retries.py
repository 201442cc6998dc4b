"""Retries of urllib3: what was never sent is sent again, and nothing else with the same proof."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from loopback import ROOT
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from keybound import Key
from keybound.requests import DPoPAuth

(RETRIES,) = re.findall(r"^retries = (Retry\(.*\))$", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE)


@pytest.fixture
def broken() -> Iterator[tuple[str, list[str]]]:
    """A server that fails once, and the proofs it was sent."""
    proofs: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            proofs.append(self.headers["DPoP"])
            if len(proofs) == 1 and self.path == "/drop":
                self.connection.close()
                return
            self.send_response(503 if len(proofs) == 1 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", proofs
    server.shutdown()
    server.server_close()


def test_with_the_retries_of_the_guide_no_proof_is_sent_twice(broken: tuple[str, list[str]]) -> None:
    url, proofs = broken
    auth = DPoPAuth.for_token("t0ken", key=Key.generate(), resource=url, allow_loopback=True)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=eval(RETRIES)))
        assert session.get(f"{url}/a", auth=auth, timeout=5).status_code == 503
        assert session.get(f"{url}/a", auth=auth, timeout=5).status_code == 200
        proofs.clear()
        with pytest.raises(requests.ConnectionError):
            session.get(f"{url}/drop", auth=auth, timeout=5)
    assert len(proofs) == 1


def test_what_the_guide_warns_of(broken: tuple[str, list[str]]) -> None:
    url, proofs = broken
    auth = DPoPAuth.for_token("t0ken", key=Key.generate(), resource=url, allow_loopback=True)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(3, status_forcelist=[503])))
        session.get(f"{url}/a", auth=auth, timeout=5)
    assert len(proofs) == 2 and proofs[0] == proofs[1]
