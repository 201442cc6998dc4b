"""Conversations with a Redis server (`tests/vectors/redis`): the same commands and outcomes as in all languages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from keybound import _keybound
from vectors import TESTS

STORIES = sorted((TESTS / "vectors" / "redis").glob("*.json"))


class Player:
    """One conversation. Epochs are random, and have names in the vectors."""

    def __init__(self, story: dict[str, Any]) -> None:
        self.story = story
        self.epochs: dict[str, int] = {}
        self.redis = _keybound.RedisReplay(story["namespace"], json.dumps(story["options"]))

    def name_of(self, number: int) -> str:
        """The name of an epoch, a new one unless it was seen before."""
        for name, known in self.epochs.items():
            if known == number:
                return name
        name = f"{{epoch{len(self.epochs) + 1}}}"
        self.epochs[name] = number
        return name

    def named(self, text: str, base: int) -> str:
        """A text with names for its epochs."""
        epochs = r"(?<!\S)[0-9a-f]{16}(?!\S)" if base == 16 else r"(?<!\S)[0-9]{13,}(?!\S)"
        return re.sub(epochs, lambda found: self.name_of(int(found[0], base)), text)

    def filled(self, text: str, base: int) -> str:
        """A text with epochs for their names."""
        for name, number in self.epochs.items():
            text = text.replace(name, f"{number:016x}" if base == 16 else str(number))
        return text

    def reply(self, text: str) -> str:
        kind, said = text[:1], text[1:]
        if not said.startswith("@"):
            return kind + self.filled(said, 16)
        return kind + "\r\n".join(self.story["texts"][name] for name in said[1:].split("+"))

    def begin(self, step: dict[str, Any]) -> _keybound.RedisTurn:
        if "insert" not in step:
            return self.redis.open(step["now"])
        entries = _keybound.Entries()
        for entry in step["insert"]:
            entries.add(_keybound.Entry.parse(self.filled(json.dumps(entry), 10)))
        return self.redis.batch(entries, step["now"])

    def play(self) -> None:
        for step in self.story["steps"]:
            turn = self.begin(step)
            for expected in step["turns"]:
                commands = json.loads(turn.commands() or "null")
                assert [[self.named(argument, 16) for argument in command] for command in commands] == expected["commands"]
                if "replies" in expected:
                    turn = turn.resume([self.reply(reply) for reply in expected["replies"]], step["now"])
                else:
                    turn = turn.lost()
            assert turn.commands() is None
            outcome = json.loads(turn.outcome() or "null")
            for answer in outcome["answers"]:
                answer["epoch"] = self.named(answer["epoch"], 10)
            assert outcome == step["outcome"]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_conversations(path: Path) -> None:
    Player(json.loads(path.read_text())).play()


def test_a_conversation_that_ends_otherwise_is_noticed() -> None:
    story = json.loads((TESTS / "vectors" / "redis" / "fresh_and_seen.json").read_text())
    story["steps"][-1]["outcome"]["answers"][0]["insertion"] = "other"
    with pytest.raises(AssertionError):
        Player(story).play()
    assert len(STORIES) >= 8
