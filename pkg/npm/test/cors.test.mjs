// Pages of other origins: preflights are answered by the protection, no handler sees them, and what others say to browsers stays.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { cors as honoCors } from 'hono/cors';
import { Misuse } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';
import { partsOf, protect } from 'keybound/server';
import { TestIssuer } from 'keybound/testing';

import { raw } from './protected.mjs';

const APP = 'https://app.example.com';
const RESOURCE = 'https://api.example.com';
const issuer = TestIssuer.forResource(RESOURCE);
const options = (more) => issuer.trustedBy({ cors: { origins: [APP, 'http://localhost:5173'], exposedHeaders: ['Link'] }, ...more });
const alice = issuer.client({ subject: 'alice' });

const closing = [];
after(() => Promise.all(closing.map((close) => close())));
const PREFLIGHT = [['Origin', APP], ['Access-Control-Request-Method', 'PUT'], ['Access-Control-Request-Headers', 'authorization,dpop']];

/** Each framework: a port, and how often a handler was called. */
const frameworks = {
  async express(more) {
    const [app, seen] = [express(), { count: 0 }];
    app.use(forExpress.protect(options(more)));
    app.use((_, res) => {
      seen.count += 1;
      res.set('Access-Control-Expose-Headers', 'X-Own, DPoP-Nonce').set('Vary', 'Accept').send('handled');
    });
    const server = app.listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    closing.push(() => server.close());
    return { port: server.address().port, seen };
  },
  async fastify(more) {
    const [app, seen] = [fastify(), { count: 0 }];
    await app.register(forFastify.keybound, options(more));
    app.all('/*', async (_, reply) => {
      seen.count += 1;
      return reply.headers({ 'access-control-expose-headers': 'X-Own, DPoP-Nonce', vary: 'Accept' }).send('handled');
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    closing.push(() => app.close());
    return { port: app.server.address().port, seen };
  },
  async hono(more) {
    const [app, seen] = [new Hono(), { count: 0 }];
    app.use(forHono.protect(options(more)));
    app.all('*', (c) => {
      seen.count += 1;
      return c.text('handled', 200, { 'Access-Control-Expose-Headers': 'X-Own, DPoP-Nonce', Vary: 'Accept' });
    });
    const server = await new Promise((done) => {
      const made = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => done(made));
    });
    closing.push(() => server.close());
    return { port: server.address().port, seen };
  },
};

for (const [name, start] of Object.entries(frameworks)) {
  describe(name, () => {
    test('a preflight is answered, and no handler sees it', async () => {
      const { port, seen } = await start();
      const { status, header, body } = await raw(port, '/items/7', PREFLIGHT, { method: 'OPTIONS' });
      assert.equal(status, 204);
      assert.equal(body, '');
      assert.equal(header('access-control-allow-origin'), APP);
      assert.equal(header('access-control-allow-methods'), 'GET, HEAD, POST, PUT, PATCH, DELETE');
      assert.equal(header('access-control-allow-headers'), 'Authorization, DPoP, Content-Type');
      assert.equal(header('access-control-max-age'), '600');
      assert.match(header('vary'), /Origin/);
      assert.equal(header('access-control-allow-credentials'), undefined);
      const other = await raw(port, '/items/7', [['Origin', 'https://evil.example'], PREFLIGHT[1]], { method: 'OPTIONS' });
      assert.deepEqual([other.status, other.header('access-control-allow-origin')], [403, undefined]);
      assert.equal(seen.count, 0);
    });

    test('what is no preflight needs a token', async () => {
      const { port, seen } = await start();
      const [origin, method] = PREFLIGHT;
      for (const fields of [[], [origin], [method], [origin, origin, method], [origin, method, method], [['Origin', 'https://a.example, https://b.example'], method]].slice(0, 5)) {
        assert.equal((await raw(port, '/items', fields, { method: 'OPTIONS' })).status, 401, JSON.stringify(fields));
      }
      assert.equal((await raw(port, '/items', PREFLIGHT, { method: 'GET' })).status, 401);
      assert.equal(seen.count, 0);
    });

    test('answers say who may read them, refusals too', async () => {
      const { port } = await start();
      const told = async (target, sent, origin = APP) => {
        const { status, headers } = await raw(port, target, [['Origin', origin], ...sent]);
        const all = (name) => headers.filter(([known]) => known === name).map(([, value]) => value);
        return { status, allow: all('access-control-allow-origin'), expose: all('access-control-expose-headers').join(', ').split(', '), vary: all('vary').join(', '), headers };
      };
      const signed = () => Object.entries(alice.sign({ url: '/items' }));
      for (const sent of [[], signed()]) {
        const refused = await told('/items', sent);
        assert.deepEqual([refused.status, refused.allow], [401, [APP]]);
        for (const field of ['WWW-Authenticate', 'DPoP-Nonce', 'Link']) assert(refused.expose.includes(field), field);
        assert.match(refused.vary, /Origin/);
        if (sent.length > 0) alice.observe(401, new Headers(refused.headers));
      }
      const admitted = await told('/items', signed());
      assert.deepEqual([admitted.status, admitted.allow], [200, [APP]]);
      for (const field of ['X-Own', 'WWW-Authenticate', 'DPoP-Nonce', 'Link']) assert.equal(admitted.expose.filter((known) => known === field).length, 1, field);
      assert.deepEqual(admitted.vary.split(', ').sort(), ['Accept', 'Origin']);
      const elsewhere = await told('/items', signed(), 'https://evil.example');
      assert.deepEqual([elsewhere.status, elsewhere.allow], [200, []], 'CORS decides who reads, not who is admitted');
      const misrouted = await told('/a/../items', []);
      assert.deepEqual([misrouted.status, misrouted.allow], [400, [APP]]);
      assert.deepEqual((await told('/.well-known/oauth-protected-resource', [])).allow, ['*']);
    });

    test('it is off unless it is asked for', async () => {
      const { port, seen } = await start({ cors: undefined });
      const { status, header } = await raw(port, '/items', PREFLIGHT, { method: 'OPTIONS' });
      assert.deepEqual([status, header('access-control-allow-origin'), seen.count], [401, undefined, 0]);
    });
  });
}

test('a protection without a framework answers preflights by its refusal', async () => {
  const protection = protect(options());
  const decision = await protection.authenticate({ method: 'OPTIONS', target: '/items', fields: PREFLIGHT.flat() });
  assert.deepEqual([decision.verdict, decision.refusal.status, decision.refusal.reason], ['refused', 204, 'preflight']);
  const checked = await protection.check(partsOf({ method: 'OPTIONS', url: '/items', rawHeaders: PREFLIGHT.flat(), socket: {} }));
  assert.equal(checked.refusal.status, 204);
  assert.deepEqual(protection.counters().keybound_requests_total, [], 'it is no request that was decided about');
  const signed = { method: 'GET', target: '/items', fields: ['Origin', APP, ...Object.entries(issuer.client({ subject: 'bob' }).sign({ url: '/items' })).flat()] };
  const { refusal } = await protection.authenticate(signed);
  assert(refusal.headers.some(([name, value]) => name === 'Access-Control-Allow-Origin' && value === APP));
  assert.equal(refusal.headers.filter(([name]) => name === 'Access-Control-Expose-Headers').length, 1);
});

test('what scopes refuse is readable too, and said once', async () => {
  const app = new Hono().use(forHono.protect(options())).get('/admin', forHono.requireScopes('admin'), (c) => c.text('x'));
  const response = await issuer.client({ subject: 'bob' }).fetch(app, '/admin', { headers: { origin: APP } });
  assert.deepEqual([response.status, response.headers.get('access-control-allow-origin')], [403, APP]);
  const web = express().use(forExpress.protect(options())).get('/admin', forExpress.requireScopes('admin'), (_, res) => res.send('x')).listen(0, '127.0.0.1');
  await new Promise((done) => web.once('listening', done));
  closing.push(() => web.close());
  const bob = issuer.client({ subject: 'bob' });
  let answer;
  for (let i = 0; i < 2; i += 1) {
    answer = await raw(web.address().port, '/admin', [['Origin', APP], ...Object.entries(bob.sign({ url: '/admin' }))]);
    bob.observe(answer.status, new Headers(answer.headers));
  }
  assert.deepEqual([answer.status, answer.headers.filter(([name]) => name === 'access-control-allow-origin').length], [403, 1]);
});

test('every origin is said by a star, without a word about credentials', async () => {
  const app = new Hono().use(forHono.protect(options({ cors: { origins: ['*'] } }))).get('*', (c) => c.text('x'));
  const preflight = await app.request('/items', { method: 'OPTIONS', headers: PREFLIGHT });
  assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin'), preflight.headers.get('vary')], [204, '*', null]);
  const refused = await app.request('/items', { headers: { origin: 'null' } });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin'), refused.headers.get('access-control-allow-credentials')], [401, '*', null]);
});

test('an origin that no browser sends is misuse, which says what to type', () => {
  for (const [cors, told] of [
    [{ origins: ['https://app.example.com/'] }, /https:\/\/app\.example\.com or http:\/\/localhost/],
    [{ origins: ['https://*.example.com'] }, /list each/],
    [{ origins: ['null'] }, /null/],
    [{ origins: ['*', APP] }, /alone/],
    [{ origins: [] }, /leave cors out/],
    [{ origins: ['http://app.example.com'] }, /https/],
    [{ origins: APP }, /origins/],
    [{}, /origins: \['https/],
    [true, /origins: \['https/],
    [[APP], /origins: \['https/],
    [{ origins: [APP], credentials: true }, /credentials/],
    [{ origins: [APP], maxAge: 86_401 }, /86,400/],
    [{ origins: [APP], allowedHeaders: ['a, b'] }, /one in each/],
  ]) {
    assert.throws(() => protect(options({ cors })), (error) => error instanceof Misuse && told.test(error.message), JSON.stringify(cors));
  }
});

describe('what a CORS middleware in front of the protection says stays', () => {
  const listing = (headers, field) => headers.get('access-control-expose-headers').split(/, */).filter((known) => known.toLowerCase() === field.toLowerCase()).length;

  test('hono', async () => {
    const app = new Hono();
    app.use(honoCors({ origin: APP, exposeHeaders: ['X-Mine'] }));
    app.use(forHono.protect(options({ cors: undefined }))).get('*', (c) => c.text('x'));
    const bob = issuer.client({ subject: 'bob' });
    for (const response of [await app.request('/items', { headers: { origin: APP } }), await bob.fetch(app, '/items', { headers: { origin: APP } })]) {
      for (const field of ['X-Mine', 'WWW-Authenticate', 'DPoP-Nonce']) assert.equal(listing(response.headers, field), 1, `${response.status} ${field}`);
      assert.equal(response.headers.get('access-control-allow-origin'), APP);
    }
    const preflight = await app.request('/items', { method: 'OPTIONS', headers: PREFLIGHT });
    assert.equal(preflight.status, 204);
  });

  test('express: fields that a handler exposes, however it writes them', async () => {
    const mine = { 'access-control-expose-headers': 'X-Mine, DPoP-Nonce', 'Cache-Control': 'max-age=60', 'X-Mine': 'yes' };
    for (const [way, answer] of Object.entries({
      implicit: (res) => res.set(mine).write('x') && res.end(),
      flushed: (res) => res.set(mine).flushHeaders() ?? res.end('x'),
      object: (res) => res.writeHead(200, mine).end('x'),
      message: (res) => res.writeHead(200, 'Fine', mine).end('x'),
      list: (res) => res.writeHead(200, Object.entries(mine).flat()).end('x'),
      reset: (res) => res.removeHeader('Access-Control-Expose-Headers') ?? res.set(mine).end('x'),
    })) {
      const app = express().use(forExpress.protect(options({ cors: undefined }))).get('/items', (_, res) => void answer(res)).listen(0, '127.0.0.1');
      await new Promise((done) => app.once('listening', done));
      closing.push(() => app.close());
      const bob = issuer.client({ subject: 'bob' });
      let got;
      for (let i = 0; i < 2; i += 1) {
        got = await raw(app.address().port, '/items', [['Origin', APP], ...Object.entries(bob.sign({ url: '/items' }))]);
        bob.observe(got.status, new Headers(got.headers));
      }
      assert.deepEqual([got.status, got.header('x-mine'), got.header('cache-control')], [200, 'yes', 'max-age=60'], way);
      assert.equal(got.headers.filter(([name]) => name === 'access-control-expose-headers').length, 1, way);
      for (const field of ['X-Mine', 'WWW-Authenticate', 'DPoP-Nonce']) assert.equal(listing(new Headers(got.headers), field), 1, `${way} ${field}`);
    }
  });

  test('fastify: fields that a plugin exposes before or after', async () => {
    for (const first of [true, false]) {
      const app = fastify();
      const exposing = () => app.addHook('onRequest', async (_, reply) => void reply.header('Access-Control-Expose-Headers', 'X-Mine'));
      if (first) exposing();
      await app.register(forFastify.keybound, options({ cors: undefined }));
      if (!first) exposing();
      app.get('/items', async () => 'x');
      const bob = issuer.client({ subject: 'bob' });
      const response = await bob.inject(app, '/items');
      assert.equal(response.statusCode, 200);
      for (const field of ['X-Mine', 'WWW-Authenticate', 'DPoP-Nonce']) assert.equal(listing(new Headers(response.headers), field), 1, field);
      if (first) assert.equal(listing(new Headers((await app.inject('/items')).headers), 'X-Mine'), 1);
    }
  });
});

describe('hono: answers that cannot be changed', () => {
  test('what fetch gave is passed on with the fields of the protection', async () => {
    const upstream = express().get('/page', (_, res) => res.set('X-Upstream', 'yes').cookie('a', '1').cookie('b', '2').send('from upstream')).listen(0, '127.0.0.1');
    await new Promise((done) => upstream.once('listening', done));
    closing.push(() => upstream.close());
    const app = new Hono().use(forHono.protect(options())).get('*', () => fetch(`http://127.0.0.1:${upstream.address().port}/page`));
    const response = await issuer.client({ subject: 'bob' }).fetch(app, '/items', { headers: { origin: APP } });
    assert.deepEqual([response.status, await response.text()], [200, 'from upstream']);
    assert.deepEqual([response.headers.get('x-upstream'), response.headers.get('access-control-allow-origin')], ['yes', APP]);
    assert.deepEqual(response.headers.getSetCookie().map((cookie) => cookie.slice(0, 3)), ['a=1', 'b=2']);
  });

  test('and so is an answer without a body, or one that says how it is cached', async () => {
    const app = new Hono().use(forHono.protect(options()));
    app.get('/moved', () => Response.redirect('https://api.example.com/new', 302)).get('/cached', (c) => c.text('x', 200, { 'Cache-Control': 'max-age=60' }));
    const bob = issuer.client({ subject: 'bob' });
    const moved = await bob.fetch(app, '/moved', { headers: { origin: APP } });
    assert.deepEqual([moved.status, moved.headers.get('location'), moved.headers.get('access-control-allow-origin')], [302, 'https://api.example.com/new', APP]);
    assert.equal((await bob.fetch(app, '/cached')).headers.get('cache-control'), 'max-age=60');
  });
});

describe('the metadata of a part of an application', () => {
  const resource = `${RESOURCE}/v1`;
  const own = TestIssuer.forResource(resource);
  const path = '/.well-known/oauth-protected-resource/v1';

  test('express', async () => {
    const protection = protect(own.trustedBy({}));
    const app = express().use(forExpress.metadata(protection));
    app.use('/v1', forExpress.protect(protection)).get('/v1/items', (req, res) => res.send(req.auth.subject)).get('/open', (_, res) => res.send('open'));
    const server = app.listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    closing.push(() => server.close());
    const told = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
    assert.deepEqual([told.status, (await told.json()).resource, told.headers.get('access-control-allow-origin')], [200, resource, '*']);
    assert.equal((await fetch(`http://127.0.0.1:${server.address().port}/v1/items`)).status, 401);
    assert.equal((await fetch(`http://127.0.0.1:${server.address().port}/open`)).status, 200);
  });

  test('fastify', async () => {
    const [app, protection] = [fastify(), protect(own.trustedBy({}))];
    await app.register(forFastify.metadata, { protection });
    await app.register(async (part) => {
      await part.register(forFastify.keybound, { protection });
      part.get('/items', async ({ auth }) => auth.subject);
    }, { prefix: '/v1' });
    app.get('/open', async () => 'open');
    const told = await app.inject(path);
    assert.deepEqual([told.statusCode, told.json().resource, told.headers['access-control-allow-origin']], [200, resource, '*']);
    assert.equal((await app.inject('/v1/items')).statusCode, 401);
    assert.equal((await app.inject('/open')).statusCode, 200);
    assert.equal((await own.client({ subject: 'alice' }).inject(app, '/v1/items')).body, 'alice');
  });

  test('hono: route and basePath', async () => {
    for (const laid of [
      (protection) => new Hono().route('/v1', new Hono().use(forHono.protect(protection)).get('/items', (c) => c.text(c.get('principal').subject))),
      (protection) => new Hono().basePath('/v1').use(forHono.protect(protection)).get('/items', (c) => c.text(c.get('principal').subject)),
    ]) {
      const protection = protect(own.trustedBy({}));
      const app = new Hono().use(forHono.metadata(protection)).get('/open', (c) => c.text('open')).route('/', laid(protection));
      const told = await app.request(path);
      assert.deepEqual([told.status, (await told.json()).resource], [200, resource]);
      assert.equal((await app.request('/v1/items')).status, 401);
      assert.equal((await app.request('/open')).status, 200);
      assert.equal(await (await own.client({ subject: 'alice' }).fetch(app, '/v1/items')).text(), 'alice');
    }
  });
});
