// Two copies of the package in one process, as two versions or a bundle beside node_modules make: an object of the other one is told apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import fastify from 'fastify';
import { Client, Key, MemoryReplayStore, MemoryStore, Misuse, Verifier, proof, proofSync } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';
import { protect } from 'keybound/server';

const other = (file) => import(new URL(`../dist/${file}.js?other`, import.meta.url));
const [{ Key: OtherKey }, { MemoryReplayStore: OtherStore }, { protect: otherProtect }, { Discovered: OtherDiscovered, Session: OtherSession }] = await Promise.all(
  ['key', 'replay', 'server/protection', 'session'].map(other),
);

const request = { method: 'GET', url: 'https://api.example.com/items' };
const options = { resource: 'https://api.example.com', issuers: ['https://as.example.com'], workers: 1 };
const told = (kind) => (error) => {
  assert(error instanceof Misuse, String(error));
  assert.equal(error.reason, 'other_copy');
  assert.match(error.message, new RegExp(`^this ${kind} was made by another copy of keybound`));
  assert.match(error.message, /npm ls keybound/);
  return true;
};

test('a key of another copy signs no proof, and the error says why', async () => {
  const key = OtherKey.generate();
  await assert.rejects(proof({ ...request, key }), told('Key'));
  assert.throws(() => proofSync({ ...request, key }), told('Key'));
  await assert.rejects(new MemoryStore().addKey(key), told('Key'));
});

test('a store of another copy serves no verifier and no protection', () => {
  const store = new OtherStore({ workers: 1 });
  assert.throws(() => new Verifier({ store }), told('MemoryReplayStore'));
  assert.throws(() => protect({ ...options, workers: undefined, store }), told('MemoryReplayStore'));
});

test('a protection of another copy is no options', () => {
  const protection = otherProtect(options);
  for (const { protect: make } of [forExpress, forHono]) assert.throws(() => make(protection), told('Protection'));
});

test('a session, a discovery and a protection of another copy are told as such where one is wanted', async () => {
  const client = new Client({ level: 'enhanced', credentials: [{ issuer: 'https://as.example.com', clientId: 'app' }] }, new MemoryStore());
  await assert.rejects(client.refresh(new OtherSession({})), told('Session'));
  await assert.rejects(client.clientCredentials({ session: 'work', discovered: new OtherDiscovered({ result: {} }) }), told('Discovered'));
  for (const { metadata } of [forExpress, forHono]) assert.throws(() => metadata(otherProtect(options)), told('Protection'));
  await assert.rejects(async () => fastify().register(forFastify.keybound, { protection: otherProtect(options) }), told('Protection'));
});

test('objects of this copy, a signer and a store of the program are as before', async () => {
  const key = Key.generate();
  const signer = { algorithm: 'ES256', publicJwk: key.publicJwk, sign: async (message) => ({ bytes: key.sign(message), encoding: 'raw' }) };
  for (const given of [key, signer]) assert.equal((await proof({ ...request, key: given })).split('.').length, 3);
  for (const store of [new MemoryReplayStore({ workers: 1 }), { insert: () => 'fresh' }]) assert.ok(new Verifier({ store }));
  assert.deepEqual(Object.keys(key), [], 'the mark is not seen');
});
