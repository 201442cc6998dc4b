"""Requests to servers as vectors (`tests/vectors/requests`): the same steps, the same admissions and refusals as in all languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from request_player import Server
from vectors import read, requests


@pytest.mark.parametrize("path", requests(), ids=lambda path: path.stem)
def test_requests(path: Path) -> None:
    vector = json.loads(path.read_text())
    Server(vector).play(vector["events"])


@pytest.mark.parametrize("path", requests(), ids=lambda path: path.stem)
def test_requests_through_the_driver(path: Path) -> None:
    vector = json.loads(path.read_text())
    if any((event["seen"] or {}).get("step") == "ask" for event in vector["events"]):
        pytest.skip("no source of the host's own is asked in Python")
    Server(vector, driven=True).play(vector["events"])


def test_a_request_that_ends_otherwise_is_noticed() -> None:
    vector = read("vectors/requests/replay.json")
    vector["events"][1]["seen"]["result"]["principal"]["subject"] = "mallory"
    for driven in (False, True):
        with pytest.raises(AssertionError):
            Server(vector, driven=driven).play(vector["events"])
