// No value is repeated in an error: secrets of every wrong type are given to everything that is exported, and to both builds of the core.
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';

import * as main from 'keybound';
import * as express from 'keybound/express';
import * as fastify from 'keybound/fastify';
import * as hono from 'keybound/hono';
import * as redis from 'keybound/redis';
import * as server from 'keybound/server';
import * as testing from 'keybound/testing';

const { Client, FileStore, Key, KeyboundError, MemoryReplayStore, MemoryStore, Misuse, NonceCache, Verifier, build, proof } = main;

const SECRET = 'S3cret-value-of-the-caller';
/** The same as `Buffer` shows it, and as its bytes in numbers. */
const TRACES = [SECRET, [...Buffer.from(SECRET.slice(0, 8))].join(','), [...Buffer.from(SECRET.slice(0, 8))].join(', '), Buffer.from(SECRET).toString('base64').slice(0, 12), Buffer.from(SECRET).toString('hex').slice(0, 12)];

class Own {
  value = SECRET;
  toString() {
    return SECRET;
  }
}
const circle = { value: SECRET };
circle.self = circle;
/** Everything that can be given for something else. The promise is awaited, so that it is no failure of its own. */
const WRONG = {
  text: SECRET, buffer: Buffer.from(SECRET), bytes: new TextEncoder().encode(SECRET), object: { access_token: SECRET }, jwk: { kty: 'EC', crv: 'P-256', d: SECRET },
  array: [SECRET], nested: [[{ value: SECRET }]], promise: Promise.resolve(SECRET), thenable: { then: undefined, value: SECRET }, function: () => SECRET, symbol: Symbol(SECRET), class: class { static value = SECRET; },
  instance: new Own(), map: new Map([[SECRET, SECRET]]), set: new Set([SECRET]), error: new Error(SECRET), regexp: new RegExp(SECRET), url: new URL(`https://user:${SECRET}@api.example.com/${SECRET}`),
  circle, bigint: 10n, number: Number.NaN, boolean: true, null: null, headers: new Headers({ authorization: SECRET }), floats: new Float64Array(4), shared: new DataView(new ArrayBuffer(4)),
};

function traced(error) {
  // A refusal goes to the peer, with the nonce that a host remembers for it.
  const { refusal, ...members } = error ?? {};
  const shown = [String(error?.message), String(error?.stack), inspect([members, error?.cause], { depth: 6 })].join('\n');
  return TRACES.find((trace) => shown.includes(trace));
}

/** Calls, and looks at what it throws. `ours`: it has to be an error of the package. */
async function look(name, call, ours = true) {
  let thrown;
  try {
    await call();
    return false;
  } catch (error) {
    thrown = error;
  }
  assert.equal(traced(thrown), undefined, `${name} repeats what it was given: ${thrown?.message}`);
  if (ours) assert.ok(thrown instanceof KeyboundError && typeof thrown.reason === 'string', `${name} throws ${inspect(thrown)}`);
  return true;
}

/** The arguments with one of them, or one member of one of them, replaced. */
function* spoiled(args, value) {
  for (const [at, argument] of args.entries()) {
    yield args.with(at, value);
    if (typeof argument !== 'object' || argument === null || Object.getPrototypeOf(argument) !== Object.prototype) continue;
    for (const member of Object.keys(argument)) {
      yield args.with(at, { ...argument, [member]: value });
      if (Array.isArray(argument[member])) yield args.with(at, { ...argument, [member]: [value] });
    }
  }
}

const folder = mkdtempSync(join(tmpdir(), 'keybound-'));
// A store is opened in whatever folder a text names.
process.chdir(folder);
after(() => rmSync(folder, { recursive: true, maxRetries: 5 }));

const key = Key.generate();
const pem = key.dangerPrivatePem();
const request = { method: 'GET', url: 'https://api.example.com/items', accessToken: 'token' };
const options = { resource: 'https://api.example.com', issuers: ['https://as.example.com'], workers: 1 };
const credentials = [{ issuer: 'https://as.example.com', clientId: 'notes' }];
const offline = { fetch: () => Promise.reject(new main.NotSent(new Error('offline'))) };
const clientOf = () => new Client({ level: 'enhanced', credentials }, new MemoryStore(), offline);
const client = clientOf();
const verifier = new Verifier({ store: new MemoryReplayStore({ workers: 1 }), nonces: true });
const presented = { ...request, proof: await proof({ ...request, key }), boundTo: key.thumbprint };
const issuer = testing.TestIssuer.forResource('https://api.example.com');
const principal = await issuer.principal({ subject: 'alice', scopes: ['items:read'] });
const intent = server.Intent.declare([server.requestDetail('POST', 'https://api.example.com/pay', new Uint8Array(3))], key.thumbprint, 60);
const authorization = new server.AuthorizationServer({ workers: 1 });
const files = await FileStore.open(join(folder, 'sessions'));
const at = { origin: 'https://api.example.com', role: 'resource', thumbprint: key.thumbprint };
const login = { session: 'work', scope: 'read', resource: 'https://api.example.com', level: 'enhanced', offlineAccess: true, intentLifetime: 60, authorizationDetails: [], parameters: {}, discovered: undefined };

/** What is called with arguments that fit, of which each is spoiled in turn. */
const CALLS = {
  'Key.generate': [Key.generate, 'ES256'], 'Key.fromPem': [Key.fromPem, pem, 'ES256'], 'Key.fromDer': [Key.fromDer, new Uint8Array(4), 'ES256'],
  'Key.fromJwk': [Key.fromJwk, key.dangerPrivateJwk(), 'ES256'], 'Key.fromKeyObject': [Key.fromKeyObject, createPrivateKey(pem), 'ES256'], 'Key.fromCryptoKey': [Key.fromCryptoKey, {}, 'ES256'],
  'key.sign': [(message) => key.sign(message), new Uint8Array(3)], thumbprint: [main.thumbprint, key.publicJwk],
  proof: [proof, { ...request, key, nonce: 'nonce', now: 1 }], proofSync: [main.proofSync, { ...request, key, nonce: 'nonce', now: 1 }],
  'nonces.observe': [(response, where) => new NonceCache().observe(response, where), new Response(), at], 'nonces.get': [(where) => new NonceCache().get(where), at],
  'new Verifier': [(given) => new Verifier(given), { algorithms: ['ES256'], maxAge: 60, nonces: true, namespace: 'a' }],
  'verifier.check': [(given) => verifier.check(given), { ...presented, expectedNonce: 'n', now: 1 }], 'verifier.verify': [(given) => verifier.verify(given), { ...presented, expectedNonce: 'n', now: 1 }],
  'verifier.verifySync': [(given) => verifier.verifySync(given), presented], 'verifier.explain': [(given) => verifier.explain(given), presented],
  'verifier.refuse': [(reason, given) => verifier.refuse(reason, given), 'replayed', presented], 'verifier.freshNonce': [(role, now) => verifier.freshNonce(role, now), 'resource', 1],
  verify: [main.verify, { ...presented, store: new MemoryReplayStore({ workers: 1 }), policy: {} }], explain: [main.explain, { ...presented, policy: { maxAge: 60 } }],
  'new MemoryReplayStore': [(given) => new MemoryReplayStore(given), { capacity: 10, shares: 1, workers: 1 }],
  'new Client': [(given, store) => new Client(given, store), { level: 'enhanced', credentials, redirectUri: 'https://app.example.com/', servers: [], acceptIssuers: [] }, new MemoryStore()],
  'client.discover': [(...given) => clientOf().discover(...given), 'https://api.example.com/', 'https://as.example.com'], 'client.discoverIssuer': [(given) => clientOf().discoverIssuer(given), 'https://as.example.com'],
  'client.authorize': [(given) => client.authorize(given), login], 'client.device': [(...given) => client.device(...given), login, () => {}], 'client.clientCredentials': [(given) => client.clientCredentials(given), login],
  'client.tokenExchange': [(...given) => client.tokenExchange(...given), login, { subjectToken: 'a', subjectTokenType: 'b', audience: 'c' }], 'client.jwtBearer': [(...given) => client.jwtBearer(...given), login, 'assertion'],
  'client.exchange': [(given) => client.exchange(given), 'https://app.example.com/?code=a'], 'client.open': [(...given) => client.open(...given), 'work', key.thumbprint],
  'client.adopt': [(given) => client.adopt(given), { session: 'work', token: 'token', resource: 'https://api.example.com', publicJwk: key.publicJwk, algorithm: 'ES256', protection: 'software', expiresAt: 1 }],
  ...Object.fromEntries(['keep', 'refresh', 'rekey', 'revoke', 'end', 'fetch'].map((name) => [`client.${name}`, [(session) => client[name](session), {}]])),
  'client.stepUp': [(...given) => client.stepUp(...given), {}, 'write'], 'client.introspect': [(...given) => client.introspect(...given), {}, 'token'],
  'memory.addKey': [(given) => new MemoryStore().addKey(given), key], 'files.addKey': [(given) => files.addKey(given), key], 'FileStore.open': [FileStore.open, join(folder, 'other')],
  explainResponse: [main.explainResponse, { status: 401, headers: [] }],
  'server.protect': [server.protect, { ...options, audiences: [], scopes: [], name: 'n', realm: 'r', leeway: 5, proofs: { maxAge: 60 }, origin: 'https://api.example.com', onRefused: () => {}, cors: { origins: ['https://a.example'] } }],
  'protection.authenticate': [(given) => server.protect(options).authenticate(given), { method: 'GET', target: '/', fields: ['Authorization', 'DPoP x'], peer: '127.0.0.1', certificate: new Uint8Array(32) }],
  'principal.requireScopes': [(...scopes) => principal.requireScopes(...scopes), 'a', 'b'], 'principal.carryOut': [(given) => principal.carryOut(given), { method: 'GET', url: 'https://api.example.com/', body: new Uint8Array(1) }],
  'new AuthorizationServer': [(given) => new server.AuthorizationServer(given), { workers: 1, proofs: { maxAge: 60 }, limitKeys: { rate: 1, burst: 1 } }],
  'authorization.admit': [(given) => authorization.admit(given), { method: 'POST', url: 'https://as.example.com/token', proofs: [presented.proof], client: 'public', grant: { type: 'refresh_token', boundTo: key.thumbprint }, peer: '::1' }],
  'authorization.metadata': [(given) => authorization.metadata(given), 'https://as.example.com'],
  'Intent.declare': [server.Intent.declare, [{ type: 'a' }], key.thumbprint, 60, 1], 'intent.grant': [(...given) => intent.grant(...given), intent.details, 1],
  'intent.permits': [(...given) => intent.permits(...given), { method: 'POST', url: 'https://api.example.com/pay', body: new Uint8Array(3) }, key.thumbprint, 1],
  requestDetail: [server.requestDetail, 'GET', 'https://api.example.com/', new Uint8Array(1)],
  'testing.token': [(given) => issuer.token(given), { subject: 'a', scopes: ['b'], audience: 'c', boundTo: key.thumbprint, lifetime: 60, claims: {} }],
  'testing.sign': [(given) => issuer.client({ subject: 'a' }).sign(given ?? {}), { method: 'GET', url: '/' }],
};

for (const [name, [call, ...args]] of Object.entries(CALLS)) {
  test(`${name} repeats no value, and what it throws is of this package`, async () => {
    let refused = 0;
    for (const value of Object.values(WRONG)) {
      for (const given of spoiled(args, value)) refused += await look(name, () => call(...given));
    }
    assert.ok(refused > 0, 'it refuses some of it');
  });
}

test('whatever else is exported repeats no value', async () => {
  let called = 0;
  for (const [entry, exported] of Object.entries({ main, server, express, fastify, hono, redis, testing })) {
    for (const [name, value] of Object.entries(exported)) {
      if (typeof value !== 'function' || /^(ready|build)$/.test(name)) continue;
      const statics = Object.getOwnPropertyNames(value).filter((method) => typeof value[method] === 'function');
      const calls = [(...given) => (/^[A-Z]/.test(name) ? new value(...given) : value(...given)), ...statics.map((method) => (...given) => value[method](...given))];
      for (const call of calls) {
        // Errors are made with the text that they are given.
        if (value.prototype instanceof Error || (name === 'Loopback')) continue;
        for (const wrong of Object.values(WRONG)) {
          for (const count of [1, 2, 3]) called += await look(`${entry}.${name}`, () => call(...Array(count).fill(wrong)), false);
        }
      }
    }
  }
  assert.ok(called > 500, String(called));
});

/** Calls everything that a build of the core exports with wrong values. */
async function bare(module) {
  let refused = 0;
  for (const [name, value] of Object.entries(module)) {
    if (typeof value !== 'function' || ['default', 'initSync', 'place'].includes(name)) continue;
    // It names the entry of the configuration that is wrong; paths are no secrets.
    if (name === 'PublicPaths') continue;
    const statics = Object.getOwnPropertyNames(value).filter((method) => typeof value[method] === 'function' && !method.startsWith('__'));
    for (const wrong of Object.values(WRONG)) {
      const given = Array(8).fill(wrong);
      refused += await look(name, () => value(...given), false);
      refused += await look(name, () => new value(...given), false);
      for (const method of statics) refused += await look(`${name}.${method}`, () => value[method](...given), false);
    }
  }
  const made = [module.Key?.generate('ES256'), module.NonceCache && new module.NonceCache(), module.Verifier && new module.Verifier('{}')].filter(Boolean);
  for (const object of made) {
    for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter((name) => !['constructor', 'free'].includes(name) && !name.startsWith('__') && typeof object[name] === 'function')) {
      for (const wrong of Object.values(WRONG)) refused += await look(method, () => object[method](...Array(8).fill(wrong)), false);
      for (const wrong of Object.values(WRONG)) refused += await look(method, () => object[method]({ method: 'GET', url: 'https://api.example.com/', proofs: wrong, accessToken: wrong }, 1), false);
    }
  }
  return refused;
}

test('the builds of the core repeat no value themselves', async () => {
  const native = new URL('../dist/native/', import.meta.url);
  const [file] = readdirSync(native).filter((name) => name.endsWith('.node'));
  const addon = createRequire(import.meta.url)(new URL(file, native).pathname);
  assert.ok((await bare(addon)) > 500);
  const wasm = await import('../dist/wasm/server.js');
  const { readFileSync } = await import('node:fs');
  wasm.initSync({ module: readFileSync(new URL('../dist/wasm/server_bg.wasm', import.meta.url)) });
  assert.ok((await bare(wasm)) > 500);
  assert.throws(() => wasm.Key.fromPem({ secret: SECRET }, undefined), TypeError, 'an object is no empty text');
});

test('a PEM file is taken as the bytes that reading it gives', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file = Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const jwk = privateKey.export({ format: 'jwk' });
  const expected = Key.fromKeyObject(privateKey).thumbprint;
  for (const made of [Key.fromPem(file), Key.fromPem(String(file)), Key.fromDer(privateKey.export({ type: 'pkcs8', format: 'der' })), Key.fromJwk(Buffer.from(JSON.stringify(jwk)))]) assert.equal(made.thumbprint, expected);
  assert.throws(() => Key.fromPem(jwk), (error) => error instanceof Misuse && error.reason === 'wrong_type' && /readFileSync/.test(error.message));
  assert.throws(() => Key.fromPem(), { reason: 'wrong_type' });
});

test('a forgotten await is told as one', async () => {
  const told = (error) => error instanceof Misuse && error.reason === 'wrong_type' && /await it/.test(error.message);
  const opened = client.open('work');
  opened.catch(() => {});
  for (const name of ['fetch', 'refresh', 'end']) await assert.rejects(async () => client[name](opened), (error) => told(error) && /client\.open\('work'\)/.test(error.message), name);
  await assert.rejects(client.device({ session: 'work', discovered: Promise.resolve() }, () => {}), (error) => told(error) && /client\.discover/.test(error.message));
  await assert.rejects(proof({ ...request, key: Promise.resolve(key) }), told);
  await assert.rejects(proof({ ...request, key, accessToken: Promise.resolve('token') }), told);
  await assert.rejects(verifier.verify({ ...presented, proof: proof({ ...request, key }) }), (error) => told(error) && !/\[entry\]/.test(error.message));
  const store = FileStore.open(join(folder, 'late'));
  assert.throws(() => new Client({ level: 'enhanced', credentials }, store), told);
  await store;
  assert.throws(() => server.protect({ ...options, workers: undefined, store: Promise.resolve() }), told);
});

test(`this was the build that was asked for: ${build()}`, () => {
  assert.equal(build(), process.env.KEYBOUND_NATIVE ?? 'addon');
});
