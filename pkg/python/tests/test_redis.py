"""Replay stores in Redis and Valkey: one proof is accepted once, whatever happens to servers, connections, threads and tasks."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio

from keybound import (
    AsyncReplayStore,
    Insertion,
    Key,
    Misuse,
    NonceKey,
    Nonces,
    Policy,
    Presented,
    Refused,
    ReplayEntry,
    ReplayStore,
    ResourceServer,
    Verifier,
    _redis_store,
    proof,
)
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from redis_servers import KINDS, RedisServer, cluster
from test_servers import API, Network, fields, made
from test_shared_work import incoming

URL = "https://api.example.com/items"
SECRET = bytes(range(32))
POLICY = Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=SECRET),)))
VERIFIER = Verifier(policy=POLICY)
KEY = Key.generate()
NAMES = itertools.count()

FRESH, SEEN, UNAVAILABLE, BEFORE_FLOOR = Insertion.FRESH, Insertion.SEEN, Insertion.UNAVAILABLE, Insertion.BEFORE_FLOOR


def text(epoch: str) -> str:
    """A proof that says by its nonce that it was made in this life of the store."""
    nonce = VERIFIER.fresh_nonce("token", epoch=epoch)
    return proof(key=KEY, method="GET", url=URL, nonce=nonce)


def entry(epoch: str) -> ReplayEntry:
    """The same as stores see it."""
    presented = Presented(proof=text(epoch), method="GET", url=URL, epoch=epoch)
    return VERIFIER.check(presented).entry


def namespace() -> str:
    """One that no other test has."""
    return f"test-{next(NAMES)}"


class Opened:
    """A store of either kind, which answers as one that blocks."""

    def __init__(self, kind: str, client: Callable[[Any], Any], **options: Any) -> None:
        # Longer than by default: machines of tests may have other work.
        options = {"policy": POLICY, "namespace": namespace(), "answer_timeout": 5, **options}
        self.kind, self.loop = kind, asyncio.new_event_loop()
        self.later = 0
        self.stands_at: int | None = None
        if kind == "threads":
            self.client: Any = client(redis)
            self.store: Any = RedisReplayStore.open(self.client, **options)
        else:
            self.client = client(redis.asyncio)
            try:
                self.store = self.run(AsyncRedisReplayStore.open(self.client, **options))
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

    def close(self) -> None:
        if self.kind == "threads":
            self.store.close()
            self.client.close()
        else:
            if hasattr(self, "store"):
                self.run(self.store.aclose())
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
    store = opened(own, answer_timeout=0.25, now=now)
    store.stands_at = now
    assert store.one(store.entry()) is FRESH
    before, lost, others = own.calls("set"), store.entry(), [store.entry() for _ in range(8)]
    own.pause()

    # The time-out is a quarter of a second, to which a machine with other work adds its own.
    def waits_for(ask: Callable[[], list[Insertion]]) -> float:
        begun = time.monotonic()
        assert set(ask()) == {UNAVAILABLE}
        return time.monotonic() - begun

    assert 0.2 < waits_for(lambda: store.insert(lost)) < 0.4
    # Nobody else waits, but for one a second, who tries to connect again.
    assert waits_for(lambda: store.insert(*others)) < 0.2
    store.soon()
    assert waits_for(lambda: store.insert(*others)) < 0.4
    status = store.store.status()
    assert not status.is_open and status.fault.name in ("lost", "unreachable") and not status.fault.is_configuration
    own.go_on()
    store.soon()
    assert store.one(lost) in (SEEN, BEFORE_FLOOR)
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


@pytest.mark.parametrize(
    "options",
    [
        {"decode_responses": True},
        {"protocol": 3, "health_check_interval": 1, "client_name": "app", "db": 3},
        {"socket_timeout": 0.000001, "max_connections": 1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_the_settings_of_a_client_for_its_own_commands_do_not_matter(server: RedisServer, opened: Open, options: dict[str, Any]) -> None:
    store = opened(server, options)
    asked = store.entry()
    assert sorted(store.insert(*[asked] * 4)) == sorted([FRESH] + [SEEN] * 3)
    with server.admin as admin:
        admin.flushall()
    assert store.one(asked) is BEFORE_FLOOR


def test_clients_of_valkey_py(server: RedisServer) -> None:
    name = namespace()
    with valkey.Valkey(port=server.port) as client:
        store = RedisReplayStore.open(client, policy=POLICY, namespace=name)
        asked = entry(store.epoch)
        assert store.insert(asked, now=int(time.time())).insertion is FRESH
        store.close()

    async def story() -> None:
        async with valkey.asyncio.Valkey(port=server.port) as client:
            store = await AsyncRedisReplayStore.open(client, policy=POLICY, namespace=name)
            assert (await store.insert(asked, now=int(time.time()))).insertion is SEEN
            await store.aclose()

    asyncio.run(story())


def test_an_acl_without_config_suffices(server: RedisServer, opened: Open) -> None:
    name = namespace()
    user: dict[str, Any] = {"username": "kb", "password": "a-password"}
    rights = ["reset", "on", ">a-password", f"~{{kb1:{name}}}*", "-@all", "+set", "+get", "+getex", "+info", "+wait"]
    with server.admin as admin:
        admin.execute_command("ACL", "SETUSER", "kb", *rights)
        try:
            store = opened(server, user, namespace=name)
            asked = store.entry()
            assert [store.one(asked), store.one(asked)] == [FRESH, SEEN]
            assert "a-password" not in f"{store.store!r} {store.store.status()!r}"
            with pytest.raises(Misuse, match="check those of the client") as told:
                opened(server, {**user, "password": "wrong"}, namespace=name)
            assert told.value.reason == "credentials"
            admin.execute_command("ACL", "SETUSER", "kb", "-info")
            with pytest.raises(Misuse, match="may not run INFO") as told:
                opened(server, user, namespace=name)
            assert told.value.reason == "forbidden"
            # One that is open already answers nothing until it may again.
            assert store.one(store.entry()) is UNAVAILABLE
            assert store.store.status().fault.name == "forbidden"
            admin.execute_command("ACL", "SETUSER", "kb", "+info")
            store.soon()
            assert store.one(store.entry()) is FRESH
        finally:
            admin.execute_command("ACL", "DELUSER", "kb")


def test_allkeys_lru_is_refused_at_start(own: RedisServer, opened: Open) -> None:
    with own.admin as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Misuse, match="CONFIG SET maxmemory-policy noeviction") as told:
            opened(own)
        assert told.value.reason == "evicts"
        admin.config_set("maxmemory-policy", "noeviction")
        assert opened(own).store.status().is_open


def test_replicas_are_waited_for(own: RedisServer, opened: Open) -> None:
    with RedisServer(own.kind, "--replicaof", "127.0.0.1", str(own.port)) as replica:
        until = time.monotonic() + 20
        with own.admin as admin:
            while not (admin.set("key", "value") and admin.wait(1, 100)):
                assert time.monotonic() < until, "the replica is not there"
                time.sleep(0.02)
        with pytest.raises(Misuse, match="wait_for_replicas") as told:
            opened(own)
        assert told.value.reason == "needs_replicas"
        with pytest.raises(Misuse, match="replica") as told:
            opened(replica)
        assert told.value.reason == "not_primary"
        opened(own, danger_accept_split_brain=True)
        store = opened(own, wait_for_replicas=1, replicas_within_ms=400)
        asked = store.entry()
        assert [store.one(asked), store.one(asked)] == [FRESH, SEEN]
        replica.pause()
        assert store.one(store.entry()) is UNAVAILABLE
        assert store.store.status().fault.name == "not_acknowledged"


def test_another_policy_is_told_of(server: RedisServer, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    name = namespace()
    store = opened(server, namespace=name)
    with pytest.raises(Misuse, match="namespace") as told:
        opened(server, namespace=name, policy=Policy(max_age=20))
    assert told.value.reason == "disagrees"
    # A verifier whose policy is another than that of its store.
    verifier = Verifier(policy=Policy(max_age=20))
    presented = Presented(proof=proof(key=KEY, method="GET", url=URL), method="GET", url=URL, epoch=store.epoch)
    for _ in range(2):
        assert store.one(verifier.check(presented).entry) is UNAVAILABLE
    assert sum("another policy" in record.message for record in caplog.records) == 1


def test_a_store_is_opened_where_nothing_can_be_awaited(server: RedisServer) -> None:
    async def story() -> None:
        # A server imports the application in its event loop.
        client = redis.asyncio.Redis(port=server.port)
        store = AsyncRedisReplayStore.open_blocking(client, policy=POLICY, namespace=namespace())
        assert store.status().is_open
        asked = entry(store.epoch)
        answers = [(await store.insert(asked, now=int(time.time()))).insertion for _ in range(2)]
        assert answers == [FRESH, SEEN]
        await store.aclose()
        with pytest.raises(Misuse, match="namespace="):
            AsyncRedisReplayStore.open_blocking(client)  # type: ignore[call-arg]

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_event_loops_that_ended_leave_no_connections(server: RedisServer) -> None:
    client = redis.asyncio.Redis(port=server.port)
    store = AsyncRedisReplayStore.open_blocking(client, policy=POLICY, namespace=namespace())
    with server.admin as admin:
        before = admin.info("clients")["connected_clients"]
        for _ in range(8):
            assert asyncio.run(store.insert(entry(store.epoch), now=int(time.time()))).insertion is FRESH
        gc.collect()
        assert admin.info("clients")["connected_clients"] <= before + 1


def test_calls_of_one_turn_share_a_batch(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=server.port))
    before = server.calls("getex")
    assert set(store.insert(*(store.entry() for _ in range(300)))) == {FRESH}
    assert server.calls("getex") - before == 2
    # What does not find a place in the queue is refused at once.
    monkeypatch.setitem(_redis_store.LIMITS, "queue", 8)
    answers = store.insert(*(store.entry() for _ in range(20)))
    assert answers == [FRESH] * 8 + [UNAVAILABLE] * 12
    assert store.store.status().is_open
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_connections_of_its_own(server: RedisServer, opened: Open) -> None:
    store = opened(server)
    asked, other, epoch = store.entry(), store.entry(), store.epoch
    assert store.one(asked) is FRESH
    admin = server.admin
    connected = admin.info("stats")["total_connections_received"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run in the child.
        said = "?"
        try:
            store.loop = asyncio.new_event_loop()
            is_same = store.epoch == epoch
            said = f"{is_same} {store.one(asked).value} {store.one(other).value} {store.epoch == epoch} {store.store.status().lives}"
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    # Both use the store at the same time.
    mine = [store.entry() for _ in range(50)]
    assert [store.one(each) for each in mine] == [FRESH] * 50
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert answer.read() == "True seen fresh True 1"
    assert admin.info("stats")["total_connections_received"] > connected
    admin.close()
    assert [store.one(asked), store.one(other), store.one(store.entry())] == [SEEN, SEEN, FRESH]


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_the_node_of_a_cluster_that_has_the_namespace(server: RedisServer, kind: str) -> None:
    with cluster(server.kind) as nodes:
        name = namespace()
        slot = redis.crc.key_slot(f"{{kb1:{name}}}".encode())
        owner, other = nodes if slot < 8192 else nodes[::-1]
        with pytest.raises(Misuse, match="redis.RedisCluster") as told:
            Opened(kind, lambda library: library.Redis(port=other.port), namespace=name, danger_accept_split_brain=True)
        assert told.value.reason == "moved" and str(owner.port) in told.value.detail

        def client(library: Any) -> Any:
            return library.RedisCluster(host="127.0.0.1", port=other.port)

        with pytest.raises(Misuse, match="wait_for_replicas"):
            Opened(kind, client, namespace=name)
        store = Opened(kind, client, namespace=name, danger_accept_split_brain=True)
        asked = store.entry()
        assert [store.one(asked), store.one(asked)] == [FRESH, SEEN]
        # The namespace moves: to another server, and so into another life.
        with owner.admin as old, other.admin as new:
            identity = new.execute_command("CLUSTER MYID")
            old.flushall()
            for admin in (new, old):
                admin.execute_command("CLUSTER SETSLOT", slot, "NODE", identity)
        assert store.one(asked) is UNAVAILABLE
        until = time.monotonic() + 10
        while not store.store.status().is_open:
            assert time.monotonic() < until, "the store does not follow"
            store.run(asyncio.sleep(0.02))
        assert store.one(asked) is BEFORE_FLOOR
        assert store.one(store.entry()) is FRESH
        assert store.store.status().lives == 2
        store.close()


def client_of(library: Any = redis, **options: Any) -> Any:
    """A client that is never connected."""
    return library.Redis(**options)


@pytest.mark.parametrize(
    ("store", "client", "options", "reason", "told"),
    [
        (RedisReplayStore, "redis://:a-password@127.0.0.1", {}, "client_type", "and this is a str; write redis.Redis.from_url"),
        (RedisReplayStore, None, {}, "client_type", "this is a NoneType"),
        (RedisReplayStore, client_of(redis.asyncio), {}, "client_type", "await AsyncRedisReplayStore.open"),
        (AsyncRedisReplayStore, client_of(), {}, "client_type", "write RedisReplayStore.open"),
        (AsyncRedisReplayStore, redis.ConnectionPool(), {}, "client_type", "redis.asyncio.Redis"),
        (RedisReplayStore, client_of(), {"namespace": ""}, "missing_option", 'namespace="api"'),
        (RedisReplayStore, client_of(), {"namespace": 1}, "wrong_type", "namespace is a text"),
        (RedisReplayStore, client_of(), {"namespace": "Items"}, "misuse", "a-z 0-9"),
        (RedisReplayStore, client_of(), {"name_space": "api"}, "unknown_option", "write namespace=…"),
        (RedisReplayStore, client_of(), {"policy": "fapi2"}, "wrong_type", "write policy=Policy"),
        (RedisReplayStore, client_of(), {"clocks_within": 1000}, "misuse", "clocks_within"),
        (RedisReplayStore, client_of(), {"clocks_within": "10"}, "wrong_type", "clocks_within is a whole number"),
        (RedisReplayStore, client_of(), {"wait_for_replicas": -1}, "wrong_type", "wait_for_replicas"),
        (RedisReplayStore, client_of(), {"answer_timeout": 0}, "wrong_type", "answer_timeout=0.25"),
        (RedisReplayStore, client_of(), {"danger_plaintext": "yes"}, "wrong_type", "danger_plaintext is True or False"),
        (RedisReplayStore, client_of(), {"danger_ignore_server_clock": 1}, "wrong_type", "True or False"),
        (RedisReplayStore, client_of(host="redis.example.com"), {}, "plaintext", "write rediss:// or ssl=True"),
        (AsyncRedisReplayStore, client_of(redis.asyncio, host="192.0.2.1"), {}, "plaintext", "danger_plaintext=True"),
        (RedisReplayStore, client_of(host="redis.example.com", ssl=True, ssl_check_hostname=False), {}, "plaintext", "any certificate"),
        (RedisReplayStore, client_of(host="redis.example.com", ssl=True, ssl_cert_reqs="none"), {}, "plaintext", "ssl_cert_reqs='required'"),
        (
            RedisReplayStore,
            redis.sentinel.Sentinel([("127.0.0.1", 1)]).master_for("main"),
            {},
            "plaintext",
            "on another machine",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_mistakes_are_told(store: Any, client: Any, options: dict[str, Any], reason: str, told: str) -> None:
    def use() -> None:
        given = store.open(client, **{"policy": POLICY, "namespace": "api", **options})
        if store is AsyncRedisReplayStore:
            asyncio.run(given)

    with pytest.raises(Misuse) as error:
        use()
    assert error.value.reason == reason and told in error.value.detail
    assert "a-password" not in error.value.detail


def test_stores_are_opened() -> None:
    async def client() -> Any:
        return client_of(redis.asyncio)

    for store in (RedisReplayStore, AsyncRedisReplayStore):
        with pytest.raises(Misuse, match="open") as told:
            store(client_of(), policy=POLICY, namespace="api")
        assert told.value.reason == "made_by_open"
    with pytest.raises(Misuse, match="not awaited yet"):
        RedisReplayStore.open(client(), namespace="api")
    with pytest.raises(Misuse, match=r"redis\.Redis\.from_url"):
        RedisReplayStore.open(namespace="api")
    awaited = AsyncRedisReplayStore.open(client_of(redis.asyncio), namespace="api")
    with pytest.raises(Misuse, match="await"):
        ResourceServer(resource=API, issuers=["https://as.example.com"], store=awaited)  # type: ignore[arg-type]
