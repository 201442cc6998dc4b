"""Tests of applications that Keybound protects: an issuer, clients and a clock, without sockets.

    # conftest.py
    pytest_plugins = ["keybound.testing.fixtures"]

    # test_api.py
    from api import app
    from keybound.testing import TestToken

    def test_items(keybound_issuer):
        issuer = keybound_issuer(app)
        alice = issuer.client(TestToken("alice", scopes=["items:read"]))
        assert alice.starlette(app).get("/items").json() == {"hello": "alice"}
        assert alice.thief().starlette(app).get("/items").status_code == 401

What is tested is the application as it is, with its own options: only the keys of its issuer, its clock and its memory store are those of
the test. Programs that serve requests never import this module: its issuer signs whatever it is told, and what admits requests
without a proof is in it under a name that begins with `danger_`.
"""

from .admit import danger_admit
from .client import TestClient
from .clock import TestClock
from .issuer import TestIssuer
from .token import TestToken

__all__ = ["TestClient", "TestClock", "TestIssuer", "TestToken", "danger_admit"]
