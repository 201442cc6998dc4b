"""Mistakes with stores in Redis: a sentence says what to type."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
import redis.asyncio

from keybound import Misuse, ResourceServer
from keybound.redis import AsyncRedisReplayStore, RedisReplayStore
from redis_stores import POLICY
from test_servers import API


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
        (RedisReplayStore, client_of(), {"namespace": "Items"}, "policy_bound", "a-z 0-9 . _ -) is outside its bounds, and this is 'Items'; write namespace=\"api\""),
        (RedisReplayStore, client_of(), {"name_space": "api"}, "unknown_option", "write namespace=…"),
        (RedisReplayStore, client_of(), {"policy": "fapi2"}, "wrong_type", "write policy=Policy"),
        (RedisReplayStore, client_of(), {"clocks_within": 1000}, "policy_bound", "clocks_within"),
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
            {"danger_plaintext": True},
            "client_type",
            "sentinels are not supported; give the store a client of the primary",
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
