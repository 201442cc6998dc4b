// What goes wrong in browsers: CORS, clocks, lost keys, no storage.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  launch, loaded, loggedIn, login, missing, open, options, redeemed, revokeAccessToken, run, startPages, startServers, stored, until, watch,
} from './harness.mjs';

describe('faults', { skip: missing }, () => {
  let browser;
  let pages;
  let context;
  const running = [];

  before(async () => {
    [browser, pages] = await Promise.all([launch(), startPages()]);
  });
  after(async () => {
    await browser.close();
    await pages.close();
    await Promise.all(running.map((servers) => servers.stop()));
  });
  const start = async (...faults) => {
    const servers = await startServers(...faults);
    running.push(servers);
    await context?.close();
    context = await browser.newContext();
    return servers;
  };

  test('a nonce hidden by CORS fails the login with a reason and an explanation', async () => {
    const servers = await start('--fault', 'drop-cors');
    const page = await open(context, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    const back = page.waitForURL('**/callback?**');
    await run(page, () => void client.login());
    await back;
    await loaded(page);
    const { reason, advice } = await run(page, async () => {
      const error = await client.handleRedirect().catch((thrown) => thrown);
      return { reason: error.reason, advice: await client.explain(error) };
    });
    assert.equal(reason, 'nonce_withheld');
    assert.equal(advice.nonceState, 'hidden');
    assert.ok(advice.hidden.includes('DPoP-Nonce'));
    assert.match(advice.next, /Access-Control-Expose-Headers/);
  });

  test('a challenge hidden by CORS is noticed by its absence', async () => {
    const servers = await start('--no-nonces', '--fault', 'drop-cors');
    const page = await loggedIn(context, servers, pages);
    const seen = watch(context, servers.issuer);
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    await revokeAccessToken(servers, seen);
    const { status, advice, need } = await run(page, async (url) => {
      const response = await client.fetch(url);
      return { status: response.status, advice: await client.explain(response), need: client.needs(response) };
    }, servers.resource);
    assert.equal(status, 401);
    assert.deepEqual(advice.hidden, ['WWW-Authenticate', 'Date']);
    assert.match(advice.wrong, /hides why/);
    assert.equal(typeof advice.proofAge, 'number');
    assert.deepEqual(need, { need: 'login' });
  });

  test('a request that the browser shows no answer to is explained', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    await context.route(`${servers.issuer}/api`, (route) => route.abort());
    const { name, advice } = await run(page, async (url) => {
      const error = await client.fetch(url).catch((thrown) => thrown);
      return { name: error.name, advice: await client.explain(error) };
    }, servers.resource);
    assert.equal(name, 'TypeError');
    assert.equal(advice.status, 0);
    assert.match(advice.next, /Access-Control-Allow-Headers/);
  });

  test('a failure is explained where what explains cannot be loaded', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    await context.setOffline(true);
    try {
      const { name, advice } = await run(page, async (url) => {
        const error = await client.fetch(url).catch((thrown) => thrown);
        return { name: error.name, advice: await client.explain(error) };
      }, servers.resource);
      assert.equal(name, 'TypeError');
      assert.deepEqual([advice.status, advice.cause, advice.nonceState], [0, 'this device is offline', 'absent']);
    } finally {
      await context.setOffline(false);
    }
  });

  test('a clock that is an hour wrong is learned from Date', async () => {
    const servers = await start('--fault', 'clock-skew=3600');
    const page = await loggedIn(context, servers, pages);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('a key deleted under the session is an error of its own, and a login helps', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    const { keys: [key] } = await stored(page);
    await run(page, (thumbprint) => new Promise((resolve, reject) => {
      const request = indexedDB.open('keybound');
      request.onsuccess = () => {
        const transaction = request.result.transaction('keys', 'readwrite');
        transaction.objectStore('keys').delete(thumbprint);
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
      };
    }), key.thumbprint);
    const lost = await run(page, async (url) => {
      const error = await client.fetch(url).catch((thrown) => thrown);
      return { name: error.name, reason: error.reason, typed: error instanceof keybound.KeyLost, state: client.session };
    }, servers.resource);
    const advice = await run(page, async (url) => client.explain(await client.fetch(url).catch((thrown) => thrown)), servers.resource);
    assert.deepEqual([advice.reason, advice.next], ['key_missing', 'call login()']);
    assert.deepEqual(lost, { name: 'KeyLost', reason: 'key_missing', typed: true, state: { state: 'login_required', reason: 'key_missing' } });
    const session = await login(page);
    assert.notEqual(session.thumbprint, key.thumbprint);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('another key under the name of the session\'s is told apart', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    const { keys: [key] } = await stored(page);
    await page.reload();
    await loaded(page);
    await run(page, async (thumbprint) => {
      const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
      await new Promise((resolve) => {
        const request = indexedDB.open('keybound');
        request.onsuccess = () => {
          const transaction = request.result.transaction('keys', 'readwrite');
          transaction.objectStore('keys').put({ thumbprint, algorithm: 'ES256', ...{ privateKey: pair.privateKey, publicKey: pair.publicKey } });
          transaction.oncomplete = () => resolve();
        };
      });
    }, key.thumbprint);
    await assert.rejects(run(page, (url) => client.fetch(url), servers.resource), { name: 'KeyLost', reason: 'key_changed' });
  });

  test('a database that the user deletes is a session that is gone', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    await run(page, () => new Promise((resolve, reject) => {
      const request = indexedDB.deleteDatabase('keybound');
      request.onsuccess = () => resolve();
      request.onerror = () => reject(request.error);
    }));
    await assert.rejects(run(page, (url) => client.fetch(url), servers.resource), { name: 'KeyLost' });
    await login(page);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  for (const [what, block] of [
    ['IndexedDB is denied', () => {
      const deny = () => {
        throw new DOMException('access is denied', 'SecurityError');
      };
      Object.defineProperty(globalThis, 'indexedDB', { get: deny });
    }],
    ['IndexedDB takes no keys', () => {
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (value, ...rest) {
        if (this.name === 'keys') throw new DOMException('keys cannot be stored', 'DataCloneError');
        return put.call(this, value, ...rest);
      };
    }],
  ]) {
    test(`where ${what}, key and session live in memory, and the state says so`, async () => {
      const servers = await start();
      await context.addInitScript(block);
      const page = await open(context, pages);
      await run(page, (given) => globalThis.make(given), options(servers, pages));
      await assert.rejects(run(page, () => client.login()), { name: 'Misuse', reason: 'no_storage' });
      const { storage, reason } = await run(page, () => ({ storage: client.storage, reason: client.storageReason }));
      assert.equal(storage, 'memory');
      assert.match(reason, /end with this page/);
      await page.locator('#popup').click();
      const session = await run(page, () => globalThis.popup);
      assert.equal(session.bound, true);
      assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
      await until('the window to close', () => context.pages().length === 1);
      await page.reload();
      await loaded(page);
      assert.equal((await run(page, () => client.open())).state, 'none');
    });
  }

  /** Leaves the database for memory: from here on it takes no keys, and the login of a popup begins anew. */
  const outOfQuota = async (page) => {
    await run(page, () => {
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function (value, ...rest) {
        if (this.name === 'keys') throw new DOMException('the quota is used up', 'QuotaExceededError');
        return put.call(this, value, ...rest);
      };
    });
    await page.locator('#popup').click();
    await run(page, () => globalThis.popup);
    assert.equal(await run(page, () => client.storage), 'memory');
  };
  /** The tokens that the server was asked to revoke, and said yes to. */
  const revocations = (seen) => seen.filter(({ path, status }) => path === '/revoke' && status === 200).map(({ body }) => new URLSearchParams(body).get('token'));

  test('a logout after a fallback of storage leaves no session in the database that was left', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    const seen = watch(context, servers.issuer);
    await run(page, async (url) => (await client.fetch(url)).status, servers.resource);
    const { headers } = await until('the call', () => seen.find(({ path, status }) => path === '/api' && status === 200));
    const old = headers.authorization.slice('DPoP '.length);
    await outOfQuota(page);
    const { slots, keys } = await stored(page);
    assert.deepEqual([slots.filter((name) => name.startsWith('session/')), keys], [[], []], 'the session that was replaced is gone');
    await until('its revocation', () => revocations(seen).includes(old));
    assert.deepEqual(await run(page, () => client.logout()), { revoked: true, error: null });
    await page.reload();
    await loaded(page);
    assert.equal((await run(page, () => client.open())).state, 'none');
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
  });

  test('a logout wipes the database that was left also when it could not be opened before, or its server not be reached', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    await context.addInitScript(() => {
      // The first attempt fails, as one does while the disk is full.
      const open = IDBFactory.prototype.open;
      IDBFactory.prototype.open = function (...given) {
        IDBFactory.prototype.open = open;
        throw new DOMException(`${given[0]} cannot be opened`, 'UnknownError');
      };
    });
    await page.reload();
    await loaded(page);
    assert.deepEqual(await run(page, async () => [(await client.open()).state, client.storage]), ['none', 'memory']);
    await context.route(`${servers.issuer}/revoke`, (route) => route.abort());
    const { revoked, error } = await run(page, async () => {
      const { revoked, error } = await client.logout();
      return { revoked, error: error?.name };
    });
    assert.deepEqual([revoked, error], [false, 'TypeError']);
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
  });

  test('a logout deletes a session that the options do not permit', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages, { clientId: 'another' }));
    assert.equal((await run(page, () => client.open())).reason, 'stored_client');
    await run(page, () => client.logout());
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
  });

  test('a popup that is closed is a login that was abandoned', async () => {
    const servers = await start('--consent');
    const page = await open(context, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    const opened = context.waitForEvent('page');
    await page.locator('#popup').click();
    const popup = await opened;
    await popup.waitForURL('**/authorize?**');
    await popup.close();
    await assert.rejects(run(page, () => globalThis.popup), { name: 'FlowFailed', reason: 'login_abandoned' });
  });

  test('the page in a popup cannot reach the page that opened it, and each popup has a name of its own', async () => {
    const servers = await start('--consent');
    const page = await open(context, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    const names = [];
    for (let login = 0; login < 2; login += 1) {
      const opened = context.waitForEvent('page');
      await page.locator('#popup').click();
      const popup = await opened;
      await popup.waitForURL('**/authorize?**');
      assert.equal(await run(popup, () => window.opener), null);
      names.push(await run(popup, () => window.name));
      await popup.close();
      await assert.rejects(run(page, () => globalThis.popup), { reason: 'login_abandoned' });
    }
    assert.match(names[0], /^keybound-login-[0-9a-f]{64}$/);
    assert.notEqual(names[0], names[1]);
  });

  test('a window that another site opened and named does not block logins', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages);
    const names = ['keybound-login', `keybound-login-${'0'.repeat(64)}`];
    await context.route('https://foreign.example/', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>foreign</title>' }));
    for (const name of names) {
      const foreign = await context.newPage();
      await foreign.goto('https://foreign.example/');
      const opened = context.waitForEvent('page');
      await run(foreign, ([url, name]) => void window.open(url, name), [pages.origin, name]);
      const app = await opened;
      await loaded(app);
      await run(app, (given) => globalThis.make(given), options(servers, pages));
      const back = app.waitForURL('**/callback?**');
      await run(app, () => void client.login().catch((error) => (globalThis.failure = error)));
      await back;
      await loaded(app);
      // A page that takes itself for a popup never goes on.
      const state = await run(app, () => Promise.race([
        globalThis.client.handleRedirect().then(({ bound }) => bound), new Promise((resolve) => setTimeout(resolve, 5000, 'blocked')),
      ]));
      assert.equal(state, true, name);
      await foreign.close();
      await app.close();
    }
    // Nor does a name of theirs make this page's popup one of their windows.
    await page.locator('#popup').click();
    assert.equal((await run(page, () => globalThis.popup)).bound, true);
  });

  test('a popup needs a redirect URI at the page\'s own origin, and opens no window otherwise', async () => {
    const servers = await start();
    const page = await open(context, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages, { redirectUri: 'https://app.example.com/callback' }));
    await assert.rejects(run(page, () => client.login({ mode: 'popup' })), { name: 'Misuse', reason: 'redirect_uri_origin' });
    assert.equal(context.pages().length, 1);
  });

  test('a policy that forbids WebAssembly is named', async () => {
    const servers = await start();
    await context.route(`${pages.origin}/`, async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers(), 'content-security-policy': "script-src 'self'; connect-src *" };
      await route.fulfill({ response, headers });
    });
    const page = await open(context, pages);
    await run(page, (given) => globalThis.make(given), options(servers, pages));
    await assert.rejects(run(page, () => client.open()), { name: 'HostFailed', reason: 'wasm_forbidden' });
  });

  test('an Ed25519 key signs as well, where that alone is permitted', async () => {
    const servers = await start();
    const page = await loggedIn(context, servers, pages, { algorithms: ['Ed25519'] });
    const { keys: [key] } = await stored(page);
    assert.deepEqual([key.algorithm, key.extractable], ['Ed25519', false]);
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
  });

  test('without Web Locks and BroadcastChannel a tab takes turns with itself, and says so', async () => {
    const servers = await start();
    await context.addInitScript(() => {
      Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
      delete globalThis.BroadcastChannel;
    });
    const page = await loggedIn(context, servers, pages);
    const seen = watch(context, servers.issuer);
    assert.equal(await run(page, () => client.locks), 'tab');
    await run(page, () => Promise.all([client.refresh(), client.refresh(), client.refresh()]));
    assert.equal(await run(page, async (url) => (await client.fetch(url)).status, servers.resource), 200);
    await until('the refresh', () => redeemed(seen) >= 1);
    assert.equal(redeemed(seen), 1);
    // One gives up while another is slow; whoever comes next still waits for that one.
    let held;
    await context.route(`${servers.issuer}/token`, (route) => (held = route), { times: 1 });
    await run(page, () => {
      const real = globalThis.setTimeout;
      globalThis.leases = [];
      globalThis.setTimeout = (work, delay, ...rest) => (delay > 80_000 ? globalThis.leases.push(work) : real(work, delay, ...rest));
      const refresh = () => client.refresh().then(() => 'refreshed', ({ reason }) => reason);
      globalThis.outcomes = [refresh(), refresh()];
    });
    await until('the refresh, and another one to wait', async () => held !== undefined && run(page, () => globalThis.leases.length === 1));
    assert.equal(await run(page, () => {
      globalThis.leases.forEach((goOff) => goOff());
      globalThis.outcomes.push(client.refresh().then(() => 'refreshed', ({ reason }) => reason));
      return globalThis.outcomes[1];
    }), 'lock_timeout');
    await held.continue();
    assert.deepEqual(await run(page, () => Promise.all(globalThis.outcomes)), ['refreshed', 'lock_timeout', 'refreshed']);
    assert.equal((await run(page, () => client.logout())).revoked, true);
  });

  test('options that cannot work are refused at once', async () => {
    const servers = await start();
    const page = await open(context, pages);
    const good = options(servers, pages);
    const reasons = await run(page, (good) => [{ resource: undefined, issuer: undefined }, { issuer: undefined }, { clientId: undefined }].map((wrong) => {
      try {
        keybound.createClient({ ...good, ...wrong });
        return null;
      } catch (error) {
        return error.reason;
      }
    }), good);
    assert.deepEqual(reasons, ['missing_option', 'missing_option', 'missing_option']);
    await run(page, (given) => globalThis.make(given), { ...good, level: 'maximum' });
    await assert.rejects(run(page, () => client.login()), { name: 'FlowFailed', reason: 'no_intent' });
  });
});
