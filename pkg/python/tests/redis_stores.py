"""Stores in Redis for tests: of both kinds, with proofs that say in which life of the store they were made."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import redis
import redis.asyncio
from keybound import Insertion, Key, NonceKey, Nonces, Policy, Presented, ReplayEntry, Verifier, proof
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from redis_servers import KINDS, RedisServer

URL = "https://api.example.com/items"
SECRET = bytes(range(32))
POLICY = Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=SECRET),)))
VERIFIER = Verifier(policy=POLICY)
KEY = Key.generate()
NAMES = itertools.count()


def text(epoch: str) -> str:
    """A proof that says by its nonce that it was made in this life of the store."""
    nonce = VERIFIER.fresh_nonce("token", epoch=epoch)
    return proof(key=KEY, method="GET", url=URL, nonce=nonce)


def entry(epoch: str) -> ReplayEntry:
    """The same as stores see it."""
    presented = Presented(proof=text(epoch), method="GET", url=URL, at_authorization_server=True, epoch=epoch)
    return VERIFIER.check(presented).entry


def namespace() -> str:
    """One that no other test has."""
    return f"test-{next(NAMES)}"


class Opened:
    """A store of either kind, which answers as one that blocks."""

    def __init__(self, kind: str, client: Callable[[Any], Any], is_found: bool = False, **options: Any) -> None:
        # Longer than by default: machines of tests may have other work.
        options = {"policy": POLICY, "namespace": namespace(), "answer_timeout": 5, **options}
        self.kind, self.loop = kind, asyncio.new_event_loop()
        self.later = 0
        self.stands_at: int | None = None
        self.client: Any = client(redis if kind == "threads" else redis.asyncio)
        try:
            # Clients for threads find the nodes of a cluster when they are made. Tasks may have no time for that on a machine with other work.
            if kind == "tasks" and is_found:
                self.run(self.client.initialize())
            opening = (RedisReplayStore if kind == "threads" else AsyncRedisReplayStore).open(self.client, **options)
            self.store: Any = opening if kind == "threads" else self.run(opening)
        except BaseException:
            self.close()
            raise

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    @property
    def epoch(self) -> str:
        epoch: str = self.store.epoch
        return epoch

    def entry(self) -> ReplayEntry:
        return entry(self.store.epoch)

    def insert(self, *entries: ReplayEntry) -> list[Insertion]:
        """What all are answered that are asked at the same time."""
        now = (self.stands_at or int(time.time())) + self.later
        if self.kind == "threads":
            with ThreadPoolExecutor(len(entries)) as pool:
                return [given.insertion for given in pool.map(lambda each: self.store.insert(each, now=now), entries)]

        async def all_of_them() -> Any:
            return await asyncio.gather(*(self.store.insert(each, now=now) for each in entries))

        return [given.insertion for given in self.run(all_of_them())]

    def one(self, asked: ReplayEntry) -> Insertion:
        return self.insert(asked)[0]

    def soon(self) -> None:
        """A second passes, after which a store tries again."""
        self.later += 1

    def close_store(self) -> None:
        if self.kind == "threads":
            self.store.close()
        else:
            self.run(self.store.aclose())

    def close(self) -> None:
        # There is none if it was not opened.
        if hasattr(self, "store"):
            self.close_store()
        if self.kind == "threads":
            self.client.close()
        else:
            self.run(self.client.aclose())
        self.loop.close()


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One that all tests share who do it no harm."""
    with RedisServer(request.param) as running:
        yield running


@pytest.fixture
def own(server: RedisServer) -> Iterator[RedisServer]:
    """One that a test stops and starts."""
    with RedisServer(server.kind) as running:
        yield running


Open = Callable[..., Opened]


@pytest.fixture(params=["threads", "tasks"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes stores, which are closed at the end."""
    made: list[Opened] = []

    def make(server: RedisServer, client: dict[str, Any] | None = None, **options: Any) -> Opened:
        store = Opened(request.param, lambda library: library.Redis(port=server.port, **(client or {})), **options)
        made.append(store)
        return store

    make.kind = request.param  # type: ignore[attr-defined]
    yield make
    for each in made:
        each.close()
