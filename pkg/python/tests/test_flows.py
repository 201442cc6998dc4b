"""Every transcript of a flow is played back: the same steps, the same outcomes (tests/vectors/README.md)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from flow_player import Player
from vectors import flows, read


@pytest.mark.parametrize("path", flows(), ids=lambda path: path.stem)
def test_flow(path: Path) -> None:
    vector = json.loads(path.read_text())
    player = Player(vector)
    for turn in vector["flow"]:
        player.play(turn)


def changed(change: Any) -> None:
    """Plays a transcript that was changed."""
    vector = copy.deepcopy(read("vectors/flows/nonce-api.json"))
    change(vector["flow"])
    player = Player(vector)
    for turn in vector["flow"]:
        player.play(turn)


def test_a_wrong_step_is_noticed() -> None:
    def other_place(flow: Any) -> None:
        step = next(step for step in flow[1]["steps"] if step["step"] == "create_key")
        step["protections"] = ["hsm"]

    def other_proof(flow: Any) -> None:
        requests = [step["request"] for turn in flow for step in turn["steps"] if step["step"] == "fetch"]
        next(request for request in requests if "proof" in request)["proof"]["htu"] = "https://elsewhere.example.com"

    changed(lambda flow: None)
    for change in (other_place, other_proof):
        with pytest.raises(AssertionError):
            changed(change)


def test_a_wrong_outcome_is_noticed() -> None:
    def other_issuer(flow: Any) -> None:
        flow[0]["outcome"]["issuer"] = "https://elsewhere.example.com"

    with pytest.raises(AssertionError):
        changed(other_issuer)
