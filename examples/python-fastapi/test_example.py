"""The example runs, and the thief stays outside."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(
    not (os.environ.get("KEYBOUND_PROGRAM") or shutil.which("keybound")), reason="the program keybound is not installed"
)
def test_the_example_runs() -> None:
    main = Path(__file__).with_name("main.py")
    ended = subprocess.run([sys.executable, main], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "read ['alice: bound tokens are worthless to a thief']" in ended.stdout
    assert "a thief with the token: 401" in ended.stdout
    assert "a thief with another key: 401" in ended.stdout
