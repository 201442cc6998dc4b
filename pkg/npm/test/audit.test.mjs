// Audit records and counters of servers.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';

import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { Key, MemoryReplayStore, Misuse, proof } from 'keybound';
import { AuthorizationServer, protect } from 'keybound/server';

const RESOURCE = 'https://api.example.com';
const ISSUER = 'https://as.example.com';
const SECRET = Buffer.from(Array.from({ length: 32 }, (_, at) => at + 1));
const key = Key.generate();

/** A client before a resource. */
async function story(more = {}) {
  const pair = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const store = new MemoryReplayStore({ dangerFirstStart: true });
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: ISSUER, keys: { keys: [jwk] } }], store, proofs: { nonces: false }, ...more });
  const claims = { client_id: 'app', jti: 't1', cnf: { jkt: key.thumbprint } };
  const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
    .setIssuer(ISSUER).setAudience(RESOURCE).setSubject('alice').setExpirationTime('5m').sign(pair.privateKey);
  const made = (by = key) => proof({ key: by, method: 'GET', url: `${RESOURCE}/items/7`, accessToken: token });
  const ask = (dpop) =>
    protection.authenticate({ method: 'GET', target: '/items/7?page=2', route: '/items/:id', fields: ['Authorization', `DPoP ${token}`, 'DPoP', dpop] });
  return { protection, token, made, ask };
}

test('a record of each decision is given to the hook', async () => {
  const lines = [];
  const { token, made, ask } = await story({ audit: { key: SECRET.toString('base64url'), to: (record) => lines.push(record) } });
  const first = await made();
  await ask(first);
  await ask(first);
  await ask(await made(Key.generate()));
  await ask('a.b.c');
  const records = lines.map((line) => JSON.parse(line));
  assert.deepEqual(records.map(({ reason }) => reason), [null, 'replayed', 'binding_mismatch', 'base64_non_canonical']);
  assert.deepEqual(records.map(({ thumbprint }) => thumbprint), [key.thumbprint, key.thumbprint, null, null]);
  const named = createHmac('sha256', SECRET).update('t1').digest('base64url');
  assert.deepEqual(records.map((record) => record.token), [named, named, named, null]);
  for (const record of records) {
    assert.equal(record.route, '/items/:id');
    assert.ok(Number.isInteger(record.latency_us) && record.latency_us >= 0);
  }
  for (const secret of [token, first, 'alice', '/items/7']) assert.ok(!lines.join('').includes(secret), secret);
});

test('what was decided is counted', async () => {
  const { protection, made, ask } = await story();
  const first = await made();
  for (let i = 0; i < 3; i += 1) await ask(first);
  assert.deepEqual(protection.counters(), {
    keybound_requests_total: [
      { verdict: 'admitted', reason: 'none', count: 1 },
      { verdict: 'refused', reason: 'replayed', count: 2 },
    ],
    keybound_replays_total: 2,
    keybound_nonce_challenges_total: [],
    keybound_audit_dropped_total: 0,
  });
});

test('a hook that throws is no failure of the request', async () => {
  const faults = [];
  const to = () => { throw new Error('no space'); };
  const { protection, made, ask } = await story({ audit: { key: SECRET.toString('base64url'), to }, onFault: (fault) => faults.push(fault) });
  assert.equal((await ask(await made())).verdict, 'granted');
  assert.deepEqual([faults.map(({ message }) => message), protection.counters().keybound_audit_dropped_total], [['no space'], 1]);
});

test('an authorization server records whose proof it was', async () => {
  const lines = [];
  const server = new AuthorizationServer({
    store: new MemoryReplayStore({ dangerFirstStart: true }), audit: { key: SECRET.toString('base64url'), to: (record) => lines.push(record) },
  });
  const url = `${ISSUER}/token`;
  const request = { method: 'POST', url, client: 'public', grant: { type: 'client_credentials' }, proofs: [await proof({ key, method: 'POST', url })] };
  await server.admit(request);
  await server.admit(request);
  const records = lines.map((line) => JSON.parse(line));
  assert.deepEqual(records.map(({ what, reason }) => [what, reason]), [['grant', null], ['grant', 'replayed']]);
  assert.deepEqual(records.map(({ thumbprint }) => thumbprint), [key.thumbprint, key.thumbprint]);
  assert.equal(server.counters().keybound_replays_total, 1);
});

test('a key or a hook of another kind is a mistake', async () => {
  for (const audit of [{ key: 'short', to: () => {} }, { key: 7, to: () => {} }, { to: () => {} }, { key: SECRET.toString('base64url') }]) {
    await assert.rejects(async () => story({ audit }), Misuse);
  }
});
