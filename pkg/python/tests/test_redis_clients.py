"""Replay stores in Redis and Valkey: clients and their settings, users, policies, replicas, clusters, event loops and forks."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio

from keybound import (
    AsyncResourceServer,
    AuthorizationServer,
    Grant,
    Insertion,
    KeyboundError,
    Misuse,
    Policy,
    Presented,
    ResourceServer,
    Verifier,
    _redis_store,
    proof,
)
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from redis_servers import RedisServer, cluster
from redis_stores import KEY, POLICY, URL, Open, Opened, entry, namespace, opened, own, server

FRESH, SEEN, UNAVAILABLE, BEFORE_FLOOR = Insertion.FRESH, Insertion.SEEN, Insertion.UNAVAILABLE, Insertion.BEFORE_FLOOR


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
        with pytest.raises(Misuse, match=r"write wait_for_replicas=1 to wait .*, or danger_accept_split_brain=True") as told:
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
    presented = Presented(proof=proof(key=KEY, method="GET", url=URL), method="GET", url=URL, at_authorization_server=True, epoch=store.epoch)
    for _ in range(2):
        assert store.one(verifier.check(presented).entry) is UNAVAILABLE
    assert sum("another policy" in record.message for record in caplog.records) == 1
    # A server is not begun with one.
    servers = ResourceServer if store.kind == "threads" else AsyncResourceServer
    given: dict[str, Any] = {"resource": "https://api.example.com", "issuers": ["https://as.example.com"], "store": store.store}
    with pytest.raises(Misuse, match="max_age is 20 s in this policy and .*open the store with the same policy: policy=policy") as told:
        servers(policy=Policy(max_age=20), **given)
    assert told.value.reason == "store_disagreement"
    servers(policy=POLICY, **given)
    # A verifier is given its store with each proof, and refuses before it looks at one.
    unread = Presented(proof="no proof", method="GET", url=URL, at_authorization_server=True)
    for asked in (verifier, Verifier(policy=POLICY)):
        with pytest.raises(KeyboundError) as refused:
            if isinstance(store.store, RedisReplayStore):
                asked.verify(unread, store=store.store)
            else:
                asyncio.run(asked.averify(unread, store=store.store))
        assert refused.value.reason == ("store_disagreement" if asked is verifier else "jwt_malformed")


def test_an_authorization_server_refuses_a_store_of_another_policy(server: RedisServer, opened: Open) -> None:
    store = opened(server).store
    if isinstance(store, AsyncRedisReplayStore):
        return
    request: dict[str, Any] = {"method": "POST", "url": URL, "proof": None, "client": "public", "grant": Grant(type="authorization_code")}
    with pytest.raises(Misuse, match="policy=policy") as told:
        AuthorizationServer(policy=Policy(max_age=20)).admit(store=store, **request)
    assert told.value.reason == "store_disagreement"
    assert AuthorizationServer(policy=POLICY).admit(store=store, **request).token_type == "Bearer"


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
            Opened(kind, client, is_found=True, namespace=name)
        store = Opened(kind, client, is_found=True, namespace=name, danger_accept_split_brain=True)
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
            # Where the first attempt had too little time, the next second's call tries again.
            store.one(store.entry())
        assert store.one(asked) is BEFORE_FLOOR
        assert store.one(store.entry()) is FRESH
        assert store.store.status().lives == 2
        store.close()
