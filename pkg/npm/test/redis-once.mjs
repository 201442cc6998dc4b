// Inserts proofs into a store in Redis, for tests that start several processes: node redis-once.mjs URL NAMESPACE SECRET [ioredis|redis]
//
// It prints the epoch of the store, reads one proof a line, and prints what became of each: fresh, seen, … Proofs are made for
// GET https://api.example.com/items without a token, with nonces of a token endpoint; SECRET is that of nonce key 1, 64 hex digits.
import { createInterface } from 'node:readline';

import { Redis } from 'ioredis';
import { Verifier } from 'keybound';
import { RedisReplayStore } from 'keybound/redis';
import { createClient } from 'redis';

const [server, namespace, secret, library = 'ioredis'] = process.argv.slice(2);
const policy = { nonces: { keys: [{ id: 1, secret: Buffer.from(secret, 'hex').toString('base64url') }] } };
const client = library === 'ioredis' ? new Redis(server, { lazyConnect: true }) : createClient({ url: server });
const store = await RedisReplayStore.open({ client, namespace, policy });
const verifier = new Verifier({ ...policy, store });
console.log(store.epoch());
for await (const line of createInterface({ input: process.stdin })) {
  const { entry } = verifier.check({ method: 'GET', url: 'https://api.example.com/items', proof: line, atAuthorizationServer: true });
  console.log((await store.insert(entry)).insertion);
}
store.close();
