// Two protections around one handler: no request could pass both, and the mistake is told as one instead of as a replay. And what is taken for a
// protection, or for a principal of one, is one of ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import supertest from 'supertest';

import { protect as forExpress, requireScopes as scopesOfExpress } from 'keybound/express';
import forFastify, { metadata, requireScopes as scopesOfFastify } from 'keybound/fastify';
import { protect as forHono, requireScopes as scopesOfHono } from 'keybound/hono';
import { TestIssuer } from 'keybound/testing';

const issuer = TestIssuer.forResource('https://api.example.com');
const alice = () => issuer.client({ subject: 'alice' });

test('express', async () => {
  const app = express();
  app.use(forExpress(issuer.trustedBy()), forExpress(issuer.trustedBy()));
  app.use((error, request, response, next) => response.status(500).send(error.reason));
  assert.equal((await alice().supertest(() => supertest(app).get('/items'))).text, 'protected_twice');
});

test('fastify', async () => {
  const app = fastify();
  await app.register(forFastify, issuer.trustedBy());
  await assert.rejects(async () => app.register(forFastify, issuer.trustedBy()), { reason: 'protected_twice' });
});

test('hono', async () => {
  const app = new Hono().use(forHono(issuer.trustedBy())).use(forHono(issuer.trustedBy()));
  app.onError((error, c) => c.text(error.reason, 500));
  assert.equal(await (await alice().fetch(app, '/items')).text(), 'protected_twice');
});

test('fastify: an instance inside of a protected one', async () => {
  const app = fastify();
  await app.register(forFastify, issuer.trustedBy());
  await assert.rejects(async () => app.register(async (inner) => inner.register(forFastify, issuer.trustedBy())), { reason: 'protected_twice' });
});

test('what another package keeps under the same name is no principal of ours', async () => {
  const theirs = { sub: 'mallory', requireScopes: () => undefined };
  const report = (error) => error.reason ?? error.code;
  const web = express();
  web.use((request, response, next) => next(void (request.auth = theirs)));
  web.get('/scoped', scopesOfExpress('items:read'));
  web.use(forExpress(issuer.trustedBy()), (request, response) => response.send(request.auth.subject));
  web.use((error, request, response, next) => response.status(500).send(report(error)));
  assert.equal((await supertest(web).get('/scoped')).text, 'unprotected');
  assert.equal((await alice().supertest(() => supertest(web).get('/items'))).text, 'alice');

  const hono = new Hono().use(async (c, next) => {
    c.set('principal', theirs);
    await next();
  });
  hono.get('/scoped', scopesOfHono('items:read'), (c) => c.text('passed'));
  hono.use(forHono(issuer.trustedBy())).get('/items', (c) => c.text(c.get('principal').subject));
  hono.onError((error, c) => c.text(report(error), 500));
  assert.equal(await (await hono.request('/scoped')).text(), 'unprotected');
  assert.equal(await (await alice().fetch(hono, '/items')).text(), 'alice');

  const other = fastify();
  other.decorateRequest('auth', null);
  other.addHook('onRequest', async (request) => void (request.auth = theirs));
  other.get('/scoped', { preHandler: scopesOfFastify('items:read') }, async () => 'passed');
  assert.equal((await other.inject('/scoped')).json().message.includes('is not registered around it'), true);
  const taken = fastify();
  taken.decorateRequest('auth', null);
  await assert.rejects(async () => taken.register(forFastify, issuer.trustedBy()), { code: 'FST_ERR_DEC_ALREADY_PRESENT' });
});

test('fastify: a protection that is not there stops the start, and the message says what to give', async () => {
  for (const plugin of [forFastify, metadata]) {
    for (const protection of [undefined, null, 'v1', Promise.resolve(), {}]) {
      await assert.rejects(async () => fastify().register(plugin, { protection }), { name: 'Misuse', reason: 'wrong_type', message: /new Protection\(options\)/ });
    }
  }
});

test('a protection is no option of the other frameworks: it is given itself', () => {
  for (const protect of [forExpress, forHono]) {
    for (const options of [undefined, null, { protection: undefined }]) assert.throws(() => protect(options), { name: 'Misuse' });
  }
});
