"""What type checkers find in programs that use the package: each line below with a comment is an error, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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

REASONS = """
from keybound import Explanation, FlowFailed, HostFailed, KeyboundError, Misuse, ProofRejected, Reason, Refusal, Rejection, Verifier, Presented
from keybound.redis import RedisReplayStore


def told(error: KeyboundError, refusal: Refusal, explained: Explanation, verifier: Verifier, shown: Presented, store: RedisReplayStore) -> None:
    error.reason == "replayed"
    error.reason == "not_text"
    error.reason == "replayd"  # type: ignore[comparison-overlap]
    error.reason in ("iat_too_old", "evicts", "network")
    named: str = error.reason
    known: Reason = error.reason
    refusal.reason == "token_expired"
    refusal.reason == "token_expird"  # type: ignore[comparison-overlap]
    explained.reason == "ath_mismatch"
    explained.reason == "token_expired"  # type: ignore[comparison-overlap]
    verifier.refuse("replayed", shown)
    verifier.refuse("replay", shown)  # type: ignore[arg-type]
    fault = store.status().fault
    assert fault is not None
    fault.name == "unreachable"
    fault.name == "unreachble"  # type: ignore[comparison-overlap]
    HostFailed("host", "the database is down")
    FlowFailed("interrupted", "")
    Misuse("wrong_typ", "")  # type: ignore[arg-type]


why: dict[Rejection, str] = {"replayed": "used before", "replay": ""}  # type: ignore[dict-item]
"""


def checked(code: str, folder: Path) -> str:
    """What mypy says of a program. An error that is not there any more is one, too."""
    (folder / "program.py").write_text(code)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "program.py"]
    return subprocess.run(mypy, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


@pytest.mark.parametrize("code", [PROOFS, REASONS], ids=["a forgotten access token", "a misspelt reason"])
def test_mypy_finds(code: str, tmp_path: Path) -> None:
    told = checked(code, tmp_path)
    assert told.startswith("Success"), told
