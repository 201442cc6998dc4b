"""The snippets of the README run as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from loopback import PYTHON, ROOT, exchange, free_port, program, running, serve
from redis_servers import RedisServer

README = (ROOT / "pkg" / "python" / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
DJANGO = """
SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS = "x", "urls", ["*"]
"""
URLS = """
from django.urls import path
from views import items
urlpatterns = [path("items", items)]
"""


def snippet(word: str) -> str:
    """The one snippet that has this word."""
    (found,) = [code for code in SNIPPETS if word in code]
    return str(found)


def alone(code: str, option: str) -> str:
    """A snippet with what gunicorn asks for besides: that there is one process."""
    stated = code.replace('as.example.com"]', f'as.example.com"], {option}')
    assert stated != code
    return stated


def test_all_snippets_are_among_those_that_run() -> None:
    """Twelve here, and three in `test_documented.py`."""
    assert len(SNIPPETS) == 15


@pytest.mark.parametrize(("word", "said"), [("import Key, proof", "2"), ("fresh_nonce(", "ES256"), ("NonceRequired", "proof_missing False")])
def test_a_snippet_says_what_stands_beside_it(word: str, said: str) -> None:
    ended = subprocess.run([PYTHON, "-c", snippet(word)], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, said), ended.stderr


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_an_application_in_five_lines(framework: str, tmp_path: Path) -> None:
    port = free_port()
    server = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    environment = {"PYTHONPATH": str(tmp_path)}
    if framework == "django":
        (tmp_path / "settings.py").write_text(alone(snippet("# settings.py"), '"workers": 1') + DJANGO)
        (tmp_path / "views.py").write_text(snippet("# views.py"))
        (tmp_path / "urls.py").write_text(URLS)
        environment["DJANGO_SETTINGS_MODULE"] = "settings"
        server += ["django.core.wsgi:get_wsgi_application()"]
    else:
        code = snippet("FastAPI()") if framework == "fastapi" else alone(snippet("Flask(__name__)"), "workers=1")
        (tmp_path / "application.py").write_text(code)
        uvicorn = [PYTHON, "-m", "uvicorn", "--port", str(port), "application:app"]
        server = uvicorn if framework == "fastapi" else [*server, "application:app"]
    with running(server, port, env=environment_with(environment), cwd=tmp_path):
        refused = exchange(port, "/items")
        assert (refused.status, refused.one("www-authenticate").split(" ")[0]) == (401, "DPoP")
        metadata = exchange(port, "/.well-known/oauth-protected-resource").json()
        assert metadata["resource"] == "https://api.example.com"


def test_the_tests_of_an_application(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(snippet("FastAPI()"))
    for comment in ("# conftest.py", "# test_application.py"):
        (tmp_path / comment.removeprefix("# ")).write_text(snippet(comment))
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_two_workers_with_a_store_in_redis(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text("from starlette.applications import Starlette\n\napp = Starlette()\n")
    (tmp_path / "protected.py").write_text(snippet("import redis"))
    port = free_port()
    with RedisServer("redis") as redis:
        environment = environment_with({"PYTHONPATH": str(tmp_path)}) | {"NONCE_KEY": bytes(range(32)).hex(), "REDIS_URL": redis.url}
        server = [PYTHON, "-m", "uvicorn", "--port", str(port), "--workers", "2", "protected:app"]
        with running(server, port, env=environment, cwd=tmp_path):
            refused = exchange(port, "/items")
            assert (refused.status, refused.one("www-authenticate").split(" ")[0]) == (401, "DPoP")
        with redis.admin as admin:
            assert any(key.startswith("{kb1:api}life:") for key in admin.keys())


def environment_with(added: dict[str, str]) -> dict[str, str]:
    """The environment, where this package may be found by PYTHONPATH."""
    import os

    found = os.environ.get("PYTHONPATH")
    return {**added, "PYTHONPATH": os.pathsep.join([added["PYTHONPATH"], *([found] if found else [])])}


@pytest.mark.skipif(program() is None, reason="the program keybound is not built: cargo build -p keybound-cli")
def test_calls(tmp_path: Path) -> None:
    with serve() as server:
        for word, said in (("import httpx", "200"), ("import requests", "403 ('step_up', 'admin')")):
            code = snippet(word).replace("http://127.0.0.1:9449", server.issuer)
            ended = subprocess.run([PYTHON, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert ended.returncode == 0, ended.stderr
            assert ended.stdout.splitlines()[-1] == said
