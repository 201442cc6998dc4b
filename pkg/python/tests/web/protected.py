"""The applications of `apps/`, each behind a real server, with an issuer whose tokens they take, and a client of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback import PYTHON, Answer, exchange, free_port, running
from token_issuer import TokenIssuer, token_issuer

from keybound import Key, proof

APPS = Path(__file__).parent / "apps"

UVICORN = [PYTHON, "-m", "uvicorn", "--log-level", "warning", "--port", "{port}"]
GUNICORN = [PYTHON, "-m", "gunicorn", "--log-level", "warning", "--threads", "4", "--bind", "127.0.0.1:{port}"]
# The application says that one process serves it.
ALONE = {"ALONE": "1"}
DAPHNE = [PYTHON, "-m", "daphne", "-v", "0", "-p", "{port}"]

# By what serves them: command and environment.
SERVERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "starlette-h11": ([*UVICORN, "--http", "h11", "starlette_app:app"], {}),
    "starlette-httptools": ([*UVICORN, "--http", "httptools", "starlette_app:app"], {}),
    "fastapi": ([*UVICORN, "fastapi_app:app"], {}),
    "flask-gunicorn": ([*GUNICORN, "flask_app:app"], ALONE),
    "flask-werkzeug": ([PYTHON, "flask_app.py", "{port}"], {}),
    "django-gunicorn": ([*GUNICORN, "django_app:wsgi"], ALONE),
    "django-uvicorn": ([*UVICORN, "django_app:asgi"], {"ASGI": "1"}),
    "starlette-daphne": ([*DAPHNE, "starlette_app:app"], {}),
    "django-daphne": ([*DAPHNE, "django_app:asgi"], {"ASGI": "1"}),
}
#: Those that every test of frameworks runs with.
USUAL = list(SERVERS)
#: The field by which a request states a mount point, by the server that believes it.
MOUNTING = {"daphne": "Daphne-Root-Path", "gunicorn": "SCRIPT_NAME"}


@dataclass
class Protected:
    """A running application, and a client of it."""

    kind: str
    port: int
    origin: str
    issuer: TokenIssuer
    key: Key
    process: subprocess.Popen[bytes]
    nonce: str | None = None

    def token(self, scope: str = "read", **claims: object) -> str:
        """A token for the application, bound to the client's key."""
        return self.issuer.token(f"{self.origin}/api", self.key.thumbprint, scope, **claims)

    def proof(self, path: str, token: str, *, method: str = "GET", nonce: str | None = None) -> str:
        """A proof for a request to the application."""
        url = self.origin + path
        return proof(key=self.key, method=method, url=url, access_token=token, nonce=nonce or self.nonce)

    def send(self, path: str, *fields: tuple[str, str], method: str = "GET") -> Answer:
        """Sends a request as it is, and keeps the nonce of its answer."""
        answer = exchange(self.port, path, fields, method=method)
        for nonce in answer.all("dpop-nonce"):
            self.nonce = nonce
        return answer

    @property
    def is_mounted_by_clients(self) -> bool:
        """Whether the server takes the mount point from a field of the request."""
        return any(server in self.kind for server in MOUNTING)

    def stating(self, mount_path: str) -> list[tuple[str, str]]:
        """The fields that state a mount point."""
        return [(name, mount_path) for name in MOUNTING.values()]

    def call(self, path: str, token: str | None = None, *, proved: str | None = None, method: str = "GET") -> Answer:
        """Sends a request with token and proof; `proved` is the path the proof is for, where that is another one."""
        token = token or self.token()
        if self.nonce is None:
            self.send(path, ("Authorization", f"DPoP {token}"), ("DPoP", self.proof(proved or path, token)))
            assert self.nonce is not None, "a server that has just started asks for its nonce"
        made = self.proof(proved or path, token, method=method)
        return self.send(path, ("Authorization", f"DPoP {token}"), ("DPoP", made), method=method)


@pytest.fixture(scope="session")
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as running_issuer:
        yield running_issuer


def environment_of(env: Mapping[str, str], port: int, issuer: TokenIssuer, **more: str) -> dict[str, str]:
    """The whole environment of a server."""
    return {**os.environ, **env, "ISSUER": issuer.url, "ORIGIN": f"http://127.0.0.1:{port}", **more}


def start(stack: ExitStack, kind: str, issuer: TokenIssuer, **environment: str) -> Protected:
    """Starts the server of this kind."""
    command, env = SERVERS[kind]
    port = free_port()
    command = [part.format(port=port) for part in command]
    env = environment_of(env, port, issuer, **environment)
    process = stack.enter_context(running(command, port, env=env, cwd=APPS))
    return Protected(kind, port, env["ORIGIN"], issuer, Key.generate(), process)


@pytest.fixture(scope="module", params=USUAL)
def protected(request: pytest.FixtureRequest, issuer: TokenIssuer) -> Iterator[Protected]:
    """Each application in turn."""
    with ExitStack() as stack:
        yield start(stack, request.param, issuer)
