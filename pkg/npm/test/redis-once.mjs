// Presents proofs to a store in Redis, as one process of a service: node redis-once.mjs URL NAMESPACE POLICY [ioredis|redis]
//
// POLICY is the JSON text of a policy with the same nonce keys and times in all processes. Each line of the input is the JSON text of a
// request: method, url and proof, and accessToken and boundTo where it has a token. Each line of the output is the insertion, in their order;
// before the first one is the store's epoch, for nonces.
import { createInterface } from 'node:readline';

import { Redis } from 'ioredis';
import { Verifier } from 'keybound';
import { RedisReplayStore } from 'keybound/redis';
import { createClient } from 'redis';

const [url, namespace, text = '{}', library = 'ioredis'] = process.argv.slice(2);
const policy = JSON.parse(text);
const client = library === 'ioredis' ? new Redis(url, { lazyConnect: true }) : createClient({ url });
const store = await RedisReplayStore.open({ client, namespace, policy });
const verifier = new Verifier({ ...policy, store });
console.log(store.epoch());
const answers = [];
for await (const line of createInterface({ input: process.stdin })) answers.push(store.insert(verifier.check(JSON.parse(line)).entry));
for (const { insertion } of await Promise.all(answers)) console.log(insertion);
store.close();
