"""The examples run, by their own tests."""

from __future__ import annotations

import os
import subprocess

import pytest
from loopback import PYTHON, ROOT, program


@pytest.mark.parametrize("name", ["python-store", "python-fastapi"])
def test_an_example(name: str) -> None:
    found = program()
    environment = {**os.environ, **({"KEYBOUND_PROGRAM": found} if found else {})}
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "examples" / name)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
