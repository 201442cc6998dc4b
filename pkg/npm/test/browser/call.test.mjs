// `client.fetch` is used like `fetch`: requests of every shape, signals, streams.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launch, loggedIn, missing, redeemed, revokeAccessToken, run, startPages, startServers, until, watch } from './harness.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('base64url');

/** A server of HTTP/2, over which alone browsers send streams: it keeps what it was sent, and judges nothing. */
async function startStreams() {
  const folder = mkdtempSync(join(tmpdir(), 'keybound-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
  ], { stdio: 'ignore' });
  const seen = [];
  const waiting = [];
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    const cors = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'authorization, dpop, content-type', 'Access-Control-Allow-Methods': '*' };
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method !== 'OPTIONS') seen.push({ method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks) });
      response.writeHead(200, cors);
      if (request.url !== '/slow') return response.end();
      response.write('first');
      waiting.push(() => response.end('second'));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  rmSync(folder, { recursive: true });
  const stop = () => new Promise((resolve) => server.close(resolve));
  return { origin: `https://localhost:${server.address().port}`, seen, waiting, stop };
}

/** A server whose answers any cache may keep for an hour: it counts what reaches it. */
async function startShelf() {
  let answered = 0;
  const server = createServer((request, response) => {
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'authorization, dpop', 'Cache-Control': 'public, max-age=3600' };
    response.writeHead(200, headers).end(request.method === 'GET' ? String((answered += 1)) : '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

describe('a call', { skip: missing }, () => {
  let browser;
  let pages;
  let servers;
  let streams;
  let context;
  let page;
  let seen;

  before(async () => {
    [browser, pages, servers, streams] = await Promise.all([launch(['--ignore-certificate-errors']), startPages(), startServers(), startStreams()]);
  });
  after(async () => {
    await browser.close();
    await pages.close();
    await servers.stop();
    await streams.stop();
  });
  const fresh = async (alsoOrigins = []) => {
    await context?.close();
    context = await browser.newContext();
    page = await loggedIn(context, servers, pages, { alsoOrigins: [streams.origin, ...alsoOrigins] });
    seen = watch(context, servers.issuer);
  };

  test('takes URLs, Request objects and init, and answers with the Response itself', async () => {
    await fresh();
    const answers = await run(page, async (resource) => {
      const first = await client.fetch(new URL(`${resource}/a`), { headers: { Accept: 'application/json' } });
      const second = await client.fetch(new Request(`${resource}/b`, { method: 'DELETE' }));
      const third = await client.fetch(new Request(`${resource}/c`), { method: 'PUT', body: 'text' });
      const unread = [first, second, third].map((response) => response instanceof Response && !response.bodyUsed);
      return { unread, bodies: await Promise.all([first, second, third].map((response) => response.json())) };
    }, servers.resource);
    assert.deepEqual(answers.unread, [true, true, true]);
    assert.deepEqual(answers.bodies.map(({ method, path }) => `${method} ${path}`), ['GET /api/a', 'DELETE /api/b', 'PUT /api/c']);
    assert.equal(answers.bodies[2].body_sha256, sha256('text'));
  });

  test('sends a body that can be sent again a second time for the nonce', async () => {
    await fresh();
    const body = await run(page, async (resource) => {
      const form = new FormData();
      form.set('note', 'remember');
      return (await client.fetch(`${resource}/form`, { method: 'POST', body: form })).json();
    }, servers.resource);
    assert.equal(body.method, 'POST');
    await until('two answers', () => seen.length === 2);
    assert.deepEqual(seen.map(({ method, status }) => `${method} ${status}`), ['POST 401', 'POST 200']);
    const boundary = /boundary=(.+)$/.exec(seen[1].headers['content-type'])[1];
    assert.ok(seen[1].body === null || seen[1].body.includes(boundary));
  });

  test('asks for the nonce before it sends the body of a Request, which can be sent once', async () => {
    await fresh();
    const body = await run(page, async (resource) => {
      const request = new Request(`${resource}/once`, { method: 'POST', body: 'only once' });
      return (await client.fetch(request)).json();
    }, servers.resource);
    assert.equal(body.body_sha256, sha256('only once'));
    await until('two answers', () => seen.length === 2);
    assert.deepEqual(seen.map(({ method, status }) => `${method} ${status}`), ['HEAD 401', 'POST 200']);
  });

  test('sends a stream once, after asking, and gives the answer as it comes', async () => {
    await fresh();
    const sent = await run(page, async (origin) => {
      const body = new ReadableStream({
        start(controller) {
          for (const part of ['one ', 'two ', 'three']) controller.enqueue(new TextEncoder().encode(part));
          controller.close();
        },
      });
      return (await client.fetch(`${origin}/upload`, { method: 'POST', body, duplex: 'half' })).status;
    }, streams.origin);
    assert.equal(sent, 200);
    assert.deepEqual(streams.seen.map(({ method, path }) => `${method} ${path}`), ['HEAD /upload', 'POST /upload']);
    assert.equal(streams.seen[1].body.toString(), 'one two three');
    assert.ok(streams.seen.every(({ headers }) => headers.dpop.split('.').length === 3));
    const first = await run(page, async (origin) => {
      globalThis.reader = (await client.fetch(`${origin}/slow`)).body.getReader();
      const { value } = await globalThis.reader.read();
      return new TextDecoder().decode(value);
    }, streams.origin);
    assert.equal(first, 'first');
    streams.waiting.pop()();
    const rest = await run(page, async () => new TextDecoder().decode((await globalThis.reader.read()).value));
    assert.equal(rest, 'second');
  });

  test('ends when its signal is aborted, with the signal\'s reason', async () => {
    await fresh();
    assert.equal(await run(page, (url) => client.fetch(url, { signal: AbortSignal.abort('early') }).catch((reason) => reason), servers.resource), 'early');
    assert.equal(seen.length, 0);
    await context.route(`${servers.resource}/hangs`, () => undefined);
    const asked = page.waitForRequest(`${servers.resource}/hangs`);
    await run(page, (url) => {
      globalThis.controller = new AbortController();
      globalThis.hanging = client.fetch(`${url}/hangs`, { signal: globalThis.controller.signal }).catch((error) => error.name);
    }, servers.resource);
    await asked;
    const cancelled = page.waitForEvent('requestfailed', (request) => request.url() === `${servers.resource}/hangs`);
    assert.equal(await run(page, () => {
      globalThis.controller.abort();
      return globalThis.hanging;
    }), 'AbortError');
    await cancelled;
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('that is aborted during a refresh loses no token', async () => {
    await fresh();
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    await revokeAccessToken(servers, seen);
    let held;
    await context.route(`${servers.issuer}/token`, (route) => (held = route));
    await run(page, (url) => {
      globalThis.controller = new AbortController();
      globalThis.hanging = client.fetch(url, { signal: globalThis.controller.signal }).catch((error) => error.name);
    }, servers.resource);
    await until('the refresh', () => held !== undefined);
    assert.equal(await run(page, () => {
      globalThis.controller.abort();
      return globalThis.hanging;
    }), 'AbortError');
    await held.continue();
    await until('the token', () => redeemed(seen) === 1);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
    assert.equal(redeemed(seen), 1);
  });

  test('to elsewhere gets no token, and is refused before it is sent', async () => {
    await fresh();
    for (const url of [`${servers.issuer}/elsewhere`, `${pages.origin}/api`, 'https://example.com/']) {
      await assert.rejects(run(page, (url) => client.fetch(url), url), { name: 'Misuse' });
    }
    await assert.rejects(run(page, (url) => client.fetch(url, { mode: 'no-cors' }), servers.resource), { reason: 'no_cors' });
    await assert.rejects(run(page, (url) => client.fetch(url, { headers: { DPoP: 'x' } }), servers.resource), { name: 'Misuse' });
    assert.equal(seen.length, 0);
  });

  test('sends what was checked, whatever becomes of the URL, the fields and the body meanwhile', async () => {
    await fresh();
    const elsewhere = streams.seen.length;
    const bodies = await run(page, async ({ resource, other }) => {
      const url = new URL(`${resource}/mine`);
      const headers = new Headers({ accept: 'text/mine' });
      const body = new TextEncoder().encode('mine');
      const init = { method: 'PUT', headers, body };
      const request = new Request(`${resource}/mine`, { headers: { accept: 'text/mine' } });
      const answers = [client.fetch(url, init), client.fetch(request)];
      // As a program does that reuses its objects in a loop, before the nonce has come back.
      url.href = `${other}/stolen`;
      headers.set('accept', 'text/theirs');
      request.headers.set('accept', 'text/theirs');
      body.fill(0);
      Object.assign(init, { method: 'DELETE', headers: { accept: 'text/theirs' }, body: 'theirs' });
      return Promise.all(answers.map(async (answer) => (await answer).json()));
    }, { resource: servers.resource, other: streams.origin });
    assert.deepEqual(bodies.map(({ method, path, body_sha256: body }) => [method, path, body]), [
      ['PUT', '/api/mine', sha256('mine')], ['GET', '/api/mine', undefined],
    ]);
    await until('both attempts of both', () => seen.length >= 3);
    assert.ok(seen.some(({ status }) => status === 401), 'there was a second attempt');
    assert.deepEqual([...new Set(seen.map(({ headers }) => headers.accept))], ['text/mine']);
    assert.equal(streams.seen.length, elsewhere, 'nothing went to the other origin');
  });

  test('sends what was checked, whatever a URL or a getter answers the second time', async () => {
    await fresh();
    const elsewhere = streams.seen.length;
    const { paths, reads } = await run(page, async ({ resource, other }) => {
      /** Answers `first` once, and `then` from then on. */
      const turncoat = (first, then) => {
        let asked = 0;
        return () => ((asked += 1) === 1 ? first : then);
      };
      class Shifting extends URL {
        #shown = turncoat(`${resource}/a`, `${other}/stolen`);
        toString() {
          return this.#shown();
        }
      }
      const shown = turncoat(`${resource}/b`, `${other}/stolen`);
      const reads = [];
      const members = {
        method: turncoat('POST', 'DELETE'), body: turncoat('mine', new ReadableStream()), headers: turncoat({ accept: 'text/mine' }, { accept: 'text/theirs' }),
        mode: turncoat('cors', 'no-cors'), cache: turncoat('no-store', 'force-cache'), credentials: turncoat('omit', 'include'),
      };
      const init = {};
      for (const [name, value] of Object.entries(members)) {
        Object.defineProperty(init, name, { get: () => reads.push(name) && value(), enumerable: true });
      }
      const answers = await Promise.all([
        client.fetch(new Shifting(`${resource}/a`)), client.fetch({ toString: shown }), client.fetch(`${resource}/c`, init),
      ]);
      return { paths: await Promise.all(answers.map(async (answer) => (await answer.json()).path)), reads };
    }, { resource: servers.resource, other: streams.origin });
    assert.deepEqual(paths, ['/api/a', '/api/b', '/api/c']);
    assert.deepEqual(reads.toSorted(), ['body', 'cache', 'credentials', 'headers', 'method', 'mode'], 'each is read once');
    assert.equal(streams.seen.length, elsewhere, 'nothing went to the other origin');
    await until('all attempts', () => seen.length >= 4);
    assert.deepEqual([...new Set(seen.filter(({ path }) => path === '/api/c').map(({ method, headers }) => `${method} ${headers.accept}`))], ['POST text/mine']);
  });

  test('keeps what the page chose besides', async () => {
    await fresh();
    const sent = async (init) => {
      const asked = page.waitForRequest((request) => request.url().startsWith(servers.resource) && request.method() === 'GET');
      await run(page, async ({ url, init }) => (await client.fetch(url, init)).status, { url: servers.resource, init });
      return (await asked).allHeaders();
    };
    assert.equal((await sent({ referrerPolicy: 'unsafe-url' })).referer, page.url());
    assert.equal((await sent({ referrerPolicy: 'no-referrer' })).referer, undefined);
    assert.equal((await sent({ referrer: '' })).referer, undefined);
    // A Request as `init`: its members are getters of the platform.
    const body = await run(page, async (resource) => {
      const like = new Request(`${resource}/other`, { method: 'POST', headers: { 'content-type': 'text/plain' } });
      return (await client.fetch(`${resource}/this`, like)).json();
    }, servers.resource);
    assert.equal(`${body.method} ${body.path}`, 'POST /api/this');
  });

  test('neither reads nor fills the browser\'s cache, unless the page asks for it', async () => {
    const shelf = await startShelf();
    await fresh([shelf.origin]);
    const get = (init) => run(page, async ({ url, init }) => (await client.fetch(url, init)).text(), { url: `${shelf.origin}/mine`, init });
    assert.deepEqual([await get(), await get()], ['1', '2'], 'the second account does not get the answer of the first');
    assert.equal(await get({ cache: 'default' }), '3', 'nothing was stored');
    assert.equal(await get({ cache: 'default' }), '3', 'now it was, because the page asked for it');
    assert.equal(await get(), '4');
    await shelf.stop();
  });

  test('carries no cookies, unless the page asks for them', async () => {
    await fresh([pages.origin]);
    await context.addCookies([{ name: 'account', value: 'of-another', url: pages.origin }]);
    const cookies = async (init, asRequest = false) => {
      const asked = page.waitForRequest(`${pages.origin}/page.js`);
      await run(page, async ({ url, init, asRequest }) => {
        await client.fetch(...(asRequest ? [new Request(url, init)] : [url, init]));
      }, { url: `${pages.origin}/page.js`, init, asRequest });
      return (await (await asked).allHeaders()).cookie;
    };
    assert.equal(await cookies(), undefined);
    assert.equal(await cookies({}, true), undefined);
    assert.equal(await cookies({ credentials: 'same-origin' }), 'account=of-another');
    assert.equal(await cookies({ credentials: 'include' }, true), 'account=of-another');
  });

  test('that is redirected is not followed', async () => {
    await fresh();
    await context.route(`${servers.resource}/moved`, (route) => route.fulfill({
      status: 307, headers: { Location: `${servers.resource}/there`, 'Access-Control-Allow-Origin': '*' },
    }));
    await assert.rejects(run(page, (url) => client.fetch(`${url}/moved`), servers.resource), { name: 'HostFailed', reason: 'redirected' });
    const type = await run(page, async (url) => (await client.fetch(`${url}/moved`, { redirect: 'manual' })).type, servers.resource);
    assert.equal(type, 'opaqueredirect');
    // A page's own `fetch`, as tools for tests put one in its place, shows where a redirect leads.
    const shown = await run(page, async (url) => {
      globalThis.fetch = async () => new Response(null, { status: 307, headers: { Location: `${url}/there` } });
      const error = await client.fetch(`${url}/moved`).catch((thrown) => thrown);
      const response = await client.fetch(`${url}/moved`, { redirect: 'manual' });
      return [error.reason, response.status];
    }, servers.resource);
    assert.deepEqual(shown, ['redirected', 307]);
    assert.ok(!seen.some(({ path }) => path === '/api/there'));
  });
});
