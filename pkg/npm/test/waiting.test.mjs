// While a client waits: an AbortSignal ends it, patience ends with the lease, no refresh begins beside a slow one, and what was asked for stays as it was.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { Client, FileStore, HostFailed, Key, MemoryReplayStore, MemoryStore, Verifier, proof, verify, verifyMany } from 'keybound';

const ISSUER = 'https://as.example.com';
const RESOURCE = 'https://api.example.com/v1';
const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(folder, { recursive: true }));

/** An authorization server and a resource behind `fetch`, whose answers to token requests can be held back. */
function servers() {
  const state = { tokens: [], calls: 0, held: undefined, arrived: undefined, answer: (headers) => new Response(headers.get('authorization')) };
  const json = (body) => new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
  const metadata = {
    issuer: ISSUER, token_endpoint: `${ISSUER}/token`, authorization_endpoint: `${ISSUER}/authorize`, response_types_supported: ['code'],
    grant_types_supported: ['client_credentials'], token_endpoint_auth_methods_supported: ['client_secret_basic'],
    dpop_signing_alg_values_supported: ['ES256'], code_challenge_methods_supported: ['S256'],
  };
  state.fetch = async (url, init) => {
    const { origin, pathname } = new URL(url);
    if (pathname === '/.well-known/oauth-authorization-server') return json(metadata);
    if (pathname === '/token') {
      state.tokens.push(new URLSearchParams(Buffer.from(init.body).toString()));
      const token = { access_token: `token-${state.tokens.length}`, token_type: 'DPoP', expires_in: 100 };
      state.arrived?.();
      await state.held;
      return json(token);
    }
    assert.equal(origin, 'https://api.example.com');
    state.calls += 1;
    return state.answer(new Headers(init.headers), url, init);
  };
  /** Holds token requests back; gives a promise of the first, and what lets them go. */
  state.hold = () => {
    let release;
    state.held = new Promise((resolve) => (release = resolve));
    const arrived = new Promise((resolve) => (state.arrived = resolve));
    return { arrived, release };
  };
  return state;
}

/** A client whose clock stands where `clock.now` says. */
function clientOf(at, store, clock) {
  const credentials = [{ issuer: ISSUER, clientId: 'service', method: 'secret', secret: 's' }];
  return new Client({ level: 'enhanced', credentials }, store, { fetch: at.fetch, now: () => clock.now });
}

async function started(store, request = {}) {
  const clock = { now: 1_800_000_000 };
  const at = servers();
  const client = clientOf(at, store, clock);
  const session = await client.clientCredentials({ session: 'own', discovered: await client.discoverIssuer(ISSUER), resource: RESOURCE, ...request });
  return { at, clock, client, session };
}

/** A store whose locks are waited for no longer than this, in seconds. */
const impatient = (Kind, lease) => class extends Kind {
  lock(name, _, signal) {
    return super.lock(name, lease, signal);
  }
};

test('an AbortSignal ends a call that waits for the refresh of another', { timeout: 10_000 }, async () => {
  const { at, clock, client, session } = await started(new MemoryStore());
  clock.now += 200;
  const { arrived, release } = at.hold();
  const refreshed = client.refresh(session);
  await arrived;
  const controller = new AbortController();
  const call = client.fetch(session)(RESOURCE, { signal: controller.signal });
  const reason = new Error('not wanted any more');
  setImmediate(() => controller.abort(reason));
  await assert.rejects(call, reason);
  release();
  await refreshed;
  assert.equal(await (await client.fetch(session)(RESOURCE)).text(), 'DPoP token-2');
  assert.deepEqual([at.tokens.length, at.calls], [2, 1], 'who gave up sends nothing');
});

test('an AbortSignal ends a call whose own refresh is under way, and its token is kept for the next', { timeout: 10_000 }, async () => {
  const { at, clock, client, session } = await started(new MemoryStore());
  clock.now += 200;
  const { arrived, release } = at.hold();
  const controller = new AbortController();
  const call = client.fetch(session)(RESOURCE, { signal: controller.signal });
  await arrived;
  controller.abort();
  await assert.rejects(call, { name: 'AbortError' });
  const next = client.fetch(session)(RESOURCE);
  release();
  assert.equal(await (await next).text(), 'DPoP token-2');
  assert.deepEqual([at.tokens.length, at.calls], [2, 1]);
});

test('an AbortSignal ends the wait for a lock that a store of the program\'s own never gives', { timeout: 10_000 }, async () => {
  const { at, clock, client, session } = await started(new MemoryStore());
  clock.now += 200;
  const never = new (class extends MemoryStore {
    lock() {
      return new Promise(() => undefined);
    }
  })();
  const controller = new AbortController();
  const call = clientOf(at, never, clock).fetch(session)(RESOURCE, { signal: controller.signal });
  setImmediate(() => controller.abort());
  await assert.rejects(call, { name: 'AbortError' });
  assert.equal((await client.fetch(session)(RESOURCE)).status, 200);
});

for (const [name, open] of [
  ['memory', async () => {
    const store = new (impatient(MemoryStore, 0.05))();
    return [store, store];
  }],
  ['a folder that two processes share', async () => {
    // Two objects know nothing of each other, as two processes.
    const place = await mkdtemp(join(folder, 'shared-'));
    const Kind = impatient(FileStore, 0.05);
    return Promise.all([Kind, Kind].map(async (Kind) => Object.setPrototypeOf(await FileStore.open(place), Kind.prototype)));
  }],
]) {
  test(`who has waited for the lease gives up, and refreshes nothing beside a slow holder: ${name}`, { timeout: 10_000 }, async () => {
    const [mine, theirs] = await open();
    const { at, clock, client, session } = await started(mine);
    clock.now += 200;
    const other = clientOf(at, theirs, clock);
    await other.discoverIssuer(ISSUER);
    const same = mine === theirs ? session : await other.open('own');
    const { arrived, release } = at.hold();
    const slow = client.fetch(session)(RESOURCE);
    await arrived;
    for (const ask of [() => other.fetch(same)(RESOURCE), () => other.refresh(same)]) {
      await assert.rejects(ask(), (error) => error instanceof HostFailed && error.reason === 'lock_timeout' && /lock session\/own/.test(error.message));
    }
    assert.equal(at.tokens.length, 2, 'one refresh');
    release();
    assert.equal((await slow).status, 200);
    // The lock is whole: who gave up left no turn behind.
    assert.equal(await (await other.fetch(same)(RESOURCE)).text(), 'DPoP token-2');
    assert.equal(at.tokens.length, 2);
  });
}

test('details of a request that are changed while it waits are not sent', async () => {
  const detail = { type: 'payment', amount: 10 };
  const authorizationDetails = [detail];
  const at = servers();
  const client = clientOf(at, new MemoryStore(), { now: 1_800_000_000 });
  const discovered = await client.discoverIssuer(ISSUER);
  const asked = client.clientCredentials({ session: 'own', discovered, resource: RESOURCE, authorizationDetails });
  detail.amount = 10_000;
  authorizationDetails.push(detail);
  await asked;
  assert.deepEqual(JSON.parse(at.tokens[0].get('authorization_details')), [{ type: 'payment', amount: 10 }]);
});

test('a URL, fields and a body that are changed meanwhile are those of the first look in every attempt', async () => {
  const { at, client, session } = await started(new MemoryStore());
  const seen = [];
  at.answer = async (headers, url, init) => {
    seen.push([String(url), init.method, headers.get('x-part'), Buffer.from(init.body).toString(), decode(headers.get('dpop')).htu]);
    change();
    return seen.length === 1
      ? new Response(null, { status: 401, headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n1' } })
      : new Response('done');
  };
  const url = new URL(`${RESOURCE}/a`);
  const init = { method: 'POST', headers: { 'x-part': '1' }, body: new TextEncoder().encode('one') };
  const change = () => {
    url.host = 'evil.example';
    init.method = 'DELETE';
    init.headers['x-part'] = '2';
    init.body.set(new TextEncoder().encode('two'));
  };
  const call = client.fetch(session)(url, init);
  change();
  assert.equal(await (await call).text(), 'done');
  assert.deepEqual(seen, Array(2).fill([`${RESOURCE}/a`, 'POST', '1', 'one', `${RESOURCE}/a`]));
});

test('a proof is made, and verified, for the request that was given', async () => {
  const key = Key.generate();
  const url = new URL(`${RESOURCE}/a`);
  const request = { method: 'GET', url, accessToken: 't', key };
  const making = proof(request);
  url.pathname = '/v1/b';
  request.method = 'DELETE';
  const made = await making;
  assert.deepEqual([decode(made).htu, decode(made).htm], [`${RESOURCE}/a`, 'GET']);
  const store = new MemoryReplayStore({ dangerFirstStart: true });
  for (const judge of [(shown) => new Verifier({ store }).verify(shown), (shown) => verify({ ...shown, store }), (shown) => verifyMany([shown], { store }).then(([one]) => Promise.reject(one))]) {
    const shown = { method: 'GET', url: new URL(`${RESOURCE}/b`), accessToken: 't', boundTo: key.thumbprint, proof: made };
    const judging = judge(shown);
    // The object is used for the next request, whose proof this is.
    shown.url.pathname = '/v1/a';
    await assert.rejects(judging, { reason: 'target_mismatch' });
  }
});

const decode = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url').toString());
