// A proof for one path opens no other: where a request can have another path than its target says, it is refused before anything is looked at.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { proofSync } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';

import { key, optionsFor, raw, tokenFor } from './protected.mjs';

const ORIGIN = 'https://api.example.com';
const accessToken = await tokenFor(ORIGIN);
const options = () => ({ ...optionsFor(ORIGIN), proofs: { nonces: false } });
const fields = (target) => [['Authorization', `DPoP ${accessToken}`], ['DPoP', proofSync({ key, method: 'GET', url: ORIGIN + target, accessToken })]];

/** Fields by which frameworks, proxies and middleware let a request state another path or mount point. */
const STATED = ['X-Forwarded-Prefix', 'X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Path', 'X-Script-Name', 'Script-Name', 'Daphne-Root-Path', 'X-HTTP-Path-Override'];

const closing = [];
after(() => Promise.all(closing.map((close) => close())));

const forms = {
  async express(wrap) {
    const app = express();
    wrap(app);
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    closing.push(() => server.close());
    return server.address().port;
  },
  async fastify(app) {
    await app.listen({ port: 0, host: '127.0.0.1' });
    closing.push(() => app.close());
    return app.server.address().port;
  },
  async hono(app) {
    const server = await new Promise((resolve) => {
      const made = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made));
    });
    closing.push(() => server.close());
    return server.address().port;
  },
};

/** Asks for `target` with a proof for `proved`. */
async function ask(port, target, proved = target, more = [], host = 'api.example.com') {
  const { status, header, body } = await raw(port, target, [...fields(proved), ...more], { host });
  return { status, body: body.match(/handler \S+/)?.[0], challenge: header('www-authenticate') };
}

const MISROUTED = { status: 400, body: undefined };
const of = ({ status, body }) => ({ status, body });

describe('mounted routers, prefixes and sub-applications need no configuration', () => {
  test('express', async () => {
    const port = await forms.express((app) => {
      const inner = express.Router().get('/items', (_, res) => res.send('handler inner')).get('/', (_, res) => res.send('handler root'));
      const sub = express().use(forExpress.protect(options())).get('/items', (_, res) => res.send('handler sub'));
      app.use('/v1', forExpress.protect(options()), inner);
      app.use('/deep', express.Router().use('/er', forExpress.protect(options()), inner));
      app.use('/sub', sub);
      app.use('/:tenant/api', forExpress.protect(options()), inner);
    });
    for (const [target, body] of [
      ['/v1/items', 'inner'], ['/v1', 'root'], ['/v1/', 'root'], ['/v1?a=b', 'root'], ['/deep/er/items', 'inner'], ['/sub/items', 'sub'], ['/a%2Fb/api/items', 'inner'],
      ['/t%C3%A9/api/items?x', 'inner'],
    ]) {
      assert.deepEqual([target, of(await ask(port, target))], [target, { status: 200, body: `handler ${body}` }]);
      for (const name of STATED) {
        const { status } = await ask(port, target, '/admin', [[name, '/admin']]);
        assert.deepEqual([target, name, status], [target, name, 401], 'a proof for what a field states opens nothing');
      }
    }
  });

  test('fastify', async () => {
    const app = fastify();
    await app.register(async (scope) => {
      await scope.register(forFastify.keybound, options());
      scope.get('/items', async () => 'handler prefixed');
      await scope.register(async (inner) => inner.get('/items', async () => 'handler nested'), { prefix: '/in' });
    }, { prefix: '/v1' });
    const port = await forms.fastify(app);
    for (const [target, body] of [['/v1/items', 'prefixed'], ['/v1/in/items?a', 'nested'], ['/v1/%69tems', 'prefixed']]) {
      assert.deepEqual([target, of(await ask(port, target))], [target, { status: 200, body: `handler ${body}` }]);
      for (const name of STATED) assert.equal((await ask(port, target, '/admin', [[name, '/admin']])).status, 401);
    }
  });

  test('hono', async () => {
    const inner = new Hono().use(forHono.protect(options())).get('/items', (c) => c.text('handler inner')).get('/', (c) => c.text('handler root'));
    const app = new Hono();
    app.route('/v1', inner);
    app.basePath('/base').route('/er', inner);
    app.route('/loose', new Hono({ strict: false }).use(forHono.protect(options())).get('/items', (c) => c.text('handler loose')));
    const port = await forms.hono(app);
    for (const [target, body] of [['/v1/items', 'inner'], ['/v1', 'root'], ['/base/er/items?a=%2F', 'inner'], ['/v1/%69tems', 'inner']]) {
      assert.deepEqual([target, of(await ask(port, target))], [target, { status: 200, body: `handler ${body}` }]);
      for (const name of STATED) assert.equal((await ask(port, target, '/admin', [[name, '/admin']])).status, 401);
    }
    const loose = await forms.hono(new Hono({ strict: false }).use(forHono.protect(options())).get('/items', (c) => c.text('handler loose')));
    assert.deepEqual(of(await ask(loose, '/items/')), { status: 200, body: 'handler loose' });
  });
});

describe('a proof for one path does not open the path that a request field names', () => {
  test('express: middleware that rewrites by a field', async () => {
    const port = await forms.express((app) => {
      app.use((req, _, next) => {
        req.url = req.get('x-rewrite-url') ?? req.url;
        req.baseUrl = req.get('x-forwarded-prefix') ?? req.baseUrl;
        next();
      });
      app.use(forExpress.protect(options()));
      app.get('/items', (_, res) => res.send('handler items')).get('/admin', (_, res) => res.send('handler admin'));
    });
    assert.deepEqual(of(await ask(port, '/items')), { status: 200, body: 'handler items' });
    assert.deepEqual(of(await ask(port, '/items', '/items', [['X-Rewrite-URL', '/admin']])), MISROUTED);
    assert.deepEqual(of(await ask(port, '/items', '/items', [['X-Forwarded-Prefix', '/admin']])), MISROUTED);
    // Nor is the metadata shown by way of it.
    assert.equal((await raw(port, '/.well-known/oauth-protected-resource', [['X-Rewrite-URL', '/admin']])).status, 400);
  });

  test('fastify: rewriteUrl by a field', async () => {
    const app = fastify({ rewriteUrl: (req) => req.headers['x-original-url'] ?? req.url });
    await app.register(forFastify.keybound, options());
    app.get('/items', async () => 'handler items');
    app.get('/admin', async () => 'handler admin');
    const port = await forms.fastify(app);
    assert.deepEqual(of(await ask(port, '/items')), { status: 200, body: 'handler items' });
    assert.deepEqual(of(await ask(port, '/items', '/items', [['X-Original-URL', '/admin']])), MISROUTED);
    assert.deepEqual(of(await ask(port, '/items', '/items', [['X-Original-URL', 'http://api.example.com/admin']])), MISROUTED);
    assert.equal((await raw(port, '/.well-known/oauth-protected-resource', [['X-Original-URL', '/admin']])).status, 400);
  });

  test('hono: getPath by a field, and a path in Host', async () => {
    const protectedApp = (more) => new Hono(more).use(forHono.protect(options())).get('/items', (c) => c.text('handler items')).get('/admin', (c) => c.text('handler admin')).get('/admin/items', (c) => c.text('handler admin'));
    const port = await forms.hono(protectedApp({ getPath: (req) => req.headers.get('x-forwarded-prefix') ?? new URL(req.url).pathname }));
    assert.deepEqual(of(await ask(port, '/items')), { status: 200, body: 'handler items' });
    assert.deepEqual(of(await ask(port, '/items', '/items', [['X-Forwarded-Prefix', '/admin']])), MISROUTED);
    const plain = await forms.hono(protectedApp({}));
    for (const host of ['api.example.com/admin', 'api.example.com/admin?', 'api.example.com/admin#', 'x@api.example.com/admin?', 'api.example.com\\admin', '/admin', '%2Fadmin']) {
      const { status, body } = await ask(plain, '/items', '/items', [], host);
      assert.notEqual(body, 'handler admin', host);
      assert([200, 400, 401].includes(status), `${host}: ${status}`);
    }
  });

  test('hono on hosts that give a Request alone', async () => {
    const app = (more, given = {}) => new Hono(more).use(forHono.protect({ ...options(), ...given })).get('/items', (c) => c.text('handler items')).get('/admin', (c) => c.text('handler admin'));
    const ask = async (app, target, proved, more = []) => (await app.request(ORIGIN + target, { headers: [...fields(proved), ...more] })).status;
    assert.equal(await ask(app({}), '/items?a', '/items'), 200);
    assert.equal(await ask(app({}), '/admin', '/items'), 401);
    const routed = app({ getPath: (req) => req.headers.get('x-forwarded-prefix') ?? new URL(req.url).pathname });
    assert.equal(await ask(routed, '/items', '/items', [['X-Forwarded-Prefix', '/admin']]), 400);
    // Here `mount` hands on a request without the prefix.
    assert.equal(await ask(new Hono().mount('/api', app({}).fetch), '/api/items', '/api/items'), 401);
    assert.equal(await ask(new Hono().mount('/api', app({}, { pathPrefix: '/api' }).fetch), '/api/items', '/api/items'), 200);
  });

  test('dot segments and absolute targets', async () => {
    const web = await forms.express((app) => app.use(forExpress.protect(options())).get(/.*/, (_, res) => res.send('handler any')));
    const fast = fastify();
    await fast.register(forFastify.keybound, options());
    fast.get('/*', async () => 'handler any');
    const hono = new Hono().use(forHono.protect(options())).get('*', (c) => c.text('handler any'));
    for (const port of [web, await forms.fastify(fast), await forms.hono(hono)]) {
      for (const target of ['/admin/../items', '/admin/%2e%2E/items', '/./items', '/admin/.%2e/items']) {
        assert.deepEqual([target, of(await ask(port, target, '/items'))], [target, MISROUTED]);
      }
      for (const target of ['http://api.example.com/admin', 'https://other.example/items']) assert.notEqual((await ask(port, target, '/items')).status, 200, target);
      assert.equal((await ask(port, `${ORIGIN}/items`, '/items')).status, 200);
    }
  });
});

describe('a mount point that the program takes off the path itself is configuration', () => {
  test('fastify: rewriteUrl that takes a prefix off', async () => {
    const started = async (more) => {
      const app = fastify({ rewriteUrl: (req) => req.url.replace(/^\/api(?=\/)/, '') });
      await app.register(forFastify.keybound, { ...options(), ...more });
      app.get('/items', async () => 'handler items');
      return forms.fastify(app);
    };
    const faults = [];
    const unconfigured = await started({ onFault: (fault) => faults.push(fault.message) });
    for (let i = 0; i < 2; i += 1) assert.deepEqual(of(await ask(unconfigured, '/api/items?of=a-stranger')), MISROUTED);
    assert.equal(faults.length, 1, 'the operator is told once what to type');
    assert.match(faults[0], /mountPath: '\/api'/);
    assert.doesNotMatch(faults[0], /items|stranger/, 'what a request stated is no advice');
    assert.match(faults[0], /rewriteUrl/, 'it says where the prefix stands');
    const port = await started({ mountPath: '/api' });
    assert.deepEqual(of(await ask(port, '/api/items')), { status: 200, body: 'handler items' });
    assert.deepEqual(of(await ask(port, '/items')), MISROUTED, 'around the mount point');
  });

  test('hono: mount', async () => {
    const started = (more) => {
      const inner = new Hono().use(forHono.protect({ ...options(), ...more })).get('/items', (c) => c.text('handler items'));
      return forms.hono(new Hono().mount('/api', inner.fetch));
    };
    assert.deepEqual(of(await ask(await started({}), '/api/items')), MISROUTED);
    assert.deepEqual(of(await ask(await started({ mountPath: '/api' }), '/api/items')), { status: 200, body: 'handler items' });
  });

  test('one that is written in another way is misuse at the start', () => {
    for (const mountPath of ['api', '/api/', '/', '/a/../b', '/%61', ['/api']]) {
      assert.throws(() => forExpress.protect({ ...options(), mountPath }), { name: 'Misuse' }, String(mountPath));
    }
  });
});
