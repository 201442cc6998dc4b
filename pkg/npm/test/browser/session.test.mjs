// Logging in, calling, refreshing, reloading and logging out, in one tab.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  launch, loaded, loggedIn, login, missing, open, options, revokeAccessToken, run, startPages, startServers, stored, until, watch,
} from './harness.mjs';

describe('a session in a browser', { skip: missing }, () => {
  let browser;
  let pages;
  let servers;
  let context;

  before(async () => {
    [browser, pages, servers] = await Promise.all([launch(), startPages(), startServers()]);
  });
  after(async () => {
    await browser.close();
    await pages.close();
    await servers.stop();
  });
  const fresh = async () => {
    await context?.close();
    context = await browser.newContext();
    return context;
  };

  test('a login by redirect, and a call with a proof and one retry for the nonce', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    assert.equal(new URL(page.url()).search, '', 'the code does not stay in the address');
    const seen = watch(context, servers.issuer);
    const answer = await run(page, async (url) => {
      const response = await client.fetch(`${url}/notes?page=2#top`);
      return { status: response.status, body: await response.json(), state: client.session };
    }, servers.resource);
    assert.equal(answer.status, 200);
    assert.equal(answer.body.path, '/api/notes');
    assert.equal(answer.body.query, 'page=2');
    assert.equal(answer.state.state, 'active');
    assert.equal(answer.body.bound_to, answer.state.session.thumbprint);
    await until('two answers', () => seen.length === 2);
    assert.deepEqual(seen.map(({ status }) => status), [401, 200]);
    assert.ok(seen[1].headers.authorization.startsWith('DPoP '));
    // From now on the nonce is known.
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    await until('a third answer', () => seen.length === 3);
    assert.equal(seen[2].status, 200);
  });

  test('the key cannot be exported, and survives a reload', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const before = await stored(page);
    assert.deepEqual(before.slots, ['session/default']);
    assert.equal(before.keys.length, 1);
    assert.equal(before.keys[0].extractable, false);
    await page.goto(`${pages.origin}/`);
    await loaded(page);
    const after = await run(page, async (url) => {
      const state = await client.open();
      const response = await client.fetch(url);
      return { state, storage: client.storage, locks: client.locks, status: response.status };
    }, servers.resource);
    assert.equal(after.state.state, 'active');
    assert.equal(after.state.session.thumbprint, before.keys[0].thumbprint);
    assert.deepEqual([after.storage, after.locks, after.status], ['indexeddb', 'web', 200]);
    assert.deepEqual(await stored(page), before);
  });

  test('a refresh keeps the key and brings another token', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const seen = watch(context, servers.issuer);
    await run(page, async (url) => {
      await client.fetch(url);
      await client.refresh();
      await client.fetch(url);
    }, servers.resource);
    const calls = await until('two calls', () => {
      const good = seen.filter(({ path, status }) => path === '/api' && status === 200);
      return good.length === 2 && good;
    });
    assert.notEqual(calls[0].headers.authorization, calls[1].headers.authorization);
    assert.equal(seen.filter(({ path, status }) => path === '/token' && status === 200).length, 1);
  });

  test('a token that the server revoked is renewed by itself', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const seen = watch(context, servers.issuer);
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    await revokeAccessToken(servers, seen);
    const status = await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    assert.equal(status, 200);
    assert.equal(seen.filter(({ path, status }) => path === '/token' && status === 200).length, 1);
  });

  test('a reload in the middle of a login leaves the login whole', async () => {
    const page = await open(await fresh(), pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    const back = page.waitForURL('**/callback?**');
    await run(page, () => void client.login());
    await back;
    await loaded(page);
    await page.reload();
    await loaded(page);
    const session = await run(page, () => client.handleRedirect());
    assert.equal(session.bound, true);
    // The code and its login are used up.
    const again = await run(page, async (url) => client.handleRedirect(url).catch((error) => error.reason), `${pages.origin}/callback?code=x&state=y`);
    assert.equal(again, 'state_unknown');
  });

  test('a reload in the middle of a refresh loses no token', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const asked = page.waitForRequest(`${servers.issuer}/token`);
    await run(page, () => void client.refresh().catch(() => undefined));
    await asked;
    await page.reload();
    await loaded(page);
    // The refresh either came through or not; in both cases the session goes on, or says plainly that it needs a login.
    const outcome = await run(page, async (url) => client.fetch(url).then(({ status }) => status, ({ reason }) => reason), servers.resource);
    assert.ok(outcome === 200 || outcome === 'login_required', String(outcome));
    await login(page);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('logging out revokes the tokens and leaves nothing stored', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const seen = watch(context, servers.issuer);
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    const states = await run(page, async () => {
      const seen = [];
      client.onChange(({ state }) => seen.push(state));
      const result = await client.logout();
      return { seen, result, state: client.session };
    });
    assert.deepEqual(states, { seen: ['none'], result: { revoked: true, error: null }, state: { state: 'none' } });
    await until('the revocation', () => seen.some(({ path, status }) => path === '/revoke' && status === 200));
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
    await assert.rejects(run(page, (url) => client.fetch(url), servers.resource), { name: 'LoginRequired', reason: 'no_session' });
  });

  test('logging out leaves no token in WebAssembly\'s memory', async () => {
    await fresh();
    const issued = [];
    // On their way: the browser forgets the body of an answer when its page goes on.
    await context.route(`${servers.issuer}/token`, async (route) => {
      const response = await route.fetch();
      if (response.ok()) issued.push(await response.json());
      await route.fulfill({ response });
    });
    const page = await loggedIn(context, servers, pages);
    await run(page, async (url) => {
      await client.fetch(url);
      await client.refresh();
      await client.fetch(url);
    }, servers.resource);
    const tokens = issued.flatMap((answer) => [answer.access_token, answer.refresh_token]).filter(Boolean);
    assert.ok(tokens.length >= 4, 'the first tokens, and those of the refresh');
    // A piece from the middle: where memory was given back, the allocator writes into the first bytes.
    const pieces = tokens.map((token) => token.slice(token.length / 2, token.length / 2 + 16));
    const found = (tab) => run(tab, async (pieces) => {
      const { default: load } = await import('/keybound/wasm/client.js');
      const { memory } = await load();
      const text = new TextDecoder('latin1').decode(memory.buffer);
      return pieces.filter((piece) => text.includes(piece)).length;
    }, pieces);
    const other = await open(context, pages);
    await run(other, (given) => globalThis.make(given), options(servers, pages));
    assert.equal((await run(other, () => client.open())).state, 'active');
    for (const tab of [page, other]) assert.ok((await found(tab)) > 0, 'a session is there, and the search finds its tokens');
    await run(page, () => client.logout());
    await until('the other tab to hear of it', () => run(other, () => client.session.state === 'none'));
    assert.deepEqual([await found(page), await found(other)], [0, 0]);
  });

  test('a logout without the server still leaves nothing stored', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    await context.route(`${servers.issuer}/revoke`, (route) => route.abort());
    const result = await run(page, async () => {
      const { revoked, error } = await client.logout();
      return { revoked, failed: error instanceof Error };
    });
    assert.deepEqual(result, { revoked: false, failed: true });
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
  });

  test('an abandoned login is swept with its key by the next one', async () => {
    const page = await open(await fresh(), pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    // No content: the browser stays where it is, as if the user had come back.
    await page.route('**/authorize?**', (route) => route.fulfill({ status: 204 }));
    const left = page.waitForRequest('**/authorize?**');
    await run(page, () => void client.login());
    await left;
    assert.equal((await stored(page)).keys.length, 1);
    await page.unroute('**/authorize?**');
    // Half an hour later, by the page's clock, which only the sweep looks at here.
    await run(page, () => {
      const real = Date.now;
      globalThis.make(JSON.parse(sessionStorage.getItem('options')));
      Date.now = () => real() + 1_800_000;
    });
    const back = page.waitForURL('**/callback?**');
    await run(page, () => void client.login());
    await back;
    await loaded(page);
    const { slots, keys } = await stored(page);
    assert.equal(slots.filter((name) => name.startsWith('login/')).length, 1);
    assert.equal(keys.length, 1);
  });

  test('a key that no session and no login names is swept once it is old', async () => {
    const page = await loggedIn(await fresh(), servers, pages);
    const { keys: [own] } = await stored(page);
    // A page that was closed between making its key and storing its login leaves one.
    const put = (thumbprint, age) => run(page, async ({ thumbprint, age }) => {
      const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
      const key = { thumbprint, algorithm: 'ES256', at: Date.now() - age * 1000, privateKey: pair.privateKey, publicKey: pair.publicKey };
      const request = indexedDB.open('keybound');
      await new Promise((resolve, reject) => {
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const transaction = request.result.transaction('keys', 'readwrite');
          transaction.objectStore('keys').put(key);
          transaction.oncomplete = () => resolve();
          transaction.onabort = () => reject(transaction.error);
        };
      });
      request.result.close();
    }, { thumbprint, age });
    const [old, young] = ['o', 'y'].map((letter) => letter.repeat(42) + 'A');
    await put(old, 10_000);
    await put(young, 60);
    await page.reload();
    await loaded(page);
    assert.equal((await run(page, () => client.open())).state, 'active');
    const { keys } = await stored(page);
    assert.deepEqual(keys.map(({ thumbprint }) => thumbprint).sort(), [own.thumbprint, young].sort());
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('step-up asks for the scope that a call lacks, and keeps what there was', async () => {
    const page = await loggedIn(await fresh(), servers, pages, { scope: 'read' });
    const need = await run(page, async (url) => client.needs(await client.fetch(`${url}/write`)), servers.resource);
    assert.deepEqual(need, { need: 'scope', scope: 'write' });
    const session = await login(page, { scope: need.scope });
    assert.deepEqual(session.scope.split(' ').sort(), ['read', 'write']);
    assert.equal(await run(page, async (url) => (await client.fetch(`${url}/write`)).status, servers.resource), 200);
  });
});
