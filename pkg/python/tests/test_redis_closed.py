"""What replay stores in Redis and Valkey leave open: nothing, however a store, a call or an event loop ends.

Servers count their connections. What Python would warn of fails these tests too (`conftest.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keybound import Insertion, Misuse
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from loopback import free_port
from redis_relay import Relay
from redis_servers import RedisServer, cluster
from redis_stores import POLICY, Open, Opened, entry, namespace, opened, own, server

FRESH, UNAVAILABLE, BEFORE_FLOOR = Insertion.FRESH, Insertion.UNAVAILABLE, Insertion.BEFORE_FLOOR


def connected(server: RedisServer) -> int:
    """How many connections a server has, but for the one that asks."""
    with server.admin as admin:
        return int(admin.info("clients")["connected_clients"]) - 1


def is_left(server: RedisServer, count: int) -> None:
    """A server notices in its own time that a connection has ended."""
    until = time.monotonic() + 10
    while (found := connected(server)) != count:
        assert time.monotonic() < until, f"{found} connections, not {count}"
        time.sleep(0.01)


def test_closed_while_a_call_waits_for_its_answer(own: RedisServer, opened: Open) -> None:
    store = opened(own)
    assert store.one(store.entry()) is FRESH
    is_left(own, 1)
    own.pause()
    asked, now = store.entry(), int(time.time())
    if store.kind == "threads":
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(lambda: store.store.insert(asked, now=now).insertion)
            until = time.monotonic() + 10
            while store.store.status().waiting != 1:
                assert time.monotonic() < until
            time.sleep(0.1)
            store.store.close()
            own.go_on()
            assert call.result() is FRESH
    else:

        async def story() -> Insertion:
            call = asyncio.ensure_future(store.store.insert(asked, now=now))
            await asyncio.sleep(0.05)
            asyncio.get_running_loop().call_later(0.1, own.go_on)
            await store.store.aclose()
            return (await call).insertion

        assert store.run(story()) is FRESH
    is_left(own, 0)
    # A store that is asked again opens new ones.
    assert store.one(store.entry()) is FRESH


def test_closed_while_a_call_connects(own: RedisServer) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=own.port), answer_timeout=0.05)
    store.close_store()
    own.pause()

    async def story() -> Insertion:
        call = asyncio.ensure_future(store.store.insert(store.entry(), now=int(time.time())))
        await asyncio.sleep(0.01)
        await store.store.aclose()
        # To connect may take longer than an answer. It is not waited for.
        assert asyncio.all_tasks() <= {asyncio.current_task(), call}
        return (await call).insertion

    assert store.run(story()) is UNAVAILABLE
    own.go_on()
    is_left(own, 0)
    store.close()


def test_closed_before_an_opening_began(own: RedisServer) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=own.port))
    own.kill()
    assert store.one(store.entry()) is UNAVAILABLE
    own.start()
    now = int(time.time())

    async def story() -> Insertion:
        call = asyncio.ensure_future(store.store.insert(store.entry(), now=now + 1))
        await asyncio.sleep(0)
        await store.store.aclose()
        return (await call).insertion

    assert store.run(story()) is UNAVAILABLE
    # It is opened by the next second's call.
    store.later = 2
    assert store.one(store.entry()) is BEFORE_FLOOR
    assert store.one(store.entry()) is FRESH
    store.close()
    is_left(own, 0)


def test_event_loops_that_ended(own: RedisServer) -> None:
    client = redis.asyncio.Redis(port=own.port)
    store = AsyncRedisReplayStore.open_blocking(client, policy=POLICY, namespace=namespace())
    for _ in range(8):
        assert asyncio.run(store.insert(entry(store.epoch), now=int(time.time()))).insertion is FRESH
        # Not when something collects them, or when the next loop asks.
        is_left(own, 0)


# The transports of a loop that was closed like this cannot be closed, and asyncio says so.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_event_loops_that_were_closed_with_all_they_had(own: RedisServer) -> None:
    client = redis.asyncio.Redis(port=own.port)
    store = AsyncRedisReplayStore.open_blocking(client, policy=POLICY, namespace=namespace())
    kept = []
    for _ in range(4):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(store.insert(entry(store.epoch), now=int(time.time()))).insertion is FRESH
        # So that nothing collects them.
        kept.append(list(store._process_state.lanes.values())[-1])  # type: ignore[attr-defined]
        loop.close()
    is_left(own, 1)
    asyncio.run(store.insert(entry(store.epoch), now=int(time.time())))
    is_left(own, 0)


def test_two_event_loops_at_once(own: RedisServer) -> None:
    first = Opened("tasks", lambda library: library.Redis(port=own.port))
    loop = asyncio.new_event_loop()

    async def story() -> Insertion:
        return (await first.store.insert(first.entry(), now=int(time.time()))).insertion

    assert loop.run_until_complete(story()) is FRESH
    is_left(own, 2)
    # The other's are its own.
    first.close_store()
    is_left(own, 1)
    assert loop.run_until_complete(story()) is FRESH
    loop.run_until_complete(first.store.aclose())
    is_left(own, 0)
    loop.close()
    first.close()


def test_an_opening_that_failed_or_was_given_up(own: RedisServer, opened: Open) -> None:
    with own.admin as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.raises(Misuse):
            opened(own)
        is_left(own, 1)
        admin.config_set("maxmemory-policy", "noeviction")
    is_left(own, 0)
    own.pause()

    async def given_up(client: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsyncRedisReplayStore.open(client, policy=POLICY, namespace=namespace()), 0.05)

    if opened.kind == "threads":  # type: ignore[attr-defined]
        with redis.Redis(port=own.port) as client:
            store = RedisReplayStore.open(client, policy=POLICY, namespace=namespace(), answer_timeout=0.05)
        assert not store.status().is_open
    else:
        asyncio.run(given_up(redis.asyncio.Redis(port=own.port)))
    own.go_on()
    is_left(own, 0)


def test_a_call_that_was_cancelled_while_it_looked_for_a_connection(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=own.port))
    looked = asyncio.Event()

    async def looks(_: object) -> bool:
        looked.set()
        await asyncio.sleep(60)
        return False

    monkeypatch.setattr(redis.asyncio.Connection, "can_read", looks, raising=False)
    monkeypatch.setattr(redis.asyncio.Connection, "can_read_destructive", looks, raising=False)

    async def story() -> None:
        # The first call connects, and the second finds that connection.
        assert (await store.store.insert(store.entry(), now=int(time.time()))).insertion is FRESH
        call = asyncio.ensure_future(store.store.insert(store.entry(), now=int(time.time())))
        await looked.wait()
        assert not call.done()

    store.close_store()
    # The end of `asyncio.run` cancels what is under way.
    asyncio.run(story())
    is_left(own, 0)
    store.close()


@pytest.mark.parametrize("ending", ["cut", "paused"])
def test_a_connection_that_was_dropped(own: RedisServer, opened: Open, ending: str) -> None:
    with Relay(own.port) as relay:
        store = opened(relay, answer_timeout=0.25)
        assert store.one(store.entry()) is FRESH
        if ending == "cut":
            relay.cut()
        else:
            own.pause()
            assert store.one(store.entry()) is UNAVAILABLE
            # The loop of a program goes on.
            store.run(asyncio.sleep(0.3))
            own.go_on()
            is_left(own, 0)
        until = time.monotonic() + 10
        while store.one(store.entry()) is not FRESH:
            assert time.monotonic() < until
            store.soon()
        store.close_store()
        is_left(own, 0)


def test_closed_over_tls_while_the_server_is_paused(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
    # Not every build of Valkey has TLS.
    with RedisServer("redis", *options) as own:
        store = Opened("tasks", lambda library: library.Redis(host="127.0.0.1", port=port, ssl=True, ssl_ca_certs=certificate))
        assert store.one(store.entry()) is FRESH
        is_left(own, 1)
        # It does not say goodbye, and is not waited for.
        own.pause()
        store.close()
        own.go_on()
        is_left(own, 0)


def self_signed(folder: Path) -> tuple[str, str]:
    """A certificate for this machine and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kept = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *kept))
    return str(files[0]), str(files[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_that_ends_its_parents_event_loop(own: RedisServer) -> None:
    store = Opened("tasks", lambda library: library.Redis(port=own.port), answer_timeout=2)
    assert store.one(store.entry()) is FRESH
    child = os.fork()
    if child == 0:
        try:
            store.run(store.loop.shutdown_asyncgens())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    # Its parent's connection is as good as before.
    assert store.one(store.entry()) is FRESH
    is_left(own, 1)
    store.close()
    is_left(own, 0)


def test_a_cluster_that_is_found_slowly(server: RedisServer) -> None:
    with cluster(server.kind) as nodes, Relay(nodes[0].port) as relay:
        # Longer than an exchange has, in all.
        relay.delay = 0.6
        store = Opened("tasks", lambda library: library.RedisCluster(host="127.0.0.1", port=relay.port), danger_accept_split_brain=True)
        until = time.monotonic() + 20
        while store.one(store.entry()) is not FRESH:
            assert time.monotonic() < until, store.store.status()
            store.soon()
            store.run(asyncio.sleep(0.1))
        store.close()
