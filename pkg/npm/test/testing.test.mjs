// `keybound/testing` as a user of it writes tests: with each framework's own test client, and what must not get in.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { describe, test } from 'node:test';

import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { Key, Misuse } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';
import { protect } from 'keybound/server';
import { TestClient, TestClock, TestIssuer, dangerAdmit } from 'keybound/testing';
import request from 'supertest';

const RESOURCE = 'https://api.example.com';
const issuer = () => TestIssuer.forResource(RESOURCE);

/** Each framework's application, and how a client asks it: the status and text of the answer. */
const frameworks = {
  express: {
    app: (protection) => express().use(forExpress.protect(protection))
      .get('/admin', forExpress.requireScopes('admin'), (_, res) => res.send('admin'))
      .all(/.*/, (req, res) => res.send(`${req.method} ${req.auth.subject} ${req.auth.scopes}`)),
    async ask(app, client, method, url) {
      const { status, text } = await client.supertest(() => request(app)[method.toLowerCase()](url));
      return [status, text];
    },
    bare: async (app, url) => (await request(app).get(url)).status,
  },
  fastify: {
    app(protection) {
      const app = fastify();
      app.register(forFastify.keybound, { protection });
      app.get('/admin', { preHandler: forFastify.requireScopes('admin') }, async () => 'admin');
      app.all('/*', async ({ method, auth }) => `${method} ${auth.subject} ${auth.scopes}`);
      return app;
    },
    async ask(app, client, method, url) {
      const { statusCode, body } = await client.inject(app, { method, url });
      return [statusCode, body];
    },
    bare: async (app, url) => (await app.inject(url)).statusCode,
  },
  hono: {
    app: (protection) => new Hono().use(forHono.protect(protection))
      .get('/admin', forHono.requireScopes('admin'), (c) => c.text('admin'))
      .all('*', (c) => c.text(`${c.req.method} ${c.get('principal').subject} ${c.get('principal').scopes}`)),
    async ask(app, client, method, url) {
      const response = await client.fetch(app, url, { method });
      return [response.status, await response.text()];
    },
    bare: async (app, url) => (await app.request(url)).status,
  },
  'a fetch handler': {
    app: (protection) => async (asked) => {
      const { pathname, search } = new URL(asked.url);
      const decision = await protection.authenticate({ method: asked.method, target: pathname + search, fields: [...asked.headers].flat() });
      const refusal = decision.refusal ?? (pathname === '/admin' ? decision.principal.requireScopes('admin') : undefined);
      if (refusal) return new Response(null, { status: refusal.status, headers: refusal.headers });
      return new Response(`${asked.method} ${decision.principal.subject} ${decision.principal.scopes}`);
    },
    async ask(app, client, method, url) {
      const response = await client.fetch(app, url, { method });
      return [response.status, await response.text()];
    },
    bare: async (app, url) => (await app(new Request(new URL(url, RESOURCE)))).status,
  },
};

for (const [name, { app: made, ask, bare }] of Object.entries(frameworks)) {
  describe(name, () => {
    test('a client with its token is admitted, and follows nonces', async () => {
      const own = issuer();
      const app = made(protect(own.trustedBy()));
      const alice = own.client({ subject: 'alice', scopes: ['items:read', 'items:write'] });
      for (const [method, url] of [['GET', '/items'], ['POST', '/items?page=2'], ['PUT', '/a%2Fb']]) {
        assert.deepEqual(await ask(app, alice, method, url), [200, `${method} alice items:read,items:write`], url);
      }
    });

    test('others are not', async () => {
      const own = issuer();
      const app = made(protect(own.trustedBy()));
      const alice = own.client({ subject: 'alice' });
      assert.equal(await bare(app, '/items'), 401);
      assert.equal((await ask(app, alice, 'GET', '/items'))[0], 200);
      assert.equal((await ask(app, alice, 'GET', '/admin'))[0], 403);
      assert.equal((await ask(app, own.client({ subject: 'bob', scopes: ['admin'] }), 'GET', '/admin'))[0], 200);
      assert.equal((await ask(app, alice.thief(), 'GET', '/items'))[0], 401);
      const refused = {
        'a token for the key of another': own.client({ subject: 'bob', boundTo: alice.thumbprint }),
        'a token for another resource': own.client({ subject: 'alice', audience: 'https://other.example.com' }),
        'another issuer of the same name': TestIssuer.forResource(RESOURCE, { clock: own.clock }).client({ subject: 'alice' }),
        'a token that names another issuer': own.client({ subject: 'alice', claims: { iss: 'https://other.example.com' } }),
        'an unbound token': new TestClient(own, Key.generate(), own.token({ subject: 'alice' })),
      };
      for (const [what, client] of Object.entries(refused)) assert.equal((await ask(app, client, 'GET', '/items'))[0], 401, what);
    });

    test('time passes when the test says so', async () => {
      const own = issuer();
      const app = made(protect(own.trustedBy()));
      const alice = own.client({ subject: 'alice', lifetime: 600 });
      assert.equal((await ask(app, alice, 'GET', '/items'))[0], 200);
      own.clock.advance(590);
      assert.equal((await ask(app, alice, 'GET', '/items'))[0], 200);
      own.clock.advance(600);
      assert.equal((await ask(app, alice, 'GET', '/items'))[0], 401);
    });

    test('dangerAdmit lets everyone in as one principal', async () => {
      if (name === 'a fetch handler') return;
      const app = made(dangerAdmit(await issuer().principal({ subject: 'alice', scopes: ['items:read'] })));
      assert.equal(await bare(app, '/items'), 200);
      assert.equal(await bare(app, '/admin'), 403, 'scopes still count');
    });
  });
}

test('a principal made by hand holds what its token says', async () => {
  const alice = await issuer().principal({ subject: 'alice', clientId: 'app', scopes: ['items:read'], claims: { tenant: 7 } });
  assert.deepEqual([alice.subject, alice.clientId, alice.issuer, [...alice.scopes], alice.claims.tenant], ['alice', 'app', 'https://issuer.example', ['items:read'], 7]);
  assert.equal(alice.requireScopes('items:read'), undefined);
  assert.equal(alice.requireScopes('items:write').status, 403);
  for (const token of [{ claims: { exp: 1 } }, { audience: 'https://other.example.com' }, { boundTo: Key.generate().thumbprint }]) {
    await assert.rejects(issuer().principal({ subject: 'alice', ...token }), { name: 'Misuse', reason: 'not_admitted' });
  }
  const details = [{ type: 'payment', amount: 5 }];
  assert.deepEqual((await issuer().principal({ subject: 'alice', claims: { authorization_details: details } })).authorizationDetails, details);
});

test('an application that names its issuers keeps their profiles', async () => {
  const own = TestIssuer.forResource(RESOURCE, { name: 'https://id.example.com/realms/main' });
  const options = own.trustedBy({ realm: 'mine', issuers: ['https://as.example.com', { issuer: own.name, profile: 'keycloak' }] });
  assert.deepEqual(options.issuers.map(({ issuer: name, profile }) => [name, profile]), [['https://as.example.com', undefined], [own.name, 'keycloak']]);
  assert.deepEqual([options.realm, options.resource], ['mine', RESOURCE]);
  const app = frameworks.hono.app(protect(own.trustedBy({ issuers: [own.name] })));
  assert.equal((await own.client({ subject: 'alice' }).fetch(app, '/items')).status, 200);
});

test('what an issuer publishes has no private key', () => {
  const own = issuer();
  assert.deepEqual(Object.keys(own.jwks.keys[0]).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
  assert.deepEqual([own.metadata.issuer, own.metadata.jwks_uri], ['https://issuer.example', 'https://issuer.example/jwks']);
  for (const resource of ['/items', 'api.example.com', 'ftp://api.example.com', 'https://', '']) assert.throws(() => TestIssuer.forResource(resource), Misuse, resource);
  assert.throws(() => own.client({}), { name: 'Misuse' });
  assert.throws(() => own.client({ subject: 'alice' }).sign({ url: 'ftp://api.example.com/items' }), { name: 'Misuse' });
});

test('what is asked of an answer by supertest is asked of the one that counts', async () => {
  const own = issuer();
  const app = frameworks.express.app(protect(own.trustedBy()));
  const alice = own.client({ subject: 'alice' });
  await alice.supertest(() => request(app).get('/items').expect(200, 'GET alice '));
  await assert.rejects(own.client({ subject: 'bob' }).supertest(() => request(app).get('/items').expect(201)), /expected 201/);
  await assert.rejects(alice.thief().supertest(() => request(app).get('/items').expect(200)), /expected 200/);
});

test('bodies and other fields are sent, at the second attempt too', async () => {
  const own = issuer();
  const [body, headers] = ['{"a":1}', { 'content-type': 'application/json', 'x-own': 'b' }];
  const hono = new Hono().use(forHono.protect(own.trustedBy())).post('/items', async (c) => c.text(`${c.req.header('x-own')} ${await c.req.text()}`));
  const answer = await own.client({ subject: 'alice' }).fetch(hono, '/items', { method: 'POST', headers, body });
  assert.equal(await answer.text(), 'b {"a":1}');
  const app = fastify();
  app.register(forFastify.keybound, own.trustedBy());
  app.post('/items', async (asked) => `${asked.headers['x-own']} ${JSON.stringify(asked.body)}`);
  const injected = await own.client({ subject: 'alice' }).inject(app, { method: 'POST', url: '/items', headers, payload: body });
  assert.equal(injected.body, 'b {"a":1}');
});

test('what is given in the wrong place is misuse, which says what to type', async () => {
  const own = issuer();
  const [alice, web, app] = [own.client({ subject: 'alice' }), express(), fastify()];
  for (const [wrong, told] of [
    [() => alice.supertest(request(web).get('/items')), /alice\.supertest\(\(\) =>/],
    [() => alice.fetch(web, '/items'), /use supertest/],
    [() => alice.fetch(app, '/items'), /inject for Fastify/],
    [() => alice.inject(web, '/items'), /use supertest/],
    [() => own.client('alice'), /subject: 'alice'/],
    [() => own.client({ subject: 'alice', scopes: 'items:read' }), /scopes has to be an array/],
    [() => own.client({ subject: 'alice', scope: 'items:read' }), /no option scope/],
    [() => TestIssuer.forResource(), /TestIssuer\.forResource/],
  ]) await assert.rejects(async () => wrong(), (error) => error instanceof Misuse && told.test(error.message), String(wrong));
});

test('clocks', () => {
  const clock = TestClock.at(1000);
  const { reader } = clock;
  clock.advance(60);
  assert.deepEqual([clock.now(), reader()], [1060, 1060]);
  clock.set(5);
  assert.equal(reader(), 5);
});

test('no module of production imports it', async () => {
  const dist = new URL('../dist/', import.meta.url);
  const modules = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith('.js') && !name.startsWith('testing/'));
  assert(modules.includes('express.js') && modules.length > 40);
  for (const name of modules) assert.doesNotMatch(await readFile(new URL(name, dist), 'utf8'), /(?:from|import) *\(?'[^']*testing/, name);
});
