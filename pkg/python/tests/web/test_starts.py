"""A server with options that cannot be used does not start: whatever serves the application, and however late it is made."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from loopback import PYTHON, free_port
from protected import APPS, DAPHNE, GUNICORN, SERVERS, UVICORN, environment_of, start
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from token_issuer import TokenIssuer

from keybound.starlette import KeyboundMiddleware


def said_at_the_end(command: list[str], env: dict[str, str]) -> str:
    """What a server says that ends by itself."""
    ended = subprocess.run(
        command, env=env, cwd=APPS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True, check=False
    )
    # A parent that ends because its workers did is content with that.
    assert ended.returncode != 0 or "stopping the parent process" in ended.stdout, ended.stdout
    return ended.stdout


SERVERS["fastapi-daphne"] = ([*DAPHNE, "fastapi_app:app"], {})
SERVERS["fastapi-no-lifespan"] = ([*UVICORN, "--lifespan", "off", "fastapi_app:app"], {})
TEXT = ({"public": "/health"}, "write public=['/health']")


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("starlette-h11", *TEXT),
        ("starlette-h11", {"isuers": []}, "isuers"),
        ("fastapi", *TEXT),
        ("flask-gunicorn", *TEXT),
        # These call no lifespan: what is made with the module stops them.
        ("fastapi-daphne", *TEXT),
        ("fastapi-no-lifespan", *TEXT),
        ("django-daphne", *TEXT),
    ],
    ids=str,
)
def test_a_wrong_option_stops_the_start(kind: str, options: dict[str, object], sentence: str, issuer: TokenIssuer) -> None:
    command, env = SERVERS[kind]
    port = free_port()
    said = said_at_the_end([part.format(port=port) for part in command], environment_of(env, port, issuer, WRONG=json.dumps(options)))
    assert sentence in said


def test_a_middleware_that_is_made_too_late_answers_nothing_and_says_why_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Starlette(routes=[Route("/health", lambda _: PlainTextResponse("fine"))])
    app.add_middleware(KeyboundMiddleware, resource="https://api.example.com", issuers=["https://as.example.com"], public="/health")
    # As daphne does it: without a lifespan.
    client = TestClient(app)
    for path in ("/health", "/items"):
        answer = client.get(path)
        assert answer.status_code == 500 and "the log tells" in answer.text
    (said,) = [record.getMessage() for record in caplog.records if record.name == "keybound"]
    assert "write public=['/health']" in said


@pytest.mark.parametrize("command", [[*UVICORN, "--workers", "2", "starlette_app:app"], [*GUNICORN, "-w", "2", "flask_app:app"]], ids=["uvicorn", "gunicorn"])
def test_applications_of_several_workers_do_not_start(command: list[str], issuer: TokenIssuer) -> None:
    port = free_port()
    said = said_at_the_end([part.format(port=port) for part in command], environment_of({}, port, issuer))
    assert "2 worker processes would each remember proofs" in said


@pytest.mark.parametrize(
    ("config", "arguments", "variable", "sentence"),
    [
        ("workers = 2", [], "", "workers=1"),
        ("def on_starting(server): server.num_workers = 2", ["-w", "1"], "", "workers=1"),
        ("", ["-w", "1", "-Rw2"], "", "2 worker processes"),
        ("", [], "-w 1 -Rw2", "2 worker processes"),
    ],
)
def test_workers_that_gunicorn_is_ordered_elsewhere_do_not_start(
    config: str, arguments: list[str], variable: str, sentence: str, issuer: TokenIssuer, tmp_path: Path
) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(config)
    port = free_port()
    command = [part.format(port=port) for part in [*GUNICORN, "--config", str(file), *arguments, "flask_app:app"]]
    assert sentence in said_at_the_end(command, environment_of({"GUNICORN_CMD_ARGS": variable}, port, issuer))


def test_gunicorn_with_one_worker_starts_where_the_application_says_so(issuer: TokenIssuer) -> None:
    with ExitStack() as stack:
        SERVERS["flask-gunicorn-stated"] = ([*GUNICORN, "flask_app:app"], {"WRONG": '{"workers": 1}'})
        assert start(stack, "flask-gunicorn-stated", issuer).send("/health").status == 200


def test_an_application_that_is_made_before_the_fork_does_not_start(issuer: TokenIssuer) -> None:
    command, env = SERVERS["flask-gunicorn"]
    port = free_port()
    said = said_at_the_end([*(part.format(port=port) for part in command), "--preload"], environment_of(env, port, issuer))
    assert "without --preload" in said


@pytest.mark.parametrize("given", ["workers=2", "reload=True"])
def test_workers_that_a_program_orders_are_seen(given: str, issuer: TokenIssuer, tmp_path: Path) -> None:
    port = free_port()
    program = tmp_path / "program.py"
    program.write_text(f"import uvicorn\nif __name__ == '__main__': uvicorn.run('starlette_app:app', port={port}, app_dir={str(APPS)!r}, {given})\n")
    command = [PYTHON, str(program)]
    assert says(command, environment_of({}, port, issuer), "write workers=1", never="Application startup complete")


def test_a_reload_supervisor_with_one_worker_is_recognised(issuer: TokenIssuer) -> None:
    port = free_port()
    command = [PYTHON, "-m", "uvicorn", "--port", str(port), "--reload", "--reload-dir", str(APPS), "starlette_app:app"]
    assert says(command, environment_of({}, port, issuer), "Application startup complete")


def says(command: list[str], env: dict[str, str], sentence: str, never: str | None = None) -> bool:
    """Whether a server says a sentence, after which it is ended."""
    with subprocess.Popen(command, env=env, cwd=APPS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        late = threading.Timer(60, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                assert never is None or never not in line
                if sentence in line:
                    return True
            return False
        finally:
            late.cancel()
            process.terminate()
