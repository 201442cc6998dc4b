"""The whole example with one command: `python main.py` starts `keybound serve` and the API, and runs the client."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Runs it all on free ports."""
    program = os.environ.get("KEYBOUND_PROGRAM") or shutil.which("keybound")
    if program is None:
        print("the program keybound is not found; install it (cargo install keybound-cli) or name it in KEYBOUND_PROGRAM")
        return 2
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}"
    serve = [program, "serve", "--listen", "127.0.0.1:0", "--format", "json", "--resource", api]
    with started(serve, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        issuer = json.loads(server.stdout.readline())["issuer"]
        environment = {**os.environ, "NOTES_URL": api, "NOTES_ISSUER": issuer}
        uvicorn = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--port", str(port), "api:app"]
        with started(uvicorn, env=environment):
            await_port(port)
            return subprocess.run([sys.executable, "client.py"], cwd=HERE, env=environment, check=False).returncode


@contextlib.contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, cwd=HERE, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


def await_port(port: int) -> None:
    """Waits until somebody listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("the API does not listen")


if __name__ == "__main__":
    sys.exit(main())
