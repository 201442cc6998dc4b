"""What the tests read from the repository: vectors, flows and the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[3] / "tests"
CONTRACT = TESTS / "contract"


def read(path: str) -> Any:
    """A JSON file below `tests`."""
    return json.loads((TESTS / path).read_text())


def vectors() -> list[dict[str, Any]]:
    """All proofs with their outcomes."""
    return [entry for path in sorted((TESTS / "vectors").glob("*.json")) for entry in json.loads(path.read_text())]


def flows() -> list[Path]:
    """All transcripts of flows."""
    return sorted((TESTS / "vectors" / "flows").glob("*.json"))


def requests() -> list[Path]:
    """All requests to servers."""
    return sorted((TESTS / "vectors" / "requests").glob("*.json"))
