// What stands behind a protection: keys that are fetched, introspection, stores; and the endpoints of an authorization server.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, test } from 'node:test';

import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { Key, MemoryReplayStore, Misuse, ProofRejected, proof } from 'keybound';
import express from 'express';
import { protect as protectExpress } from 'keybound/express';
import { AuthorizationServer, FetchedKeys, Intent, IntrospectionEndpoint, protect, requestDetail } from 'keybound/server';
import * as oauth from 'oauth4webapi';

const RESOURCE = 'https://api.example.com/v1';
const key = Key.generate();
const lenient = () => new MemoryReplayStore({ dangerFirstStart: true });
const closing = [];
after(() => closing.forEach((server) => server.close()));

/** An issuer: metadata, keys and introspection, each counted. */
async function issuer() {
  const pair = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const state = { seen: [], broken: false, active: true, origin: '', keys: [jwk] };
  const server = createServer((request, response) => {
    state.seen.push(request.url);
    const { origin } = state;
    if (state.broken) return response.writeHead(500).end();
    if (request.url === '/.well-known/oauth-authorization-server') return response.end(JSON.stringify({ issuer: state.named ?? origin, jwks_uri: `${origin}/jwks` }));
    if (request.url === '/jwks') {
      state.arrived?.();
      return void (state.held ?? new Promise((resolve) => setTimeout(resolve, 20))).then(() => response.end(JSON.stringify({ keys: state.keys })));
    }
    if (request.url === '/introspect') {
      assert.equal(request.headers.authorization, `Basic ${Buffer.from('api%3A:s%25cret').toString('base64')}`);
      const said = state.active ? { active: true, iss: origin, sub: 'bob', client_id: 'app', aud: RESOURCE, exp: 9e9, cnf: { jkt: key.thumbprint } } : { active: false };
      return setTimeout(() => response.end(JSON.stringify(said)), 20);
    }
    return response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(server);
  state.origin = `http://127.0.0.1:${server.address().port}`;
  state.count = (path) => state.seen.filter((one) => one === path).length;
  state.token = (more = {}, header = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ client_id: 'app', scope: 'read', cnf: { jkt: key.thumbprint }, jti: crypto.randomUUID(), ...more })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1', ...header })
      .setIssuer(state.origin).setAudience(RESOURCE).setSubject('alice').setIssuedAt(now).setExpirationTime(more.exp ?? now + 300).sign(pair.privateKey);
  };
  return state;
}

async function ask(protection, token, more = {}) {
  const made = await proof({ key, method: 'GET', url: `${RESOURCE}/a`, accessToken: token, ...more });
  return protection.authenticate({ method: 'GET', target: '/v1/a', fields: ['Authorization', `DPoP ${token}`, 'DPoP', made] });
}

const without = { proofs: { nonces: false } };

test('keys are fetched once for many requests, and again for a new key, but not for every invented one', async () => {
  const as = await issuer();
  let now = Math.floor(Date.now() / 1000);
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], store: lenient(), now: () => now, ...without });
  const token = await as.token();
  const decisions = await Promise.all(Array.from({ length: 20 }, () => ask(protection, token)));
  assert.deepEqual(new Set(decisions.map(({ verdict }) => verdict)), new Set(['granted']));
  assert.equal(decisions[0].principal.subject, 'alice');
  assert.equal(as.count('/jwks'), 1);
  const invented = await as.token({}, { kid: 'k2' });
  for (let i = 0; i < 5; i += 1) assert.equal((await ask(protection, invented)).refusal.reason, 'token_key_unknown');
  assert.equal(as.count('/jwks'), 1, 'not within ten seconds');
  now += 11;
  await ask(protection, invented, { now });
  assert.equal(as.count('/jwks'), 2);
});

test('an issuer that is out of reach is answered with 503, and its last keys serve for a while', async () => {
  const as = await issuer();
  as.broken = true;
  const faults = [];
  let now = Math.floor(Date.now() / 1000);
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], store: lenient(), now: () => now, onFault: (fault) => faults.push(fault), ...without });
  const { refusal } = await ask(protection, await as.token());
  assert.equal(refusal.status, 503);
  assert.match(faults[0].message, /oauth-authorization-server; found 500/);
  as.broken = false;
  now += 11;
  assert.equal((await ask(protection, await as.token(), { now })).verdict, 'granted');
  as.broken = true;
  now += 700;
  assert.equal((await ask(protection, await as.token({ exp: now + 60 }), { now })).verdict, 'granted');
});

test('metadata of another issuer is not believed, nor keys without https', async () => {
  const as = await issuer();
  const faults = [];
  as.named = 'https://other.example';
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], store: lenient(), onFault: (fault) => faults.push(fault), ...without });
  assert.equal((await ask(protection, await as.token())).refusal.status, 503);
  assert.match(faults[0].message, /issuer/);
  assert.equal(as.count('/jwks'), 0);
  const at = (url) => () => protect({ resource: RESOURCE, issuers: [{ issuer: 'https://as.example.com', keys: FetchedKeys.at(url) }], store: lenient() });
  assert.throws(at('http://as.example.com/jwks'), Misuse);
  assert.doesNotThrow(at('https://as.example.com/jwks'));
  const elsewhere = { issuer: 'https://as.example.com', keys: FetchedKeys.ofIssuer('https://other.example') };
  assert.throws(() => protect({ resource: RESOURCE, issuers: [elsewhere], store: lenient() }), Misuse);
});

test('a source of the program\'s own is asked for keys, and what it throws reaches onFault', async () => {
  const as = await issuer();
  const [faults, down] = [[], new Error('down')];
  let asked = 0;
  let now = Math.floor(Date.now() / 1000);
  const keys = {
    async fetch() {
      if ((asked += 1) === 1) throw down;
      return asked === 2 ? JSON.stringify({ keys: as.keys }) : true;
    },
  };
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: as.origin, keys }], store: lenient(), now: () => now, onFault: (fault) => faults.push(fault), ...without });
  assert.equal((await ask(protection, await as.token())).refusal.status, 503);
  assert.deepEqual(faults, [down]);
  now += 11;
  assert.equal((await ask(protection, await as.token(), { now })).verdict, 'granted');
  now += 700;
  assert.equal((await ask(protection, await as.token({ exp: now + 60 }), { now })).verdict, 'granted');
  assert.match(faults[1].message, /text or bytes/);
});

test('a leader that hangs up does not stop the fetch', async () => {
  const as = await issuer();
  let answer;
  as.held = new Promise((resolve) => (answer = resolve));
  const arrived = new Promise((resolve) => (as.arrived = resolve));
  const app = express();
  const own = { resource: RESOURCE, issuers: [as.origin], ...without, dangerFirstStart: true };
  assert.throws(() => protectExpress({ ...own, store: lenient() }), { name: 'Misuse', reason: 'store_option' });
  app.use(protectExpress(own));
  app.get('/v1/a', (request, response) => response.send(request.auth.subject));
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closing.push(server);
  const get = async (signal) => {
    const token = await as.token();
    const made = await proof({ key, method: 'GET', url: `${RESOURCE}/a`, accessToken: token });
    return fetch(`http://127.0.0.1:${server.address().port}/v1/a`, { headers: { authorization: `DPoP ${token}`, dpop: made }, signal });
  };
  const hangsUp = new AbortController();
  const leader = get(hangsUp.signal);
  await arrived;
  const other = new Promise((resolve) => server.once('request', resolve));
  const follower = get();
  await other;
  hangsUp.abort();
  await assert.rejects(leader, { name: 'AbortError' });
  answer();
  const answered = await follower;
  assert.deepEqual([answered.status, await answered.text()], [200, 'alice']);
  assert.equal(as.count('/jwks'), 1);
});

test('a source that never answers ends by its time-out, and another question is asked then', async (t) => {
  const as = await issuer();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let asked = 0;
  let begun;
  const silent = new Promise((resolve) => (begun = resolve));
  const introspection = { introspect: () => ((asked += 1) === 1 ? (begun(), new Promise(() => undefined)) : Promise.resolve('{"active":false}')) };
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: as.origin, keys: { keys: as.keys } }], introspection, store: lenient(), onFault() {}, ...without });
  const first = ask(protection, 'opaque');
  await silent;
  t.mock.timers.tick(10_000);
  assert.equal((await first).refusal.status, 503);
  assert.equal((await ask(protection, 'opaque')).refusal.reason, 'token_inactive');
});

test('a gateway checks, and uses nothing up', async () => {
  const as = await issuer();
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: as.origin, keys: { keys: as.keys } }], store: { insert: () => assert.fail('nothing is inserted') }, ...without });
  const token = await as.token();
  const fields = ['Authorization', `DPoP ${token}`, 'DPoP', await proof({ key, method: 'GET', url: `${RESOURCE}/a`, accessToken: token })];
  for (let i = 0; i < 2; i += 1) assert.deepEqual(await protection.check({ method: 'GET', target: '/v1/a', fields }), { verdict: 'unconsumed', thumbprint: key.thumbprint });
  assert.equal((await protection.check({ method: 'GET', target: '/v1/b', fields })).refusal.reason, 'target_mismatch');
});

test('tokens that are no JWTs are introspected: one question for many, inactive ones remembered for a moment', async () => {
  const as = await issuer();
  const introspection = new IntrospectionEndpoint(`${as.origin}/introspect`, 'api:', 's%cret');
  const protection = protect({ resource: RESOURCE, issuers: [{ issuer: as.origin, keys: { keys: as.keys } }], introspection, store: lenient(), ...without });
  const decisions = await Promise.all(Array.from({ length: 5 }, () => ask(protection, 'opaque')));
  assert.deepEqual(decisions.map(({ principal }) => principal?.subject), Array(5).fill('bob'));
  assert.equal(as.count('/introspect'), 1);
  as.active = false;
  assert.equal((await ask(protection, 'opaque')).refusal.reason, 'token_inactive');
  assert.equal((await ask(protection, 'opaque')).refusal.reason, 'token_inactive');
  assert.equal(as.count('/introspect'), 2);
  as.broken = true;
  const broken = protect({ resource: RESOURCE, issuers: [as.origin], introspection, store: lenient(), onFault() {}, ...without });
  assert.equal((await ask(broken, 'another')).refusal.status, 503);
});

test('strangers who wait for an introspection that is not answered are bounded in number', async () => {
  let asked = 0;
  let answer;
  const open = new Promise((resolve) => (answer = () => resolve('{"active":false}')));
  const introspection = { introspect: () => ((asked += 1), open) };
  const protection = protect({ resource: RESOURCE, issuers: ['https://as.example.com'], introspection, store: lenient(), ...without });
  const tokens = [...Array.from({ length: 512 }, (_, i) => `opaque-${i}`), ...Array(1024).fill('opaque')];
  // None of them comes as far as the store: one proof will do for those about one token.
  const fields = new Map();
  for (const token of new Set(tokens)) {
    fields.set(token, ['Authorization', `DPoP ${token}`, 'DPoP', await proof({ key, method: 'GET', url: `${RESOURCE}/a`, accessToken: token })]);
  }
  let refused = 0;
  let asking;
  // Those who wait keep nothing running: if too few are refused, the test ends here.
  await new Promise((resolve) => {
    asking = tokens.map(async (token) => {
      const { refusal } = await protection.authenticate({ method: 'GET', target: '/v1/a', fields: fields.get(token) });
      if (refusal.status === 503 && (refused += 1) === 512) resolve();
      return refusal.status;
    });
  });
  assert.equal(asked, 64);
  answer();
  const statuses = await Promise.all(asking);
  assert.equal(statuses.filter((status) => status === 401).length, 1024);
});

test('a store that fails, or answers with a boolean, refuses with 503', async () => {
  const as = await issuer();
  for (const insert of [async () => { throw new Error('down'); }, async () => true, () => undefined, async () => 'unavailable', async () => 'full']) {
    const faults = [];
    const protection = protect({ resource: RESOURCE, issuers: [as.origin], store: { insert }, onFault: (fault) => faults.push(fault), ...without });
    const { refusal } = await ask(protection, await as.token());
    assert.equal(refusal.status, 503);
    assert(refusal.headers.some(([name]) => name === 'Retry-After'));
  }
  const seen = protect({ resource: RESOURCE, issuers: [as.origin], store: { insert: async () => 'seen' }, ...without });
  assert.equal((await ask(seen, await as.token())).refusal.reason, 'replayed');
});

test('where there is no store, nothing answers in its name: a search for danger finds what is skipped', async () => {
  const as = await issuer();
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], dangerNoReplayStore: true, ...without });
  const token = await as.token();
  const made = await proof({ key, method: 'GET', url: `${RESOURCE}/a`, accessToken: token });
  const fields = ['Authorization', `DPoP ${token}`, 'DPoP', made];
  for (let i = 0; i < 2; i += 1) assert.equal((await protection.authenticate({ method: 'GET', target: '/v1/a', fields })).verdict, 'granted');
  const source = await readFile(new URL('../dist/server/protection.js', import.meta.url), 'utf8');
  assert.match(source, /danger_no_replay_store/);
  assert.doesNotMatch(source, /['"]fresh['"]/);
});

test('a store that begins a new life is told by its epoch: nonces of the old one do not count', async () => {
  const as = await issuer();
  let epoch = '1';
  const kept = new Set();
  const store = {
    epoch: () => epoch,
    insert: async ({ key, nonceEpoch }) => {
      if (nonceEpoch !== epoch) return 'before_floor';
      return kept.has(key) ? 'seen' : (kept.add(key), 'fresh');
    },
  };
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], store });
  const token = await as.token();
  const nonceOf = ({ refusal }) => refusal.headers.find(([name]) => name === 'DPoP-Nonce')[1];
  const nonce = nonceOf(await ask(protection, token));
  assert.equal((await ask(protection, token, { nonce })).verdict, 'granted');
  epoch = '2';
  const again = nonceOf(await ask(protection, token, { nonce }));
  assert.equal((await ask(protection, token, { nonce: again })).verdict, 'granted');
});

for (const [name, answer] of [['a word', (insertion) => insertion], ['an answer with its epoch', (insertion, epoch) => ({ insertion, epoch })]]) {
  test(`a loss noticed by the insert costs one challenge: ${name}`, async () => {
    const as = await issuer();
    // What the database says, and what this process knows of it.
    let [life, known] = ['1', '1'];
    const store = {
      epoch: () => known,
      insert: async ({ nonceEpoch }) => {
        known = life;
        return answer(nonceEpoch === life ? 'fresh' : 'before_floor', life);
      },
    };
    const protection = protect({ resource: RESOURCE, issuers: [{ issuer: as.origin, keys: { keys: as.keys } }], store });
    const token = await as.token();
    const nonceOf = ({ refusal }) => refusal.headers.find(([field]) => field === 'DPoP-Nonce')?.[1];
    const nonce = nonceOf(await ask(protection, token));
    assert.equal((await ask(protection, token, { nonce })).verdict, 'granted');
    life = '2';
    const challenge = await ask(protection, token, { nonce });
    assert.equal(challenge.verdict, 'refused');
    const { verdict, refusal } = await ask(protection, token, { nonce: nonceOf(challenge) });
    assert.equal(verdict, 'granted', refusal?.reason);
  });
}

test('an intent is carried out by its key, as it was agreed', async () => {
  const as = await issuer();
  const body = new TextEncoder().encode('pay 10');
  const detail = requestDetail('POST', `${RESOURCE}/pay`, body);
  const options = { resource: RESOURCE, issuers: [as.origin], store: lenient(), ...without };
  const token = await as.token({ authorization_details: [detail], jti: 'intent-1' });
  const elsewhere = await ask(protect({ ...options, store: lenient(), intentsAt: ['/pay'] }), token);
  assert.deepEqual([elsewhere.refusal.status, elsewhere.refusal.reason], [403, 'intent_elsewhere']);
  assert.throws(() => protect({ ...options, store: lenient(), intentsAt: ['pay'] }), Misuse);
  const protection = protect({ ...options, intentsAt: ['/*'] });
  const { principal } = await ask(protection, token);
  const pay = { method: 'POST', url: `${RESOURCE}/pay`, body };
  await assert.rejects(principal.carryOut({ ...pay, url: `${RESOURCE}/pay?to=mallory` }), { name: 'ProofRejected', reason: 'intent_no_match' });
  await principal.carryOut(pay);
  await assert.rejects(principal.carryOut(pay), ({ reason, refusal }) => reason === 'intent_used' && refusal.status === 403);
  const intent = principal.intent();
  assert.equal(intent.key, key.thumbprint);
  intent.permits({ method: 'POST', url: `${RESOURCE}/pay`, body }, key.thumbprint);
  assert.throws(() => intent.permits({ method: 'POST', url: `${RESOURCE}/pay`, body: new Uint8Array() }, key.thumbprint), ProofRejected);
  assert.throws(() => intent.permits({ method: 'POST', url: `${RESOURCE}/pay`, body }, Key.generate().thumbprint), ProofRejected);
  const declared = Intent.declare([detail], key.thumbprint, 300);
  assert.deepEqual(declared.grant([detail]).details, [detail]);
  assert.throws(() => declared.grant([requestDetail('POST', `${RESOURCE}/other`)]), ProofRejected);
});

test('an authorization server binds what it issues, and refuses another key', async () => {
  const url = 'https://as.example.com/token';
  const server = new AuthorizationServer({ proofs: { nonces: true }, store: lenient() });
  const request = async (grant, more = {}, by = key) => ({
    method: 'POST', url, client: 'public', grant, proofs: [await proof({ key: by, method: 'POST', url, nonce: server.freshNonce() })], ...more,
  });
  const asked = await request({ type: 'authorization_code', boundTo: key.thumbprint });
  const { verdict, admitted } = await server.admit(asked);
  assert.deepEqual([verdict, admitted.accessBinding, admitted.refreshBinding, admitted.tokenType], ['granted', key.thumbprint, key.thumbprint, 'DPoP']);
  const refused = async (given) => {
    const { refusal } = await server.admit(await given);
    return [refusal.status, refusal.reason, JSON.parse(refusal.body).error];
  };
  assert.deepEqual(await refused(asked), [400, 'replayed', 'invalid_dpop_proof']);
  assert.deepEqual((await refused({ method: 'POST', url, client: 'public', grant: { type: 'client_credentials' }, proofs: ['x'] }))[0], 400);
  const stolen = request({ type: 'refresh_token', boundTo: key.thumbprint }, {}, Key.generate());
  assert.deepEqual(await refused(stolen), [400, 'binding_mismatch', 'invalid_grant']);
  const must = { ...asked, grant: { type: 'client_credentials' }, client: 'confidential', proofs: [], mustBind: true };
  assert.deepEqual(await refused(must), [400, 'proof_missing', 'invalid_dpop_proof']);
  const pushed = await request({ type: 'announcement', form: `response_type=code&dpop_jkt=${key.thumbprint}` }, { proofs: [], peer: '192.0.2.1' });
  assert.equal((await server.admit(pushed)).admitted.announced, key.thumbprint);
  assert.deepEqual(await refused({ ...pushed, grant: { type: 'announcement', form: 'dpop_jkt=x' } }), [400, 'dpop_jkt_malformed', 'invalid_request']);
  assert.deepEqual(server.metadata('https://as.example.com').dpop_signing_alg_values_supported.slice(0, 1), ['ES256']);
  assert.throws(() => new AuthorizationServer({ proofs: { preset: 'fapi2', nonces: true }, noncesForPublicClients: true }), Misuse);
});

test('a loss noticed by the insert costs one challenge at an authorization server too', async () => {
  const url = 'https://as.example.com/token';
  const faults = [];
  const store = {
    life: '1',
    answer: undefined,
    epoch() { return this.life; },
    insert(entry) {
      if (this.answer !== undefined) return this.answer;
      if (entry.nonceEpoch === '2') return 'fresh';
      this.life = '2';
      return { insertion: 'before_floor', epoch: '2' };
    },
  };
  const server = new AuthorizationServer({ proofs: { nonces: true }, store, onFault: (fault) => faults.push(fault) });
  const ask = async (nonce) => server.admit({
    method: 'POST', url, client: 'public', grant: { type: 'authorization_code' }, proofs: [await proof({ key, method: 'POST', url, nonce })],
  });
  const { refusal } = await ask(server.freshNonce());
  assert.deepEqual([refusal.status, refusal.error, refusal.reason], [400, 'use_dpop_nonce', 'before_store_floor']);
  const { 'DPoP-Nonce': nonce } = Object.fromEntries(refusal.headers);
  assert.equal((await ask(nonce)).verdict, 'granted');
  store.answer = true;
  assert.deepEqual([(await ask(nonce)).refusal.status, faults.length, faults[0] instanceof Misuse], [503, 1, true]);
});

test('oauth4webapi as the client: its proofs are taken, its nonces followed', async () => {
  const as = await issuer();
  const pair = await oauth.generateKeyPair('ES256');
  const handle = oauth.DPoP({ client_id: 'app' }, pair);
  const token = await as.token({ cnf: { jkt: await handle.calculateThumbprint() } });
  const protection = protect({ resource: RESOURCE, issuers: [as.origin], store: lenient() });
  const statuses = [];
  const send = () => oauth.protectedResourceRequest(token, 'GET', new URL(`${RESOURCE}/a?b=c`), undefined, undefined, {
    DPoP: handle,
    [oauth.customFetch]: async (url, { method, headers }) => {
      const { pathname, search } = new URL(url);
      const fields = Object.entries(headers instanceof Headers ? Object.fromEntries(headers) : headers).flat();
      const decision = await protection.authenticate({ method, target: pathname + search, fields });
      statuses.push(decision.refusal?.status ?? 200);
      return decision.refusal
        ? new Response(decision.refusal.body, { status: decision.refusal.status, headers: decision.refusal.headers })
        : new Response(decision.principal.subject, { headers: decision.principal.headers });
    },
  });
  await send().catch((error) => assert(oauth.isDPoPNonceError(error)));
  assert.equal(await (await send()).text(), 'alice');
  assert.deepEqual(statuses, [401, 200]);
});
