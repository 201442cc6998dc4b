// Each framework, asked over raw sockets: encoded paths, repeated and folded fields, metadata, nonces, refusals as the core says them.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect as http2 } from 'node:http2';
import { after, before, describe, test } from 'node:test';

import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { Key, Misuse, proofSync } from 'keybound';
import * as forExpress from 'keybound/express';
import * as forFastify from 'keybound/fastify';
import * as forHono from 'keybound/hono';
import { partsOf, protect } from 'keybound/server';

import { ISSUER, key, optionsFor, raw, tokenFor } from './protected.mjs';

const RESOURCE = 'https://api.example.com/v1';
const ORIGIN = 'https://api.example.com';
const options = () => optionsFor(RESOURCE);
const token = (more) => tokenFor(RESOURCE, more);

const listening = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

const frameworks = {
  async express() {
    const app = express();
    app.use(forExpress.protect(options()));
    app.get('/v1/write', forExpress.requireScopes('write'), (req, res) => res.send('written'));
    // A mounted router sees what is left of the path.
    app.use('/v1', express.Router().get(/.*/, (req, res) => res.json({ subject: req.auth.subject, thumbprint: req.auth.thumbprint })));
    const server = createServer(app);
    return { port: await listening(server), close: () => server.close() };
  },
  async fastify() {
    const app = fastify();
    await app.register(forFastify.keybound, options());
    app.get('/v1/write', { preHandler: forFastify.requireScopes('write') }, async () => 'written');
    app.get('/v1/*', async ({ auth }) => ({ subject: auth.subject, thumbprint: auth.thumbprint }));
    await app.listen({ port: 0, host: '127.0.0.1' });
    return { port: app.server.address().port, close: () => app.close() };
  },
  async hono() {
    const app = new Hono();
    app.use(forHono.protect(options()));
    app.get('/v1/write', forHono.requireScopes('write'), (c) => c.text('written'));
    app.get('/v1/*', (c) => c.json({ subject: c.get('principal').subject, thumbprint: c.get('principal').thumbprint }));
    const server = await new Promise((resolve) => {
      const made = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made));
    });
    return { port: server.address().port, close: () => server.close() };
  },
  async 'no framework'() {
    const protection = protect(options());
    const server = createServer(async (request, response) => {
      if (request.url.split('?')[0] === protection.metadataPath) {
        response.setHeader('content-type', 'application/json');
        response.setHeader('access-control-allow-origin', '*');
        return response.end(JSON.stringify(protection.metadata));
      }
      const decision = await protection.authenticate(partsOf(request));
      const lacking = decision.principal && request.url === '/v1/write' ? decision.principal.requireScopes('write') : undefined;
      const refusal = decision.refusal ?? lacking;
      if (refusal) return response.writeHead(refusal.status, refusal.headers.flat()).end(refusal.body);
      for (const [name, value] of decision.principal.headers) response.appendHeader(name, value);
      return response.end(JSON.stringify({ subject: decision.principal.subject, thumbprint: decision.principal.thumbprint }));
    });
    return { port: await listening(server), close: () => server.close() };
  },
};

for (const [name, start] of Object.entries(frameworks)) {
  describe(name, () => {
    let app;
    let access;
    let nonce;
    before(async () => {
      [app, access] = [await start(), await token()];
    });
    after(() => app.close());

    const prove = (target, more = {}) => proofSync({ key, method: 'GET', url: ORIGIN + target, accessToken: access, nonce, ...more });
    const fields = (target, more) => [['Authorization', `DPoP ${access}`], ['DPoP', prove(target, more)]];

    test('a request without a token is told where to get one, without a body', async () => {
      const { status, header, body } = await raw(app.port, '/v1/a', []);
      assert.equal(status, 401);
      assert.match(header('www-authenticate'), /^DPoP .*resource_metadata="https:\/\/api\.example\.com\/\.well-known\/oauth-protected-resource\/v1"/);
      assert.equal(body.replace(/^0\r\n\r\n$/, ''), '');
    });

    test('the metadata is open to everyone', async () => {
      const { status, header, body } = await raw(app.port, '/.well-known/oauth-protected-resource/v1?x', []);
      assert.deepEqual([status, header('content-type').split(';')[0], header('access-control-allow-origin')], [200, 'application/json', '*']);
      const document = JSON.parse(body.match(/\{.*\}/s)[0]);
      assert.deepEqual([document.resource, document.authorization_servers, document.dpop_bound_access_tokens_required], [RESOURCE, [ISSUER], true]);
    });

    test('a proof without a nonce is answered with one, and with it admitted', async () => {
      const first = await raw(app.port, '/v1/a', fields('/v1/a'));
      assert.equal(first.status, 401);
      assert.match(first.header('www-authenticate'), /error="use_dpop_nonce"/);
      assert.equal(first.header('cache-control'), 'no-store');
      nonce = first.header('dpop-nonce');
      const sent = fields('/v1/a');
      const { status, header, body } = await raw(app.port, '/v1/a', sent);
      assert.equal(status, 200, header('www-authenticate'));
      assert.deepEqual(JSON.parse(body.match(/\{.*\}/s)[0]), { subject: 'alice', thumbprint: key.thumbprint });
      assert.match(header('access-control-expose-headers'), /DPoP-Nonce/);
      const again = await raw(app.port, '/v1/a', sent);
      assert.equal(again.status, 401);
      assert.match(again.header('www-authenticate'), /error="invalid_dpop_proof"/);
    });

    test('the raw path counts: an encoded slash is no slash', async () => {
      assert.equal((await raw(app.port, '/v1/a%2Fb?c=%2F', fields('/v1/a%2Fb'))).status, 200);
      assert.equal((await raw(app.port, '/v1/a%2fb', fields('/v1/a%2Fb'))).status, 200, 'RFC 3986 6.2.2.1');
      assert.equal((await raw(app.port, '/v1/%61', fields('/v1/a'))).status, 200, 'RFC 3986 6.2.2.2');
      for (const [target, proved] of [['/v1/a%2Fb', '/v1/a/b'], ['/v1/a/b', '/v1/a%2Fb'], ['/v1/a%252Fb', '/v1/a%2Fb'], ['/v1/a/', '/v1/a'], ['//v1/a', '/v1/a']]) {
        const { status, header } = await raw(app.port, target, fields(proved));
        assert.deepEqual([target, status], [target, 401]);
        assert.match(header('www-authenticate'), /invalid_dpop_proof/);
      }
    });

    test('a field that comes twice, or folded, is refused', async () => {
      const [authorization, proof] = fields('/v1/a');
      const twice = await raw(app.port, '/v1/a', [authorization, proof, ['dpop', prove('/v1/a')]]);
      assert.equal(twice.status, 401);
      assert.match(twice.header('www-authenticate'), /invalid_dpop_proof/);
      assert.equal((await raw(app.port, '/v1/a', [authorization, ['DPoP', `${prove('/v1/a')}, ${prove('/v1/a')}`]])).status, 401);
      assert.equal((await raw(app.port, '/v1/a', [authorization, ['Authorization', `Bearer ${access}`], proof])).status, 400);
      assert.equal((await raw(app.port, '/v1/a', [authorization, authorization, ['DPoP', prove('/v1/a')]])).status, 400);
      assert.equal((await raw(app.port, '/v1/a', [authorization])).status, 401);
    });

    test('a bound token is no bearer token, and of no other key, and needs its scope', async () => {
      assert.equal((await raw(app.port, '/v1/a', [['Authorization', `Bearer ${access}`], ['DPoP', prove('/v1/a')]])).status, 401);
      const thief = Key.generate();
      const stolen = proofSync({ key: thief, method: 'GET', url: `${ORIGIN}/v1/a`, accessToken: access, nonce });
      assert.equal((await raw(app.port, '/v1/a', [['Authorization', `DPoP ${access}`], ['DPoP', stolen]])).status, 401);
      const { status, header } = await raw(app.port, '/v1/write', fields('/v1/write'));
      assert.equal(status, 403);
      assert.match(header('www-authenticate'), /error="insufficient_scope".*scope="write"|scope="write".*error="insufficient_scope"/);
    });

    test('a request target with a scheme or none at all decides nothing', async () => {
      const absolute = await raw(app.port, 'http://other.example/v1/a', fields('/v1/a'));
      assert([400, 401, 404].includes(absolute.status), String(absolute.status));
    });
  });
}

test('where Bearer tokens are taken too, each framework sends both challenges', async () => {
  const both = () => ({ ...options(), schemes: 'dpop_and_bearer' });
  const web = express().use(forExpress.protect(both())).listen(0, '127.0.0.1');
  await new Promise((resolve) => web.once('listening', resolve));
  const app = fastify();
  await app.register(forFastify.keybound, both());
  await app.listen({ port: 0, host: '127.0.0.1' });
  const hono = new Hono().use(forHono.protect(both()));
  const server = await new Promise((resolve) => {
    const made = serve({ fetch: hono.fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made));
  });
  for (const { port } of [web.address(), app.server.address(), server.address()]) {
    const { headers } = await raw(port, '/v1/a', []);
    const challenges = headers.filter(([name]) => name === 'www-authenticate').map(([, value]) => value).join(', ');
    assert.match(challenges, /DPoP .*Bearer|Bearer .*DPoP/);
  }
  web.close();
  server.close();
  await app.close();
});

test('over HTTP/2 the target is that of :path', async () => {
  const app = fastify({ http2: true });
  await app.register(forFastify.keybound, options());
  app.get('/v1/*', async ({ auth }) => auth.subject);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const session = http2(`http://127.0.0.1:${app.server.address().port}`);
  const ask = (fields) => new Promise((resolve) => {
    const stream = session.request({ ':path': '/v1/a%2Fb', ...fields });
    stream.once('response', (headers) => stream.resume().once('end', () => resolve(headers)));
  });
  const access = await token();
  const made = (more) => proofSync({ key, method: 'GET', url: `${ORIGIN}/v1/a%2Fb`, accessToken: access, ...more });
  const first = await ask({ authorization: `DPoP ${access}`, dpop: made() });
  assert.deepEqual([first[':status'], typeof first['dpop-nonce']], [401, 'string']);
  const second = await ask({ authorization: `DPoP ${access}`, dpop: made({ nonce: first['dpop-nonce'] }) });
  assert.equal(second[':status'], 200, second['www-authenticate']);
  session.close();
  await app.close();
});

test('a resource that cannot be protected is refused at the start', () => {
  assert.throws(() => protect({ resource: 'http://api.example.com', issuers: [ISSUER] }), Misuse);
  assert.throws(() => protect({ resource: RESOURCE, issuers: ['http://as.example.com'] }), Misuse);
  assert.throws(() => protect({ resource: RESOURCE, issuer: ISSUER }), { reason: 'unknown_option' });
});
