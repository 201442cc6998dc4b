// Two protections around one handler: no request could pass both, and the mistake is told as one instead of as a replay.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import supertest from 'supertest';

import { protect as forExpress } from 'keybound/express';
import forFastify from 'keybound/fastify';
import { protect as forHono } from 'keybound/hono';
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
