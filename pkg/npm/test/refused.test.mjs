// Refusals are told: to the program's hook, and to its developer where the environment asks for it; never with a secret.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

import express from 'express';
import { Hono } from 'hono';
import * as forExpress from 'keybound/express';
import * as forHono from 'keybound/hono';
import { protect } from 'keybound/server';
import { TestIssuer } from 'keybound/testing';
import request from 'supertest';

const issuer = TestIssuer.forResource('https://api.example.com');

test('the hook is told why, and the path without its query', async () => {
  const told = [];
  const app = new Hono().use(forHono.protect(issuer.trustedBy({ cors: { origins: ['*'] }, onRefused: (refused) => told.push(refused) })));
  app.get('/admin', forHono.requireScopes('admin'), (c) => c.text('x'));
  const alice = issuer.client({ subject: 'alice' });
  await app.request('/items?secret=1');
  await alice.fetch(app, '/admin?secret=1');
  await alice.thief().fetch(app, '/items');
  await app.request('/items', { method: 'OPTIONS', headers: { origin: 'https://app.example.com', 'access-control-request-method': 'PUT' } });
  assert.deepEqual(told.map(({ reason, status, error, method, path }) => [reason, status, error, method, path]), [
    ['credentials_missing', 401, undefined, 'GET', '/items'],
    ['nonce_missing', 401, 'use_dpop_nonce', 'GET', '/admin'],
    ['insufficient_scope', 403, 'insufficient_scope', 'GET', '/admin'],
    ['binding_mismatch', 401, 'invalid_token', 'GET', '/items'],
  ]);
  assert(!JSON.stringify(told).includes('secret'));
});

test('a hook that throws is a fault of the host, and the request is answered', async () => {
  const faults = [];
  const app = express().use(forExpress.protect(issuer.trustedBy({
    onRefused: () => {
      throw new Error('the logger failed');
    },
    onFault: (fault) => faults.push(fault.message),
  })));
  assert.equal((await request(app).get('/items')).status, 401);
  assert.deepEqual(faults, ['the logger failed']);
});

const SCRIPT = `
  import { Hono } from 'hono';
  import { protect } from 'keybound/hono';
  import { TestIssuer } from 'keybound/testing';
  const issuer = TestIssuer.forResource('https://api.example.com');
  const app = new Hono().use(protect(issuer.trustedBy({ proofs: { nonces: false } })));
  const alice = issuer.client({ subject: 'alice' });
  const { authorization, dpop } = alice.sign({ url: '/other?secret=1' });
  await app.request('/items?secret=2', { headers: { authorization, dpop } });
  console.log(JSON.stringify([alice.token, dpop]));`;

async function written(env) {
  const { PATH, HOME } = process.env;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], { cwd: new URL('.', import.meta.url), env: { PATH, HOME, ...env } });
  const secrets = JSON.parse(stdout);
  for (const secret of [...secrets, ...secrets.flatMap((text) => text.split('.')), 'secret']) assert(!stderr.includes(secret));
  return stderr;
}

test('NODE_DEBUG and DEBUG write reason, path and what differed', async () => {
  for (const env of [{ NODE_DEBUG: 'net,keybound' }, { DEBUG: 'express:* keybound' }, { DEBUG: '*' }]) {
    const text = await written(env);
    assert.match(text, /^keybound: refused GET \/items: 401 target_mismatch\n/m, JSON.stringify(env));
    assert.match(text, /^ {2}expected .*https:\/\/api\.example\.com\/items.*\n {2}found .*https:\/\/api\.example\.com\/other/m);
  }
  for (const env of [{}, { NODE_DEBUG: 'http' }, { DEBUG: 'keyboundless' }]) assert.equal(await written(env), '', JSON.stringify(env));
});

test('a gateway that checks tells as well', async () => {
  const told = [];
  await protect(issuer.trustedBy({ onRefused: ({ reason, route }) => told.push([reason, route]) })).check({ method: 'GET', target: '/', fields: [], route: '/:id' });
  assert.deepEqual(told, [['credentials_missing', '/:id']]);
});
