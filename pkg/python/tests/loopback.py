"""Servers on loopback for tests: processes that are waited for and ended, and requests written byte by byte."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    """A port that nobody listens on a moment before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    """A response as it came: header names in lower case, one element for each field line."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for field, value in self.headers if field == name]

    def one(self, name: str) -> str:
        """The value of a field that occurs once."""
        (value,) = self.all(name)
        return value

    def json(self) -> dict[str, object]:
        """The body, an object."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def exchange(
    port: int, target: str, fields: Sequence[tuple[str, str]] = (), *, method: str = "GET", timeout: float = 10
) -> Answer:
    """Sends one request exactly as given, its target and repeated fields untouched, and reads the whole answer."""
    head = [f"{method} {target} HTTP/1.1", "Host: elsewhere.example", "Connection: close"]
    head += [f"{name}: {value}" for name, value in fields]
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        received = bytearray()
        while chunk := connection.recv(65536):
            received += chunk
    raw_head, _, body = bytes(received).partition(b"\r\n\r\n")
    lines = raw_head.decode("latin-1").split("\r\n")
    pairs = [line.split(":", 1) for line in lines[1:]]
    headers = tuple((name.lower(), value.strip()) for name, value in pairs)
    if ("transfer-encoding", "chunked") in headers:
        body = b"".join(_chunks(body))
    return Answer(int(lines[0].split(" ")[1]), headers, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    while body:
        length, _, body = body.partition(b"\r\n")
        size = int(length, 16)
        yield body[:size]
        body = body[size + 2 :]


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that listens on `port`; it is ended with the block."""
    process = subprocess.Popen(command, env={**os.environ, **(env or {})}, cwd=cwd, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while True:
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < until, f"{command[0]} does not listen"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def program() -> str | None:
    """The program `keybound`: named by KEYBOUND_PROGRAM, or built in this repository."""
    named = os.environ.get("KEYBOUND_PROGRAM")
    if named:
        return named
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "keybound"
    return str(built) if built.exists() else shutil.which("keybound")


@dataclass(frozen=True)
class Serve:
    """A running `keybound serve`."""

    issuer: str
    resource: str
    client_id: str
    client_secret: str


@contextlib.contextmanager
def serve(*arguments: str) -> Iterator[Serve]:
    """`keybound serve` with these arguments, on a free port."""
    found = program()
    assert found is not None, "build the program (cargo build -p keybound-cli) or name it in KEYBOUND_PROGRAM"
    command = [found, "serve", "--listen", "127.0.0.1:0", "--format", "json", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Serve(said["issuer"], said["resource"], said["client_id"], said["client_secret"])
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


PYTHON = sys.executable
