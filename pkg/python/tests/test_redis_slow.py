"""Replay stores in Redis and Valkey over long ways, with slow servers, and in programs that are busy themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from keybound import Insertion
from redis_relay import Relay
from redis_servers import RedisServer
from redis_stores import Open, Opened, opened, own, server

FRESH, UNAVAILABLE = Insertion.FRESH, Insertion.UNAVAILABLE
#: The time-out of these stores, and what a machine with other work adds to it.
TIMEOUT, MORE = 0.25, 0.15


@pytest.fixture
def relay(own: RedisServer) -> Iterator[Relay]:
    with Relay(own.port) as way:
        yield way


def timed(store: Opened) -> tuple[Insertion, float]:
    """What a new proof is answered, and how long that takes."""
    asked, begun = store.entry(), time.monotonic()
    return store.one(asked), time.monotonic() - begun


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "flushed"])
def test_a_store_far_away_comes_back(own: RedisServer, relay: Relay, opened: Open, is_cut: bool) -> None:
    # The way takes less than the time-out, and an opening takes several of them.
    relay.delay = 0.1
    store = opened(relay, answer_timeout=TIMEOUT)
    assert store.store.status().is_open
    assert store.one(store.entry()) is FRESH
    with own.admin as admin:
        admin.flushall()
    if is_cut:
        relay.cut()
    until = time.monotonic() + 6
    answers: list[Insertion] = []
    while FRESH not in answers:
        assert time.monotonic() < until, answers
        answer, seconds = timed(store)
        assert seconds < TIMEOUT + MORE
        answers.append(answer)
        store.run(asyncio.sleep(0.05))
    assert store.store.status().lives == 2


@pytest.mark.parametrize("delay", [0.15, 0.24])
def test_no_call_takes_longer_than_its_time(own: RedisServer, relay: Relay, opened: Open, delay: float) -> None:
    store = opened(relay, answer_timeout=TIMEOUT)
    assert store.one(store.entry()) is FRESH
    relay.delay = delay
    for _ in range(2):
        relay.cut()
        for _ in range(3):
            assert timed(store)[1] < TIMEOUT + MORE
            store.soon()


def test_replies_that_come_in_pieces_are_late(own: RedisServer, relay: Relay, opened: Open) -> None:
    store = opened(relay, answer_timeout=TIMEOUT)
    assert store.one(store.entry()) is FRESH
    relay.piece, relay.delay = 16, 0.02
    answer, seconds = timed(store)
    assert answer is UNAVAILABLE and seconds < TIMEOUT + MORE
    for _ in range(3):
        store.soon()
        assert timed(store)[1] < TIMEOUT + MORE
    relay.piece, relay.delay = 0, 0.0
    relay.cut()
    until = time.monotonic() + 6
    while timed(store)[0] is not FRESH:
        assert time.monotonic() < until
        store.soon()
        store.run(asyncio.sleep(0.05))


def test_a_burst_that_holds_up_its_event_loop_is_answered(server: RedisServer) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=server.port), answer_timeout=TIMEOUT)
    entries = [store.entry() for _ in range(40)]

    async def one(place: int) -> Any:
        # As the checks of a proof, of which each takes its time before the next.
        time.sleep(0.015)
        return (await store.store.insert(entries[place], now=int(time.time()))).insertion

    async def burst() -> Any:
        return await asyncio.gather(*(one(place) for place in range(len(entries))))

    assert set(store.run(burst())) == {FRESH}
    store.close()


def test_a_time_out_of_the_programs_own_making_has_a_name(own: RedisServer) -> None:
    with Relay(own.port) as relay:
        store = Opened("tasks", lambda library: library.Redis(port=relay.port), answer_timeout=TIMEOUT)
        relay.delay = 0.1

        async def held_up() -> Any:
            asked = asyncio.ensure_future(store.store.insert(store.entry(), now=int(time.time())))
            await asyncio.sleep(0.05)
            time.sleep(0.5)
            return (await asked).insertion

        assert store.run(held_up()) is UNAVAILABLE
        store.run(asyncio.sleep(0.01))
        fault = store.store.status().fault
        assert fault is not None and fault.name == "held_up" and not fault.is_configuration
        store.close()
