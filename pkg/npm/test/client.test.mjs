// The client against `keybound serve`: logins of every kind, calls with nonces, refresh, streams, files, and what goes wrong.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createServer } from 'node:http';

import { Client, FileStore, FlowFailed, HostFailed, Key, LoginRequired, Loopback, MemoryStore, Misuse, demandOf } from 'keybound';
import { browse, serve } from './serve.mjs';

const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(folder, { recursive: true }));

/** A `fetch` that counts what goes out. */
function counting() {
  const seen = [];
  const send = async (url, init) => {
    seen.push(`${init?.method ?? 'GET'} ${new URL(url).pathname}`);
    return fetch(url, init);
  };
  return { send, seen, count: (what) => seen.filter((one) => one === what).length };
}

async function login(servers, store = new MemoryStore(), settings = {}, request = {}) {
  const loopback = await Loopback.listen();
  const credentials = [{ issuer: servers.issuer, clientId: 'keybound-demo' }];
  const client = new Client({ level: 'enhanced', redirectUri: loopback.redirectUri, credentials, allowLoopback: true }, store, settings);
  const discovered = await client.discover(servers.resource);
  const session = await client.login({ session: 'work', discovered, ...request }, loopback, browse);
  return { client, session, discovered, credentials };
}

describe('a server that demands nonces', () => {
  let servers;
  before(async () => (servers = await serve('--fault', 'new-nonce-each-call')));
  after(() => servers.stop());

  test('login in the browser, calls, refresh, end', async () => {
    const { send, count } = counting();
    const { client, session } = await login(servers, new MemoryStore(), { fetch: send });
    assert.deepEqual([session.name, session.level, session.bound, session.issuer, session.resource], ['work', 'enhanced', true, servers.issuer, servers.resource]);
    const call = client.fetch(session);
    const first = await call(servers.resource);
    assert.equal(first.status, 200);
    assert.equal((await first.json()).method, 'GET');
    const before = count('GET /api');
    assert.equal((await call(servers.resource)).status, 200);
    assert.equal(count('GET /api'), before + 1, 'a nonce that is known costs no second request');
    const token = session.dangerAccessToken();
    await client.refresh(session);
    assert.notEqual(session.dangerAccessToken(), token);
    assert.equal((await call(new Request(`${servers.resource}/x?y=z#part`))).status, 200);
    for (const shown of [JSON.stringify(session), String(session)]) assert(!shown.includes(session.dangerAccessToken()));
    await client.end(session);
    assert.equal(session.ended, true);
    await assert.rejects(call(servers.resource), LoginRequired);
  });

});

describe('a server that hands out nonces', () => {
  let servers;
  before(async () => (servers = await serve()));
  after(() => servers.stop());

  test('bodies: in memory, streams that are primed, requests', async () => {
    const { send, count } = counting();
    const { client, session } = await login(servers, new MemoryStore(), { fetch: send });
    const call = client.fetch(session);
    for (const body of ['text', new Uint8Array([1, 2]), new URLSearchParams({ a: 'b' }), new Blob(['blob'])]) {
      const response = await call(servers.resource, { method: 'POST', body });
      assert.equal(response.status, 200);
    }
    const stream = () => new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('part '));
        controller.enqueue(new TextEncoder().encode('part'));
        controller.close();
      },
    });
    const { client: other, session: fresh } = await login(servers, new MemoryStore(), { fetch: send }, { session: 'other' });
    const heads = count('HEAD /api');
    const response = await other.fetch(fresh)(servers.resource, { method: 'PUT', body: stream(), duplex: 'half' });
    assert.equal(response.status, 200);
    assert.equal(count('HEAD /api'), heads + 1, 'primed once');
    const request = new Request(servers.resource, { method: 'POST', body: 'in a request', headers: { 'content-type': 'text/x' } });
    assert.equal((await other.fetch(fresh)(request)).status, 200);
  });

  test('many calls at a time, and one refresh', async () => {
    const { send, count } = counting();
    const { client, session } = await login(servers, new MemoryStore(), { fetch: send });
    const tokens = count('POST /token');
    await Promise.all(Array.from({ length: 5 }, () => client.refresh(session)));
    // Each was asked for; whoever waited found it done.
    assert(count('POST /token') <= tokens + 2, String(count('POST /token') - tokens));
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.fetch(session)(servers.resource)));
    assert(answers.every(({ status }) => status === 200));
  });

  test('AbortSignal, the network\'s own errors, foreign targets', async () => {
    const { client, session } = await login(servers);
    const call = client.fetch(session);
    await assert.rejects(call(servers.resource, { signal: AbortSignal.abort() }), { name: 'AbortError' });
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    controller.abort(reason);
    await assert.rejects(call(servers.resource, { signal: controller.signal }), reason);
    await assert.rejects(call('https://elsewhere.example/'), Misuse);
    await assert.rejects(call('http://127.0.0.1:1/api'), Misuse);
    assert.equal((await call(servers.resource)).status, 200);
  });

  test('device login, client credentials, more scope', async () => {
    const store = new MemoryStore();
    const { client, session, discovered } = await login(servers, store, {}, { scope: 'read' });
    let prompt;
    const device = await client.device({ session: 'tv', discovered }, (shown) => (prompt = shown));
    assert(prompt.userCode.length > 0 && prompt.verificationUri.startsWith(servers.issuer));
    assert.equal((await client.fetch(device)(servers.resource)).status, 200);

    const refused = await client.fetch(session)(`${servers.resource}/write`);
    assert.deepEqual([refused.status, demandOf(refused)], [403, { do: 'step_up', scope: demandOf(refused)?.scope }]);
    assert(demandOf(refused).scope.split(' ').includes('write'));
    assert((await client.stepUp(session, 'read write')).url.startsWith(servers.issuer));

    const service = new Client(
      { level: 'enhanced', credentials: [{ issuer: servers.issuer, clientId: 'keybound-service', method: 'secret', secret: servers.client_secret }], allowLoopback: true },
      new MemoryStore(),
    );
    const own = await service.clientCredentials({ session: 'own', discovered: await service.discover(servers.resource) });
    assert.equal((await service.fetch(own)(servers.resource)).status, 200);
    const claims = await service.introspect(await service.discoverIssuer(servers.issuer), own.dangerAccessToken());
    assert.equal(claims.active, true);
  });
});

describe('a folder', () => {
  let servers;
  before(async () => (servers = await serve()));
  after(() => servers.stop());

  test('keeps sessions over processes, for their owner alone', async () => {
    const place = join(folder, 'sessions');
    const { client, session, credentials } = await login(servers, await FileStore.open(place));
    assert.equal((await client.fetch(session)(servers.resource)).status, 200);
    for (const kind of ['session', 'key']) {
      assert.equal((await stat(join(place, kind))).mode & 0o777, 0o700);
      for (const name of await readdir(join(place, kind))) assert.equal((await stat(join(place, kind, name))).mode & 0o777, 0o600);
    }
    const store = await FileStore.open(place);
    assert.deepEqual(await store.sessions(), ['work']);
    const again = new Client({ level: 'enhanced', credentials, allowLoopback: true }, store);
    const opened = await again.open('work', session.thumbprint);
    assert.equal((await again.fetch(opened)(servers.resource)).status, 200);
    await assert.rejects(again.open('work', Key.generate().thumbprint), { name: 'LoginRequired', reason: 'stored_key' });
    await assert.rejects(again.open('none'), { name: 'LoginRequired', reason: 'no_session' });

    // The key is lost: only a new login helps.
    await rm(join(place, 'key', session.thumbprint));
    await assert.rejects(again.fetch(opened)(servers.resource), (error) => error instanceof LoginRequired && error.reason === 'key_missing');
  });

  test('that others can read is refused', { skip: process.platform === 'win32' }, async () => {
    const place = join(folder, 'open');
    await FileStore.open(place);
    const { chmod } = await import('node:fs/promises');
    await chmod(place, 0o755);
    await assert.rejects(FileStore.open(place), /chmod 700/);
  });
});

describe('a server with faults', () => {
  test('another issuer\'s answer, an unbound token, a clock that is wrong', async () => {
    const mixed = await serve('--fault', 'wrong-iss');
    await assert.rejects(login(mixed), (error) => error instanceof FlowFailed && error.reason === 'iss_mismatch');
    mixed.stop();
    const bearer = await serve('--fault', 'bearer-token-type');
    await assert.rejects(login(bearer), { name: 'FlowFailed', reason: 'token_not_bound' });
    bearer.stop();
    const skewed = await serve('--fault', 'clock-skew=3000', '--no-nonces');
    const { client, session } = await login(skewed);
    assert.equal((await client.fetch(session)(skewed.resource)).status, 200);
    skewed.stop();
    await assert.rejects(client.fetch(session)(skewed.resource), TypeError);
  });

  test('a refused connection names the URL', async () => {
    const gone = createServer();
    await new Promise((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${gone.address().port}`;
    await new Promise((resolve) => gone.close(resolve));
    const discover = (settings) => new Client({ level: 'enhanced', allowLoopback: true }, new MemoryStore(), settings).discover(`${origin}/mcp?key=secret`);
    await assert.rejects(discover({}), (error) => {
      assert(error instanceof HostFailed && error.cause instanceof TypeError);
      assert.equal(error.reason, 'network');
      assert(error.message.includes(origin) && error.message.includes('ECONNREFUSED') && !error.message.includes('secret'), error.message);
      return true;
    });
    // The caller's own `fetch` keeps its errors.
    const own = new TypeError('no network here');
    await assert.rejects(discover({ fetch: () => Promise.reject(own) }), (error) => error === own);
  });

  test('messages have the names of this language', async () => {
    const discovering = new Client({ level: 'enhanced' }, new MemoryStore()).discover('http://api.example.com/x');
    await assert.rejects(discovering, ({ reason, message }) => reason === 'insecure_url' && message.includes('allowLoopback') && !message.includes('`'));
  });

  test('a redirect away carries no token', async () => {
    let stolen;
    const thief = createServer((request, response) => {
      stolen = request.headers.authorization;
      response.end();
    });
    await new Promise((resolve) => thief.listen(0, '127.0.0.1', resolve));
    const servers = await serve();
    const away = `http://127.0.0.1:${thief.address().port}/`;
    const { client, session } = await login(servers, new MemoryStore(), {
      fetch: (url, init) => (String(url) === `${servers.resource}/away` ? Promise.resolve(new Response(null, { status: 302, headers: { location: away } })) : fetch(url, init)),
    });
    const response = await client.fetch(session)(`${servers.resource}/away`);
    assert.deepEqual([response.status, stolen], [302, undefined]);
    servers.stop();
    thief.close();
  });
});
