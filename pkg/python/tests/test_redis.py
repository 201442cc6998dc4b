"""Replay stores in Redis and Valkey: one proof is accepted once, whatever happens to servers, connections, threads and tasks."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from keybound import AsyncReplayStore, Insertion, Key, Refused, ReplayEntry, ReplayStore
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from redis_servers import RedisServer
from redis_stores import POLICY, SECRET, Open, Opened, entry, namespace, opened, own, server, text
from test_servers import Network, made
from test_shared_work import incoming

FRESH, SEEN, UNAVAILABLE, BEFORE_FLOOR = Insertion.FRESH, Insertion.SEEN, Insertion.UNAVAILABLE, Insertion.BEFORE_FLOOR


def test_one_of_many_is_fresh(server: RedisServer, opened: Open) -> None:
    name = namespace()
    stores = [opened(server, namespace=name) for _ in range(2)]
    assert stores[0].epoch == stores[1].epoch and stores[0].store.status().lives == 1
    assert isinstance(stores[0].store, ReplayStore if stores[0].kind == "threads" else AsyncReplayStore)
    asked = stores[0].entry()
    with ThreadPoolExecutor(2) as pool:
        answers = [answer for given in pool.map(lambda store: store.insert(*[asked] * 32), stores) for answer in given]
    assert sorted(answers) == sorted([FRESH] + [SEEN] * 63)


def test_one_of_several_processes_is_fresh(server: RedisServer) -> None:
    command = [sys.executable, str(Path(__file__).with_name("redis_once.py")), server.url, namespace(), SECRET.hex()]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    try:
        epochs = {process.stdout.readline().strip() for process in processes if process.stdout is not None}
        (epoch,) = epochs
        proofs = "".join(f"{text(epoch)}\n" for _ in range(20))
        with ThreadPoolExecutor(3) as pool:
            said = list(pool.map(lambda process: process.communicate(proofs, timeout=30)[0].split(), processes))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [len(answers) for answers in said] == [20, 20, 20]
    for answers in zip(*said, strict=True):
        assert sorted(answers) == ["fresh", "seen", "seen"]


def test_a_client_that_reconnects_silently(own: RedisServer, opened: Open) -> None:
    store = opened(own)
    first = store.entry()
    assert store.one(first) is FRESH
    # Connections end while nobody uses them: no request notices.
    with own.admin as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    assert store.insert(first, store.entry()) == [SEEN, FRESH]
    before = store.epoch
    own.kill()
    own.start()
    assert store.one(first) is BEFORE_FLOOR
    assert store.epoch != before and store.store.status().lives == 2
    assert store.one(first) is BEFORE_FLOOR
    assert store.one(store.entry()) is FRESH


def test_flushall_is_noticed_by_the_next_insert(server: RedisServer, opened: Open) -> None:
    name = namespace()
    store, other = opened(server, namespace=name), opened(server, namespace=name)
    first = store.entry()
    assert store.one(first) is FRESH
    with server.admin as admin:
        admin.flushall()
    assert store.one(first) is BEFORE_FLOOR
    # It was stored again, and accepted by nobody.
    assert other.one(first) is SEEN
    assert other.epoch == store.epoch
    again = store.entry()
    assert [other.one(again), store.one(again)] == [FRESH, SEEN]


def test_a_loss_noticed_by_the_insert_costs_one_challenge(server: RedisServer, opened: Open) -> None:
    store = opened(server, policy=None)
    network, key = Network(), Key.generate()
    resource = made("blocking" if store.kind == "threads" else "awaited", network, policy=None, store=store.store)

    def challenge(nonce: str | None) -> str:
        with pytest.raises(Refused) as told:
            resource.authenticate(incoming(network, key, nonce))
        assert told.value.refusal.error == "use_dpop_nonce"
        return dict(told.value.refusal.headers)["DPoP-Nonce"]

    nonce = challenge(None)
    assert resource.authenticate(incoming(network, key, nonce)).subject == "alice"
    with server.admin as admin:
        admin.flushall()
    nonce = challenge(nonce)
    assert resource.authenticate(incoming(network, key, nonce)).subject == "alice"


def test_a_paused_server_times_out_and_nothing_is_repeated(own: RedisServer, opened: Open) -> None:
    # No second passes but for those of the story.
    now = int(time.time())
    store = opened(own, answer_timeout=0.5, now=now)
    store.stands_at = now
    assert store.one(store.entry()) is FRESH
    before, lost, others = own.calls("set"), store.entry(), [store.entry() for _ in range(8)]
    own.pause()

    # The time-out is half a second, to which a machine with other work adds its own.
    def waits_for(ask: Callable[[], list[Insertion]]) -> float:
        begun = time.monotonic()
        assert set(ask()) == {UNAVAILABLE}
        return time.monotonic() - begun

    assert 0.4 < waits_for(lambda: store.insert(lost)) < 1.2
    # The event loop of a program goes on, and its store learns in the same moment that the server is gone. This one stands still between calls.
    until = time.monotonic() + 10
    while store.store.status().is_open:
        assert time.monotonic() < until
        store.run(asyncio.sleep(0.01))
    # Nobody else waits, but for one a second, who tries to connect again.
    assert waits_for(lambda: store.insert(*others)) < 0.4
    store.soon()
    assert waits_for(lambda: store.insert(*others)) < 1.2
    status = store.store.status()
    # On a machine with other work, the program may be what was late.
    assert not status.is_open and status.fault.name in ("lost", "unreachable", "held_up") and not status.fault.is_configuration
    own.go_on()
    store.soon()
    answer = store.one(lost)
    if answer is UNAVAILABLE:
        # The attempt of the second before was still under way, and its time was over before the pause was.
        store.soon()
        answer = store.one(lost)
    assert answer in (SEEN, BEFORE_FLOOR)
    assert own.calls("set") - before <= 4
    assert store.one(store.entry()) is FRESH
    assert store.store.status().is_open


def test_a_killed_server_is_unavailable_and_recovers(own: RedisServer, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(own)
    first = store.entry()
    assert store.one(first) is FRESH
    own.kill()
    with caplog.at_level(logging.INFO, "keybound"):
        assert store.insert(first, first) == [UNAVAILABLE, UNAVAILABLE]
        assert store.one(first) is UNAVAILABLE
        assert {record.levelname for record in caplog.records} == {"WARNING"}
        own.start()
        store.soon()
        assert store.one(first) is BEFORE_FLOOR
    assert store.one(store.entry()) is FRESH
    said = [record.message for record in caplog.records]
    assert len(said) <= 3 and said[-1].endswith("can be used again")


def test_a_server_out_of_reach_does_not_stop_the_start(own: RedisServer, opened: Open) -> None:
    own.kill()
    store = opened(own)
    status = store.store.status()
    assert not status.is_open and status.fault.name == "unreachable" and status.lives == 0
    assert store.one(store.entry()) is UNAVAILABLE
    own.start()
    store.soon()
    # The epoch that was a random number is no longer the store's.
    assert store.one(store.entry()) is BEFORE_FLOOR
    assert store.one(store.entry()) is FRESH


def test_a_cancelled_task_leaves_no_reply_for_another(own: RedisServer) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=own.port))

    async def story() -> None:
        now = int(time.time())
        first, second, third = (store.entry() for _ in range(3))
        own.pause()
        cancelled = asyncio.ensure_future(store.store.insert(first, now=now))
        shared = asyncio.ensure_future(store.store.insert(second, now=now))
        await asyncio.sleep(0.05)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        own.go_on()
        assert (await shared).insertion is FRESH
        assert (await store.store.insert(third, now=now)).insertion is FRESH
        assert (await store.store.insert(first, now=now)).insertion is SEEN
        # One that ends before anything was sent is not sent.
        fourth = store.entry()
        unsent = asyncio.ensure_future(store.store.insert(fourth, now=now))
        await asyncio.sleep(0)
        unsent.cancel()
        assert (await store.store.insert(fourth, now=now)).insertion is FRESH

    store.run(story())
    # A loop that ends while a batch is under way: its connection is not used again.
    own.pause()
    asyncio.run(given_up(store.store, store.entry()))
    own.go_on()
    assert store.one(store.entry()) is FRESH
    store.close()


async def given_up(store: AsyncRedisReplayStore, asked: ReplayEntry) -> None:
    """Begins an insert in a loop that ends at once."""
    task = asyncio.ensure_future(store.insert(asked, now=int(time.time())))
    await asyncio.sleep(0.05)
    assert not task.done()


def test_nothing_is_accepted_twice(own: RedisServer, opened: Open) -> None:
    """Six verifiers present the same proofs while a server is flushed, restarted, paused and cut off; the faults are drawn with a seed."""
    seed = int(os.environ.get("KEYBOUND_SEED", "1"))
    drawn, name = random.Random(seed), namespace()
    stores = [opened(own, namespace=name, answer_timeout=0.25) for _ in range(6)]
    asked = [store.entry() for store in stores for _ in range(4)]
    accepted: Counter[bytes] = Counter()

    def faults() -> None:
        with own.admin as admin:
            for _ in range(int(os.environ.get("KEYBOUND_FAULTS", "20"))):
                time.sleep(drawn.uniform(0, 0.05))
                fault = drawn.choice(["flush", "restart", "pause", "cut off"])
                if fault == "flush":
                    admin.flushall()
                elif fault == "restart":
                    own.kill()
                    own.start()
                elif fault == "pause":
                    own.pause()
                    time.sleep(drawn.uniform(0, 0.3))
                    own.go_on()
                else:
                    admin.client_kill_filter(_type="normal", skipme=True)
        ended.set()

    def present(store: Opened) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        while not ended.is_set():
            # Time passes, so that a store that was closed tries again.
            store.soon()
            given = [*random.sample(asked, 8), store.entry()]
            asked[random.randrange(len(asked))] = given[-1]
            found.update(each.key for each, answer in zip(given, store.insert(*given), strict=True) if answer is FRESH)
            store.later = 0
        return found

    ended = threading.Event()
    with ThreadPoolExecutor(7) as pool:
        harm = pool.submit(faults)
        for found in pool.map(present, stores):
            accepted.update(found)
        harm.result()
    assert accepted and max(accepted.values()) == 1, f"KEYBOUND_SEED={seed}"


class HangUp(BaseException):
    """What a server raises in a thread whose client is gone."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such signals here")
def test_a_thread_that_is_interrupted_leaves_no_reply_for_another(own: RedisServer) -> None:
    client = redis.Redis(port=own.port)
    store = RedisReplayStore.open(client, policy=POLICY, namespace=namespace(), answer_timeout=5)
    now, asked = int(time.time()), entry(store.epoch)

    def hang_up(*_: object) -> None:
        raise HangUp

    before = signal.signal(signal.SIGALRM, hang_up)
    own.pause()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(HangUp):
            store.insert(asked, now=now)
    finally:
        signal.signal(signal.SIGALRM, before)
        own.go_on()
    # One client that hangs up does not stop the store for others, and its connection is gone.
    assert store.status().is_open and store.status().waiting == 0
    assert store.insert(entry(store.epoch), now=now).insertion is FRESH
    assert store.insert(asked, now=now).insertion is SEEN
    store.close()
    client.close()


def test_what_comes_after_its_time_is_not_accepted(server: RedisServer) -> None:
    class Slow(redis.Connection):
        """Each of its replies comes in time, and all of them do not."""

        pause = 0.0

        def read_response(self, *arguments: Any, **options: Any) -> Any:
            time.sleep(self.pause)
            return super().read_response(*arguments, **options)

    client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=Slow, port=server.port))
    store = RedisReplayStore.open(client, policy=POLICY, namespace=namespace(), answer_timeout=1)
    now, asked = int(time.time()), [entry(store.epoch) for _ in range(2)]
    Slow.pause = 0.35
    assert store.insert(asked[0], now=now).insertion is UNAVAILABLE
    Slow.pause = 0.0
    # Replies that are left belong to nobody.
    assert [store.insert(each, now=now + 1).insertion for each in [*asked, asked[1]]] == [SEEN, FRESH, SEEN]
    store.close()
