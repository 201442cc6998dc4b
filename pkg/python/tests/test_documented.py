"""The README: every snippet runs, here or against the servers of tests/web/test_readme.py, and says what it is said to say."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import re
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

import pytest

import keybound
from flow_server import listening
from keybound import Key, KeyboundError, ReplayDetected, proof, verify
from loopback import free_port

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = [code for code in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)]
#: What those snippets have that run there.
ELSEWHERE = (
    "# conftest.py",
    "# settings.py",
    "# test_application.py",
    "# views.py",
    "FastAPI()",
    "Flask(__name__)",
    "import httpx",
    "import redis",
    "import requests",
    "import Key, proof",
    "fresh_nonce(",
    "NonceRequired",
)
HERE = [code for code in SNIPPETS if not any(word in code for word in ELSEWHERE)]


def said(code: str) -> list[str]:
    """What the comments say that is printed."""
    return re.findall(r"^ *print\(.*  # (.*)$", code, re.MULTILINE)


def test_every_snippet_is_run_somewhere() -> None:
    elsewhere = (Path(__file__).parent / "web" / "test_readme.py").read_text()
    assert all(word in elsewhere for word in ELSEWHERE)
    assert len(HERE) == 3
    for code in SNIPPETS:
        compile(code, "README.md", "exec")


@pytest.mark.parametrize("code", [code for code in HERE if "webbrowser" not in code], ids=lambda code: code.split("import ")[1][:20])
def test_snippet(code: str) -> None:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    for line in said(code):
        assert line in ended.stdout.splitlines()


def test_a_store_like_that_of_the_readme() -> None:
    (code,) = [code for code in HERE if "class TableStore" in code]
    found: dict[str, Any] = {}
    exec(code, found)
    store, key = found["TableStore"](), Key.generate()
    text = proof(key=key, method="GET", url="https://api.example.com/")
    verify(store=store, proof=text, method="GET", url="https://api.example.com/", at_authorization_server=True)
    with pytest.raises(ReplayDetected):
        verify(store=store, proof=text, method="GET", url="https://api.example.com/", at_authorization_server=True)


def test_the_login_of_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [code for code in HERE if "webbrowser" in code]
    monkeypatch.chdir(tmp_path)
    with listening() as server:

        def browse(url: str) -> None:
            urllib.request.urlopen(server.login(url), timeout=10).close()

        monkeypatch.setattr(webbrowser, "open", lambda url: threading.Thread(target=browse, args=(url,)).start())
        exec(code.replace("http://127.0.0.1:9449", server.origin).replace("7777", str(free_port())), {})
    assert capsys.readouterr().out == "200\n"


def test_type_checkers_accept_what_is_documented(tmp_path: Path) -> None:
    for number, code in enumerate(SNIPPETS):
        named = re.match(r"# (\w+\.py)\n", code)
        name = named[1] if named else "application.py" if "FastAPI()" in code else f"snippet{number}.py"
        (tmp_path / name).write_text(code)
    ended = subprocess.run([sys.executable, "-m", "mypy", "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_defaults_of_policies_are_as_the_guide_says() -> None:
    key, now = Key.generate(), 1_700_000_000
    asked = {"method": "GET", "url": "https://api.example.com/"}
    for preset, max_age, max_ahead in (("default", 60, 10), ("mcp", 300, 60)):
        policy = keybound.Policy(preset=preset)  # type: ignore[arg-type]
        for distance, reason in ((-max_age, None), (-max_age - 1, "iat_too_old"), (max_ahead, None), (max_ahead + 1, "iat_in_future")):
            made = proof(key=key, now=now + distance, **asked)  # type: ignore[arg-type]
            assert keybound.explain(proof=made, policy=policy, now=now, **asked).reason == reason, (preset, distance)  # type: ignore[arg-type]
    assert keybound.Verifier().algorithms == ("ES256", "Ed25519", "EdDSA", "PS256")
    guide = (Path(__file__).parents[3] / "docs" / "python.md").read_text()
    fields = {field.name for field in dataclasses.fields(keybound.Policy)}
    assert fields <= set(re.findall(r"`(\w+)`", guide[guide.index("## Verdicts") : guide.index("## Sessions in files")]))


def test_the_table_of_errors_is_whole() -> None:
    table = README[README.index("## Errors") : README.index("## How fast")]
    errors = {name for name in keybound.__all__ if inspect.isclass(each := getattr(keybound, name)) and issubclass(each, KeyboundError)}
    assert errors == {name for name in re.findall(r"`(\w+)`", table) if name[0].isupper()} | {"KeyboundError"}


def test_operations_that_the_readme_names() -> None:
    for name in re.findall(r"`([a-z_]+)`", README[README.index("## Log in") : README.index("## Verify a proof yourself")]):
        if name != "keybound":
            assert callable(getattr(keybound.Client, name)), name
            assert asyncio.iscoroutinefunction(getattr(keybound.AsyncClient, name)), name
