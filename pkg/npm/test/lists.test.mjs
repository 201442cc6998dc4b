// A text where a list is meant would be taken apart into its characters: it is refused by its name when the object is made.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Redis } from 'ioredis';
import { Client, Key, MemoryReplayStore, MemoryStore, Misuse, Verifier, proofSync } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';
import { RedisReplayStore } from 'keybound/redis';
import { AuthorizationServer, protect } from 'keybound/server';

const RESOURCE = 'https://api.example.com/v1';
const ISSUER = 'https://as.example.com';
const wrong = (name) => (error) => {
  assert(error instanceof Misuse, String(error));
  assert.equal(error.reason, 'wrong_type');
  assert.match(error.message, new RegExp(`\\b${name}\\b`));
  return true;
};

const resource = (more) => () => protect({ resource: RESOURCE, issuers: [ISSUER], store: { insert: () => 'fresh' }, ...more });
const client = (more) => () => new Client({ level: 'enhanced', ...more }, new MemoryStore());

for (const [name, make] of [
  ['issuers', (list) => resource({ issuers: list })], ['audiences', (list) => resource({ audiences: list })],
  ['scopes', (list) => resource({ scopes: list })], ['alsoOrigins', (list) => resource({ alsoOrigins: list })],
  ['tokenAlgorithms', (list) => resource({ tokenAlgorithms: list })], ['algorithms', (list) => resource({ proofs: { algorithms: list } })],
  ['addresses', (list) => resource({ proxies: { addresses: list, family: 'forwarded' } })],
  ['keys', (list) => resource({ proofs: { nonces: { keys: list } } })],
  ['algorithms', (list) => () => new Verifier({ algorithms: list })], ['algorithms', (list) => () => new AuthorizationServer({ proofs: { algorithms: list } })],
  ['acceptIssuers', (list) => client({ acceptIssuers: list })], ['alsoOrigins', (list) => client({ alsoOrigins: list })],
  ['algorithms', (list) => client({ algorithms: list })], ['credentials', (list) => client({ credentials: list })],
  ['servers', (list) => client({ servers: list })],
]) {
  test(`a text, or anything else than an array, for ${name} is misuse`, () => {
    // A comma that was forgotten leaves a text in brackets.
    for (const given of [ISSUER, 'ES256', '', (ISSUER), new Set([ISSUER]), { 0: ISSUER, length: 1 }, 1, true, null]) assert.throws(make(given), wrong(name));
  });
}

test('options in the spelling of other languages are misuse that says what to write', () => {
  const says = (name) => (error) => error instanceof Misuse && error.reason === 'unknown_option' && error.message.includes(`write ${name}`);
  assert.throws(resource({ challenge_scope: 'read' }), says('challengeScope'));
  assert.throws(resource({ proofs: { max_age: 60 } }), says('maxAge'));
  assert.throws(client({ allow_loopback: true }), says('allowLoopback'));
  assert.throws(client({ credentials: [{ issuer: ISSUER, client_id: 'notes' }] }), says('clientId'));
});

test('an unknown name is shown by one rule, in whichever spelling it is, and a value in its place is not', async () => {
  const secret = `not_an_option_${'but_a_secret_'.repeat(4)}`;
  for (const make of [resource({ [secret]: 1 }), resource({ proofs: { [secret]: 1 } }), () => new Verifier().check({ [secret]: 1 }), () => new MemoryReplayStore({ shares: 1 }) && proofSync({ [secret]: 1 })]) {
    assert.throws(make, (error) => error.reason === 'unknown_option' && /has no such member; /.test(error.message) && !/secret/i.test(error.message));
  }
  await assert.rejects(RedisReplayStore.open({ client: new Redis({ lazyConnect: true }), namespace: 'api', [secret]: 1 }), (error) => error.reason === 'unknown_option' && !/secret/i.test(error.message));
});

test('entries that are no issuer, origin or algorithm are misuse', () => {
  for (const issuers of [[undefined], [1], [[ISSUER]], [{ keys: { keys: [] } }], [{ issuer: [ISSUER], keys: { keys: [] } }]]) {
    assert.throws(resource({ issuers }), wrong('issuers'));
  }
  for (const [name, list] of [['alsoOrigins', [undefined]], ['scopes', [['read']]], ['audiences', [1]]]) assert.throws(resource({ [name]: list }), wrong(name));
});

test('a key set that cannot be read stops the start, not each request', () => {
  assert.throws(resource({ issuers: [{ issuer: ISSUER, keys: { keys: 'k1' } }] }), { reason: 'keys_malformed' });
});

test('scopes to require: one by one, and at least one, or every token would pass', () => {
  for (const { requireScopes } of [forExpress, forFastify, forHono]) {
    for (const scopes of [[], [...''], [['read', 'write']], ['read write'], [''], [undefined]]) assert.throws(() => requireScopes(...scopes), wrong('requireScopes'));
    assert.equal(typeof requireScopes('read', 'write'), 'function');
  }
});

test('what comes with a request is a list where it is one', async () => {
  const key = Key.generate();
  const request = { method: 'POST', url: `${ISSUER}/token` };
  const made = proofSync({ ...request, key });
  const server = new AuthorizationServer();
  const grant = { type: 'authorization_code', boundTo: key.thumbprint };
  await assert.rejects(server.admit({ ...request, client: 'public', grant, proofs: made }), wrong('proofs'));
  await assert.rejects(server.admit({ ...request, client: 'public', grant: { type: 'derived', confirmed: key.thumbprint }, proofs: [made] }), wrong('confirmed'));
  assert.throws(() => new Verifier().check({ ...request, proof: new Set([made]) }), wrong('proof'));
  const protection = resource({})();
  await assert.rejects(protection.authenticate({ method: 'GET', target: '/v1', fields: 'Authorization' }), wrong('fields'));
  const store = new MemoryReplayStore({ dangerFirstStart: true });
  assert.equal((await new Verifier({ store }).verify({ ...request, proof: made, atAuthorizationServer: true })).thumbprint, key.thumbprint);
});
