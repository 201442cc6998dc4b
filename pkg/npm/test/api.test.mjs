// The API is what is kept in test/api, and the reasons are the contract's. `KEYBOUND_WRITE_API=1` writes the snapshot anew.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';

import * as keybound from 'keybound';
import { text as reasons } from '../scripts/reasons.mjs';

const ENTRIES = [
  'index', 'index.node', 'express', 'fastify', 'hono', 'server/index', 'redis/index', 'browser/index', 'testing/index',
  // What they pass on.
  'advice', 'client', 'client.node', 'drive', 'errors', 'files', 'http', 'key', 'loopback', 'memory', 'oauth', 'policy', 'proof', 'reasons', 'refused',
  'replay', 'session', 'verify', 'browser/client', 'browser/confirm', 'browser/options', 'browser/session',
  'server/authorization', 'server/intent', 'server/introspection', 'server/keys', 'server/node', 'server/options', 'server/principal', 'server/protection', 'server/refused', 'testing/admit', 'testing/client', 'testing/clock', 'testing/issuer', 'redis/options', 'redis/store',
];

/** Declarations without comments and what is marked internal. */
function declared(text) {
  return text
    .replace(/\/\*\*(?:(?!\*\/)[\s\S])*@internal(?:(?!\*\/)[\s\S])*\*\/\n.*\n/g, '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\n\s*\n+/g, '\n')
    .trim() + '\n';
}

for (const entry of ENTRIES) {
  test(`the types of ${entry} are those that are kept`, async () => {
    const made = declared(await readFile(new URL(`../dist/${entry}.d.ts`, import.meta.url), 'utf8'));
    const kept = new URL(`api/${entry}.d.ts`, import.meta.url);
    if (process.env.KEYBOUND_WRITE_API) {
      await mkdir(new URL('.', kept), { recursive: true });
      await writeFile(kept, made);
    }
    assert.equal(made, await readFile(kept, 'utf8').catch(() => ''), `${entry} changed; KEYBOUND_WRITE_API=1 writes it, and the change belongs into CHANGELOG.md`);
  });
}

test('the reasons are those of the contract', async () => {
  assert.equal(await readFile(new URL('../src/reasons.ts', import.meta.url), 'utf8'), reasons, 'node scripts/reasons.mjs writes them');
});

test('every reason of this package alone is explained', async () => {
  const [errors, page] = await Promise.all(['../src/errors.ts', '../../../docs/reasons.md'].map((file) => readFile(new URL(file, import.meta.url), 'utf8')));
  const own = [...errors.matchAll(/^export type \w+Reason =([^;]*);/gm)].flatMap(([, union]) => [...union.matchAll(/'(\w+)'/g)].map(([, reason]) => reason));
  assert.ok(own.includes('popup_blocked') && own.includes('login_abandoned') && own.includes('network'), String(own));
  const explained = new Set([...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason));
  assert.deepEqual(own.filter((reason) => !explained.has(reason) && reason !== 'before_store_floor'), []);
});

test('both entries export the same, but for what needs Node', async () => {
  const anywhere = await import('../dist/index.js');
  assert.deepEqual(Object.keys(keybound).filter((name) => !(name in anywhere)), ['FileStore', 'Loopback']);
  assert.deepEqual(Object.keys(anywhere).filter((name) => !(name in keybound)), []);
});

test('errors make one tree', () => {
  const { BindingMismatch, FlowFailed, HostFailed, KeyboundError, LoginRequired, Misuse, NonceRequired, ProofRejected, ReplayDetected } = keybound;
  const parent = (kind) => Object.getPrototypeOf(kind);
  assert.deepEqual([NonceRequired, ReplayDetected, BindingMismatch].map(parent), [ProofRejected, ProofRejected, ProofRejected]);
  assert.equal(parent(LoginRequired), FlowFailed);
  assert.deepEqual([ProofRejected, FlowFailed, Misuse, HostFailed].map(parent), Array(4).fill(KeyboundError));
  assert.equal(parent(KeyboundError), Error);
});
