// Limits by address, key and client, and the breaker around a store of the program's own.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import express from 'express';
import { Key, MemoryReplayStore, Misuse, proof } from 'keybound';
import { protect as protectExpress } from 'keybound/express';
import { AuthorizationServer, protect } from 'keybound/server';

const [RESOURCE, AS] = ['https://api.example.com', 'https://as.example.com'];
const key = Key.generate();
const closing = [];
after(() => closing.forEach((server) => server.close()));

const pair = await generateKeyPair('ES256');
const keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }];
const token = (by = key) => {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ client_id: 'app', cnf: { jkt: by.thumbprint }, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
    .setIssuer(AS).setAudience(RESOURCE).setSubject('alice').setIssuedAt(now).setExpirationTime(now + 300).sign(pair.privateKey);
};

/** A resource with these options, its clock, and requests to it. */
function world(options) {
  let now = Math.floor(Date.now() / 1000);
  const store = new MemoryReplayStore({ dangerFirstStart: true });
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: AS, keys: { keys } }], store, proofs: { nonces: false }, now: () => now, ...options });
  const send = async (fields, peer = '192.0.2.1') => {
    const decision = await protection.authenticate({ method: 'GET', target: '/a', fields, peer });
    return decision.verdict === 'granted' ? 'granted' : decision.refusal;
  };
  const made = async (by = key) => {
    const shown = await token(by);
    return ['Authorization', `DPoP ${shown}`, 'DPoP', await proof({ key: by, method: 'GET', url: `${RESOURCE}/a`, accessToken: shown })];
  };
  return { send, made, ask: async (by) => send(await made(by)), wait: (seconds) => (now += seconds) };
}

function isLimited(refusal) {
  assert.deepEqual([refusal.status, refusal.reason], [429, 'rate_limited']);
  assert.deepEqual(refusal.headers.find(([name]) => name === 'Retry-After'), ['Retry-After', '1']);
}

test('an address is limited whatever it sends', async () => {
  const { send, made, wait } = world({ limitAddresses: { rate: 1, burst: 2 } });
  assert.equal((await send([])).reason, 'credentials_missing');
  assert.equal((await send([])).reason, 'credentials_missing');
  const good = await made();
  isLimited(await send(good));
  isLimited(await send(['X-Forwarded-For', '192.0.2.9']));
  assert.equal((await send([], '192.0.2.2')).reason, 'credentials_missing');
  wait(1);
  assert.equal(await send(good), 'granted');
});

test('limits go by a clock that cannot be set, where the program gives none', async () => {
  const { send } = world({ limitAddresses: { rate: 1, burst: 1 }, now: undefined });
  assert.equal((await send([])).reason, 'credentials_missing');
  isLimited(await send([]));
});

test('behind a proxy the address is the one it names', async () => {
  const proxies = { addresses: ['10.0.0.1'], family: 'x_forwarded' };
  assert.throws(() => world({ limitAddresses: { rate: 1, burst: 1 }, proxies }), Misuse);
  const { send } = world({ limitAddresses: { rate: 1, burst: 1 }, proxies: { ...proxies, clientAddresses: true } });
  const host = ['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'api.example.com', 'X-Forwarded-For'];
  const seen = [];
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '6.6.6.6, 192.0.2.2']) seen.push((await send([...host, address], '10.0.0.1')).status);
  assert.deepEqual(seen, [401, 429, 401, 429]);
});

test('copies of a request are not charged to its key', async () => {
  const { send, made, ask } = world({ limitKeys: { rate: 1, burst: 2 } });
  const seen = await made();
  assert.equal(await send(seen), 'granted');
  for (let copy = 0; copy < 5; copy += 1) assert.equal((await send(seen)).reason, 'replayed');
  assert.equal(await ask(), 'granted');
  isLimited(await ask());
  assert.equal(await ask(Key.generate()), 'granted');
});

test('a client is limited whatever its keys', async () => {
  const { ask } = world({ limitClients: { rate: 1, burst: 1 } });
  assert.equal(await ask(), 'granted');
  isLimited(await ask(Key.generate()));
});

test('a store that fails is left alone until one request tries', async () => {
  let [asked, isWell] = [0, false];
  const insert = async () => {
    asked += 1;
    if (!isWell) throw new Error('out of order');
    return 'fresh';
  };
  const { ask, wait } = world({ store: { insert }, breaker: { faults: 2, pause: 10 }, onFault: () => {} });
  for (let request = 0; request < 5; request += 1) assert.deepEqual([(await ask()).status, asked], [503, Math.min(request + 1, 2)]);
  isWell = true;
  wait(10);
  assert.deepEqual([await ask(), await ask(), asked], ['granted', 'granted', 4]);
});

test('a token endpoint has limits too', async () => {
  const server = new AuthorizationServer({ store: new MemoryReplayStore({ dangerFirstStart: true }), limitAddresses: { rate: 1, burst: 3 }, limitKeys: { rate: 1, burst: 1 }, now: () => Math.floor(Date.now() / 1000 / 60) * 60 });
  const url = `${AS}/token`;
  const ask = async (grant, peer = '192.0.2.1') => {
    const now = Math.floor(Date.now() / 1000 / 60) * 60;
    const { verdict, refusal } = await server.admit({ method: 'POST', url, client: 'public', grant, peer, proofs: [await proof({ key, method: 'POST', url, now })] });
    return refusal?.reason ?? verdict;
  };
  const stored = { type: 'refresh_token', boundTo: key.thumbprint };
  assert.deepEqual([await ask(stored), await ask(stored)], ['granted', 'rate_limited']);
  assert.deepEqual([await ask({ type: 'client_credentials' }), await ask({ type: 'client_credentials' })], ['granted', 'rate_limited']);
  assert.equal(await ask({ type: 'client_credentials' }, '192.0.2.2'), 'granted');
});

test('express answers 429 with Retry-After', async () => {
  const app = express();
  app.use(protectExpress({ resource: RESOURCE, issuers: [{ issuer: AS, keys: { keys } }], workers: 1, limitAddresses: { rate: 1, burst: 1 } }));
  const server = app.listen(0, '127.0.0.1');
  closing.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${server.address().port}/a`;
  assert.equal((await fetch(url)).status, 401);
  const limited = await fetch(url);
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '1']);
});

test('mistakes are told', () => {
  for (const wrong of [
    { limitKeys: { rate: 0, burst: 1 } }, { limitKeys: { rate: 1 } }, { limitKeys: { rate: 1.5, burst: 1 } }, { limitKeys: [1, 2] }, { limitClients: 10 },
    { limitAddresses: { rate: 1, burst: 1, per: 60 } }, { limitAddresses: { rate: Infinity, burst: 1 } }, { breaker: true }, { breaker: { pause: 301 } }, { limitKey: { rate: 1, burst: 1 } },
  ]) assert.throws(() => world(wrong), Misuse, JSON.stringify(wrong));
  assert.throws(() => new AuthorizationServer({ limitKeys: { rate: 1, burst: 0 } }), Misuse);
});
