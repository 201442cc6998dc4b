"""Replay stores in Redis and Valkey: one proof is accepted once however many processes and machines serve a resource.

A client of redis-py (6 or newer) or valkey-py says where the server is (`pip install 'keybound[redis]'`):

    import redis
    from keybound.redis import RedisReplayStore

    store = RedisReplayStore.open(redis.Redis.from_url("rediss://redis.example.com"), policy=policy, namespace="api")

The store makes connections as the client's pool does, but waits for them by its own time-outs and repeats nothing. The client stays the
application's.
"""

from ._redis_store import RedisFault, RedisOptions, RedisStatus
from ._redis_tasks import AsyncRedisReplayStore
from ._redis_threads import RedisReplayStore

__all__ = ["AsyncRedisReplayStore", "RedisFault", "RedisOptions", "RedisReplayStore", "RedisStatus"]
