// Proofs made and judged by the package's own API: settling, stores, keys of every origin, errors.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';

import {
  BindingMismatch, HostFailed, Key, KeyboundError, MemoryReplayStore, Misuse, NonceCache, NonceRequired, ProofRejected, ReplayDetected, Verifier,
  explain, explainResponse, proof, proofSync, thumbprint, verify, verifyMany, verifySync, webCryptoSigner,
} from 'keybound';

const URL = 'https://api.example.com/items';
const request = { method: 'GET', url: URL, accessToken: 'a-token' };
const lenient = () => new MemoryReplayStore({ dangerFirstStart: true });
const shown = async (key, more = {}) => ({ ...request, proof: await proof({ ...request, key, ...more }), boundTo: key.thumbprint });

test('a proof is taken once', async () => {
  const key = Key.generate();
  const store = lenient();
  const once = await shown(key);
  const verified = await verify({ ...once, store });
  assert.deepEqual([verified.thumbprint, verified.algorithm, verified.nextNonce], [key.thumbprint, 'ES256', undefined]);
  await assert.rejects(verify({ ...once, store }), (error) => {
    assert(error instanceof ReplayDetected && error instanceof ProofRejected && error instanceof KeyboundError);
    assert.deepEqual([error.reason, error.status, error.code, error.name], ['replayed', 401, 'invalid_dpop_proof', 'ReplayDetected']);
    assert.equal(error.refusal.headers.find(([name]) => name === 'WWW-Authenticate')[1].slice(0, 4), 'DPoP');
    return true;
  });
  assert.equal(store.held, 1);
});

test('settle takes the enumeration and nothing else, and once', async () => {
  const verifier = new Verifier();
  const once = await shown(Key.generate());
  const pending = verifier.check(once);
  for (const [wrong, said] of [
    [true, 'true'], [false, 'false'], [null, 'null'], [undefined, 'undefined'], [1, 'a number'], ['Fresh', 'another text'],
    [Promise.resolve('fresh'), 'a promise that was not awaited; await it'], [['fresh'], 'an array'], [{}, 'an object'],
  ]) {
    assert.throws(() => pending.settle(wrong), (error) => error instanceof Misuse && error.reason === 'not_an_insertion' && error.message.endsWith(said));
  }
  assert.match(pending.entry.key, /^[0-9a-f]{32}$/);
  assert.equal(pending.settle('fresh').algorithm, 'ES256');
  assert.throws(() => pending.settle('fresh'), { name: 'Misuse', reason: 'already_used' });
  for (const [answer, name, reason] of [
    ['seen', 'ReplayDetected', 'replayed'], ['unavailable', 'HostFailed', 'store_unavailable'], ['full', 'HostFailed', 'store_full'], ['share_full', 'HostFailed', 'store_share_full'],
    ['before_floor', 'ProofRejected', 'before_store_floor'],
  ]) {
    assert.throws(() => verifier.check(once).settle(answer), { name, reason });
  }
  assert.equal(verifier.check(once).dangerSkipReplayCheck().algorithm, 'ES256');
});

test('a store of the host\'s own is asked once for each proof, and what it says counts', async () => {
  const kept = new Set();
  const slow = {
    async insert({ key }) {
      // As a database does it: the insert is atomic, the answer takes its time.
      const fresh = !kept.has(key);
      kept.add(key);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return fresh ? 'fresh' : 'seen';
    },
  };
  const verifier = new Verifier({ store: slow });
  const once = await shown(Key.generate());
  const outcomes = await Promise.allSettled(Array.from({ length: 64 }, () => verifier.verify(once)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
  assert(outcomes.every(({ status, reason }) => status === 'fulfilled' || reason instanceof ReplayDetected));

  const cause = new Error('the database is down');
  const broken = { insert: () => Promise.reject(cause) };
  await assert.rejects(verify({ ...once, store: broken }), (error) => error instanceof HostFailed && error.status === 503 && error.cause === cause);
  const careless = { insert: async () => true };
  await assert.rejects(verify({ ...once, store: careless }), (error) => error instanceof Misuse && /and this was true$/.test(error.message));
  assert.throws(() => verifySync({ ...once, store: slow }), { reason: 'no_store' });
  assert.throws(() => new Verifier().verifySync(once), { reason: 'no_store' });
});

test('one key is refused for its share once half of the store is used', async () => {
  const outcomes = async (shares) => {
    const verifier = new Verifier({ store: new MemoryReplayStore({ capacity: 64, shares, dangerFirstStart: true }) });
    const key = Key.generate();
    const found = [];
    for (let count = 0; count < 40; count += 1) {
      found.push(await verifier.verify(await shown(key)).then(() => 'accepted', ({ reason }) => reason));
    }
    return found;
  };
  assert.deepEqual(await outcomes(64), [...Array(32).fill('accepted'), ...Array(8).fill('store_share_full')]);
  assert.deepEqual(await outcomes(1), Array(40).fill('accepted'));
  assert.throws(() => new Verifier({ store: new MemoryReplayStore({ shares: 0 }) }), (error) => error instanceof Misuse && /shares \(1 to 4096/.test(error.message));
});

test('a store that has just begun asks for a nonce, and one issued since counts', async () => {
  const key = Key.generate();
  const verifier = new Verifier({ nonces: true, store: new MemoryReplayStore() });
  let nonce;
  await assert.rejects(verifier.verify(await shown(key)), (error) => {
    assert(error instanceof NonceRequired);
    ({ nonce } = error);
    return error.code === 'use_dpop_nonce';
  });
  assert.equal((await verifier.verify(await shown(key, { nonce }))).thumbprint, key.thumbprint);
  assert.equal((await verifier.verify(await shown(key, { nonce: verifier.freshNonce() }))).thumbprint, key.thumbprint);
});

test('many are judged at a time, each by itself', async () => {
  const key = Key.generate();
  const all = await Promise.all(Array.from({ length: 100 }, () => shown(key)));
  all.push(all[0], { ...all[1], method: 'PUT' });
  const outcomes = await verifyMany(all, { store: lenient() });
  assert(outcomes.slice(1, 100).every((outcome) => outcome.thumbprint === key.thumbprint));
  assert.deepEqual([outcomes[0], outcomes[100]].map((outcome) => outcome.reason).sort(), ['replayed', undefined]);
  assert.equal(outcomes[101].reason, 'method_mismatch');
});

test('a proof by another key than the token\'s is a mismatch of the binding', async () => {
  const once = await shown(Key.generate());
  await assert.rejects(verify({ ...once, boundTo: Key.generate().thumbprint, store: lenient() }), BindingMismatch);
});

test('keys of every origin make proofs', async () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const jwk = pair.privateKey.export({ format: 'jwk' });
  const theirs = createHash('sha256').update(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y })).digest('base64url');
  const web = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
  const hidden = await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign']);
  for (const key of [Key.fromPem(pem), Key.fromJwk(jwk), Key.fromJwk(JSON.stringify(jwk)), Key.fromKeyObject(pair.privateKey)]) {
    assert.equal(key.thumbprint, theirs);
    await verify({ ...(await shown(key)), store: lenient() });
  }
  assert.equal((await Key.fromCryptoKey(web.privateKey)).algorithm, 'ES256');
  await assert.rejects(Key.fromCryptoKey(hidden.privateKey), { reason: 'key_not_extractable' });
  assert.throws(() => Key.fromKeyObject(pair.publicKey), { reason: 'key_unusable' });
  const roundTrip = Key.fromPem(Key.fromJwk(jwk).dangerPrivatePem());
  assert.deepEqual(roundTrip.dangerPrivateJwk(), { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.y, d: jwk.d, alg: 'ES256' });

  // Outside signers: by message and raw, by digest and DER.
  const bound = { ...request, store: lenient() };
  const signer = await webCryptoSigner(hidden);
  await verify({ ...bound, proof: await proof({ ...request, key: signer }), boundTo: thumbprint(signer.publicJwk) });
  const der = {
    algorithm: 'ES256',
    publicJwk: { kty: 'EC', crv: jwk.crv, x: jwk.x, y: jwk.y },
    async sign(message, digest) {
      assert.deepEqual(Buffer.from(digest), createHash('sha256').update(message).digest());
      return { bytes: sign('sha256', message, createPrivateKey(pem)), encoding: 'der' };
    },
  };
  await verify({ ...bound, proof: await proof({ ...request, key: der }), boundTo: theirs });
  // A signature in another encoding than declared, or by another key, is noticed at once.
  await assert.rejects(proof({ ...request, key: { ...der, sign: async (m) => ({ ...(await der.sign(m, createHash('sha256').update(m).digest())), encoding: 'raw' }) } }), Misuse);
  await assert.rejects(proof({ ...request, key: { ...der, publicJwk: Key.generate().publicJwk } }), Misuse);
  assert.throws(() => proofSync({ ...request, key: der }), { reason: 'wrong_type' });
});

test('mistakes of the caller are told', async () => {
  assert.throws(() => new Verifier({ maxAge: 301 }), Misuse);
  assert.throws(() => new Verifier({ maximumAge: 1 }), (error) => error.reason === 'unknown_option' && error.message.includes('maximumAge'));
  assert.throws(() => new Verifier({ requireNonces: true }), Misuse);
  assert.throws(() => Key.generate('none'), { reason: 'unknown_algorithm' });
  await assert.rejects(proof({ method: 'GET', url: 'not a URL', key: Key.generate() }), Misuse);
  await assert.rejects(verify({ ...(await shown(Key.generate())), boundTo: undefined, store: lenient() }), { reason: 'missing_option' });
  const store = lenient();
  await verify({ ...(await shown(Key.generate())), store });
  await assert.rejects(verify({ ...(await shown(Key.generate())), store, policy: { maxAge: 300 } }), { reason: 'store_disagreement', message: /maxAge is 300 s in this policy and 60 s/ });
});

test('a forgotten access token is told, and is not the check of a token endpoint', async () => {
  const key = Key.generate();
  const once = { method: 'POST', url: URL, proof: await proof({ method: 'POST', url: URL, key }) };
  const verifier = () => new Verifier({ store: lenient() });
  const ways = (shown) => [
    async () => verifier().check(shown), () => verifier().verify(shown), async () => verifier().verifySync(shown), async () => verifier().refuse('replayed', shown),
    () => verifier().verifyMany([shown]), () => verify({ ...shown, store: lenient() }), async () => verifySync({ ...shown, store: lenient() }), () => verifyMany([shown], { store: lenient() }),
  ];
  for (const [more, reason] of [
    [{}, 'missing_option'], [{ boundTo: key.thumbprint }, 'missing_option'], [{ atAuthorizationServer: false }, 'missing_option'],
    [{ atAuthorizationServer: true, accessToken: 'a-token' }, 'options_exclude'], [{ atAuthorizationServer: 'yes' }, 'wrong_type'], [{ atAuthorizationServer: 1, accessToken: 'a-token' }, 'wrong_type'],
  ]) {
    for (const way of ways({ ...once, ...more })) {
      await assert.rejects(way, (error) => error instanceof Misuse && error.reason === reason && /atAuthorizationServer/.test(error.message), JSON.stringify(more));
    }
    if (reason !== 'missing_option') await assert.rejects(explain({ ...once, ...more }), { reason });
  }
  for (const way of ways({ ...once, atAuthorizationServer: true, boundTo: key.thumbprint })) await way();
  // It accepts nothing, so that what a developer has at hand will do.
  assert((await explain(once)).accepted && (await new Verifier().explain(once)).accepted);
});

test('a value of another type that the core finds is told with the function', () => {
  const store = { insert: () => 'fresh', epoch: () => 7 };
  const verifier = new Verifier({ store, nonces: true });
  const presented = { ...request, proof: [], boundTo: Key.generate().thumbprint };
  for (const [name, call] of [['check', () => verifier.check(presented)], ['refuse', () => verifier.refuse('replayed', presented)], ['freshNonce', () => verifier.freshNonce()]]) {
    assert.throws(call, (error) => error instanceof Misuse && error.reason === 'wrong_type' && error.message.startsWith(`${name}: `), name);
  }
});

test('nothing secret is shown by accident', async () => {
  const key = Key.generate();
  const { d } = key.dangerPrivateJwk();
  for (const text of [inspect(key, { depth: 9, showHidden: true }), JSON.stringify(key), String(key)]) assert(!text.includes(d));
  assert.deepEqual(JSON.parse(JSON.stringify(key)), key.publicJwk);
});

test('an explanation knows since when the store remembers', async () => {
  const once = await shown(Key.generate());
  assert((await explain(once)).accepted);
  for (const told of [await explain({ ...once, store: new MemoryReplayStore() }), await new Verifier({ store: new MemoryReplayStore() }).explain(once)]) {
    assert.deepEqual([told.accepted, told.reason], [false, 'before_store_floor']);
    const { check, outcome, fix } = told.checks.at(-1);
    assert(check === 'replay' && outcome === 'failed' && fix.includes('dangerFirstStart'));
  }
  const store = lenient();
  assert((await explain({ ...once, store })).accepted);
  assert.equal((await verify({ ...once, store })).algorithm, 'ES256', 'an explanation uses nothing up');
});

test('a refused proof and a refused response are explained', async () => {
  const once = await shown(Key.generate());
  const { accepted, reason, checks } = await explain({ ...once, url: 'https://api.example.com/other' });
  assert.deepEqual([accepted, reason], [false, 'target_mismatch']);
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  assert(failed.check === 'target' && failed.found.includes('/items') && failed.fix.length > 0);
  const response = new Response('', { status: 401, headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n1' } });
  const pairs = [...response.headers];
  for (const headers of [response.headers, pairs, Object.fromEntries(pairs), Object.fromEntries(pairs.map(([name, value]) => [name, [value]]))]) {
    assert.deepEqual(await explainResponse({ status: 401, headers }), await explainResponse(response));
  }
  await assert.rejects(explainResponse({ status: 401, headers: 'DPoP-Nonce: a' }), { name: 'Misuse', reason: 'wrong_type' });
  const advice = await explainResponse(response);
  assert.deepEqual([advice.status, advice.error, advice.nonce], [401, 'use_dpop_nonce', 'n1']);
  assert(advice.next.length > 0);
});

test('nonces are kept by origin, role and key', () => {
  const cache = new NonceCache();
  const at = { origin: 'https://api.example.com', role: 'resource', thumbprint: Key.generate().thumbprint };
  cache.observe(new Response('', { headers: { 'dpop-nonce': 'one' } }), at);
  cache.observe(new Response(''), at);
  assert.equal(cache.get(at), 'one');
  assert.equal(cache.get({ ...at, role: 'token' }), undefined);
  assert.equal(cache.get({ ...at, thumbprint: Key.generate().thumbprint }), undefined);
  const two = new Response('', { headers: [['dpop-nonce', 'one'], ['dpop-nonce', 'two']] });
  assert.throws(() => cache.observe(two, at), { reason: 'nonce_malformed' });
  assert.equal(cache.get(at), 'one');
});
