"""What type checkers find in programs that use the package: each line below with a comment is an error, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROOFS = """
from keybound import AsyncReplayStore, MemoryReplayStore, Presented, averify, explain, verify

store = MemoryReplayStore()
url = "https://api.example.com/"
verify(store=store, proof="", method="GET", url=url, access_token="t", bound_to="b")
verify(store=store, proof="", method="GET", url=url, at_authorization_server=True)
verify(store=store, proof="", method="GET", url=url, at_authorization_server=True, bound_to="b")
verify(store=store, proof="", method="GET", url=url)  # type: ignore[call-overload]
verify(store=store, proof="", method="GET", url=url, bound_to="b")  # type: ignore[call-overload]
verify(store=store, proof="", method="GET", url=url, access_token="t")  # type: ignore[call-overload]
verify(store=store, proof="", method="GET", url=url, at_authorization_server=False)  # type: ignore[call-overload]
verify(store=store, proof="", method="GET", url=url, access_token="t", bound_to="b", at_authorization_server=True)  # type: ignore[call-overload]


async def check(store: AsyncReplayStore) -> None:
    await averify(store=store, proof="", method="GET", url=url, at_authorization_server=True)
    await averify(store=store, proof="", method="GET", url=url)  # type: ignore[call-overload]


Presented(proof="", method="GET", url=url, access_token="t", bound_to="b", epoch=store.epoch)
Presented(proof="", method="GET", url=url, at_authorization_server=True)
Presented(proof="", method="GET", url=url)  # type: ignore[call-overload]
explain(proof="", method="GET", url=url)
"""


def checked(code: str, folder: Path) -> str:
    """What mypy says of a program. An error that is not there any more is one, too."""
    (folder / "program.py").write_text(code)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "program.py"]
    return subprocess.run(mypy, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


def test_a_forgotten_access_token_is_found(tmp_path: Path) -> None:
    assert checked(PROOFS, tmp_path).startswith("Success"), checked(PROOFS, tmp_path)
