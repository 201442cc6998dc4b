"""Inserts proofs into a store in Redis, for tests that start several processes.

`python redis_once.py URL NAMESPACE SECRET` prints the epoch of the store, reads one proof a line, and prints what became of each: `fresh`,
`seen`, … Proofs are made for GET https://api.example.com/items without a token, with nonces of a token endpoint; SECRET is that of nonce
key 1, 64 hex digits.
"""

from __future__ import annotations

import sys
import time

import redis

from keybound import NonceKey, Nonces, Policy, Presented, Verifier
from keybound.redis import RedisReplayStore

URL = "https://api.example.com/items"


def main() -> None:
    """Until there are no more lines."""
    server, namespace, secret = sys.argv[1:]
    policy = Policy(nonces=Nonces(keys=(NonceKey(id=1, secret=bytes.fromhex(secret)),)))
    verifier = Verifier(policy=policy)
    store = RedisReplayStore.open(redis.Redis.from_url(server), policy=policy, namespace=namespace, answer_timeout=5)
    print(store.epoch, flush=True)
    for line in sys.stdin:
        presented = Presented(proof=line.strip(), method="GET", url=URL, at_authorization_server=True, epoch=store.epoch)
        entry = verifier.check(presented).entry
        print(store.insert(entry, now=int(time.time())).insertion.value, flush=True)


if __name__ == "__main__":
    main()
