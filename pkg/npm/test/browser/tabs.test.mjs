// Several tabs of one origin: one key, one session, one refresh.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  launch, loaded, loggedIn, login, missing, open, options, redeemed, revokeAccessToken, run, slot, startPages, startServers, stored, until, watch,
} from './harness.mjs';

describe('several tabs', { skip: missing }, () => {
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

  const twoTabs = async () => {
    await context?.close();
    context = await browser.newContext();
    const first = await loggedIn(context, servers, pages);
    const second = await open(context, pages);
    await run(second, (given) => globalThis.make(given), options(servers, pages));
    assert.equal((await run(second, () => client.open())).state, 'active');
    return [first, second];
  };
  const call = (page) => run(page, async (url) => (await client.fetch(url)).json(), servers.resource);

  test('share key and session', async () => {
    const [first, second] = await twoTabs();
    const [one, two] = [await call(first), await call(second)];
    assert.equal(one.bound_to, two.bound_to);
    assert.equal((await stored(second)).keys.length, 1);
  });

  test('begin with the nonce that another tab learned, also after a reload', async () => {
    await context?.close();
    context = await browser.newContext();
    const first = await loggedIn(context, servers, pages);
    const seen = watch(context, servers.resource);
    await call(first);
    await until('the nonce to be kept', async () => (await slot(first, 'session/default')).includes('resource_server'));
    const second = await open(context, pages);
    await run(second, (given) => globalThis.make(given), options(servers, pages));
    await call(second);
    await until('three answers', () => seen.length >= 3);
    await first.reload();
    await loaded(first);
    await call(first);
    await until('four answers', () => seen.length >= 4);
    assert.deepEqual(seen.map(({ status }) => status), [401, 200, 200, 200]);
  });

  test('refresh exactly once when both find the token refused', async () => {
    const [first, second] = await twoTabs();
    const seen = watch(context, servers.issuer);
    await Promise.all([call(first), call(second)]);
    for (let round = 1; round <= 3; round += 1) {
      await revokeAccessToken(servers, seen);
      const answers = await Promise.all([call(first), call(second)]);
      assert.deepEqual(answers.map(({ path }) => path), ['/api', '/api']);
      await until(`refresh ${round}`, () => redeemed(seen) >= round);
      assert.equal(redeemed(seen), round);
    }
  });

  test('refresh exactly once when both ask for it', async () => {
    const [first, second] = await twoTabs();
    const seen = watch(context, servers.issuer);
    await Promise.all([first, second].map((page) => run(page, () => client.refresh())));
    await Promise.all([call(first), call(second)]);
    await until('the refresh', () => redeemed(seen) >= 1);
    assert.equal(redeemed(seen), 1);
  });

  test('wait for each other when one logs out while the other refreshes', async () => {
    const [first, second] = await twoTabs();
    let held;
    await context.route(`${servers.issuer}/token`, (route) => (held = route), { times: 1 });
    await run(second, () => {
      globalThis.refreshed = client.refresh().then(() => 'refreshed', ({ reason }) => reason);
    });
    await until('the refresh', () => held !== undefined);
    await run(first, () => void (globalThis.left = client.logout()));
    await until('the logout to wait', () => run(first, async () => (await navigator.locks.query()).pending.length === 1));
    await held.continue();
    assert.equal((await run(first, () => globalThis.left)).revoked, true);
    assert.equal(await run(second, () => globalThis.refreshed), 'refreshed');
    assert.deepEqual(await stored(first), { slots: [], keys: [] });
    await assert.rejects(call(second), { name: 'LoginRequired' });
    assert.deepEqual(await stored(first), { slots: [], keys: [] });
  });

  /** Has another tab hold the session's lock, as one does that waits for a server; gives what ends that. */
  const holdLock = async (page) => {
    await run(page, () => new Promise((resolve) => {
      navigator.locks.request('keybound:keybound:session/default', () => new Promise((release) => {
        globalThis.release = release;
        resolve();
      }));
    }));
    return () => run(page, () => globalThis.release());
  };
  /** How many wait for a lock. */
  const waiting = (page) => run(page, async () => (await navigator.locks.query()).pending.length);
  /** Puts the timers of a lease into `globalThis.leases`, where a test makes them go off. */
  const holdTimers = (page) => run(page, () => {
    const real = globalThis.setTimeout;
    globalThis.leases = [];
    globalThis.setTimeout = (work, delay, ...rest) => (delay > 80_000 ? globalThis.leases.push(work) : real(work, delay, ...rest));
  });

  test('give up after the lease, with an error that says why', async () => {
    const [first, second] = await twoTabs();
    const seen = watch(context, servers.issuer);
    const release = await holdLock(second);
    await holdTimers(first);
    await run(first, () => {
      globalThis.outcomes = [];
      for (const work of [client.refresh(), client.logout()]) {
        work.then(() => globalThis.outcomes.push('done'), ({ name, reason }) => globalThis.outcomes.push(`${name} ${reason}`));
      }
    });
    await until('both to wait', async () => (await waiting(first)) === 2);
    await run(first, () => globalThis.leases.forEach((goOff) => goOff()));
    await until('both to give up', () => run(first, () => globalThis.outcomes.length === 2));
    assert.deepEqual(await run(first, () => globalThis.outcomes), ['HostFailed lock_timeout', 'HostFailed lock_timeout']);
    assert.equal(await waiting(first), 0);
    assert.equal(redeemed(seen), 0, 'nothing was refreshed beside the holder');
    assert.equal(await run(first, () => client.session.state), 'active', 'and nothing was deleted');
    await release();
    await run(first, () => client.refresh());
    await until('the refresh', () => redeemed(seen) === 1);
  });

  test('do not refresh beside one that is merely slow', async () => {
    const [first, second] = await twoTabs();
    const seen = watch(context, servers.issuer);
    let held;
    await context.route(`${servers.issuer}/token`, (route) => (held = route), { times: 1 });
    await holdTimers(first);
    await run(first, () => void (globalThis.refreshed = client.refresh().then(() => 'refreshed', ({ reason }) => reason)));
    await until('the refresh', () => held !== undefined);
    // The lease is over, and the tab that holds the lock still waits for the server.
    await run(first, () => globalThis.leases.forEach((goOff) => goOff()));
    await run(second, () => void (globalThis.refreshed = client.refresh().then(() => 'refreshed', ({ reason }) => reason)));
    await until('the other to wait', async () => (await waiting(second)) === 1);
    await held.continue();
    assert.deepEqual(await Promise.all([first, second].map((page) => run(page, () => globalThis.refreshed))), ['refreshed', 'refreshed']);
    await until('the refresh', () => redeemed(seen) >= 1);
    assert.equal(redeemed(seen), 1);
  });

  test('wait no longer than their callers do', async () => {
    const [first, second] = await twoTabs();
    const seen = watch(context, servers.issuer);
    await call(first);
    await revokeAccessToken(servers, seen);
    const release = await holdLock(second);
    await run(first, (url) => {
      globalThis.controller = new AbortController();
      globalThis.hanging = client.fetch(url, { signal: globalThis.controller.signal }).catch((reason) => reason);
    }, servers.resource);
    await until('the call to wait', async () => (await waiting(first)) === 1);
    assert.equal(await run(first, () => {
      globalThis.controller.abort('enough');
      return globalThis.hanging;
    }), 'enough');
    assert.equal(await waiting(first), 0, 'the lock is not waited for any more');
    await release();
    assert.equal((await call(first)).path, '/api');
    await until('the refresh', () => redeemed(seen) >= 1);
    assert.equal(redeemed(seen), 1, 'that of the second call alone');
  });

  test('hear of a login, and of a logout', async () => {
    const [first, second] = await twoTabs();
    await run(second, () => {
      globalThis.heard = [];
      client.onChange(({ state }) => globalThis.heard.push(state));
    });
    await run(first, () => client.logout());
    await until('the logout', () => run(second, () => globalThis.heard.at(-1) === 'none'));
    await assert.rejects(call(second), { name: 'LoginRequired', reason: 'no_session' });
    await first.close();
    await second.close();
    const third = await open(context, pages);
    await run(third, (given) => globalThis.make(given), options(servers, pages));
    await run(third, () => client.open());
    await loggedIn(context, servers, pages);
    await until('the login', () => run(third, () => client.session.state === 'active'));
    assert.equal((await call(third)).path, '/api');
  });

  for (const [what, more] of [
    ['its tokens', {}],
    ['its clients', { clientId: undefined, register: { client_name: 'Tabs' } }],
  ]) {
    test(`all say that a login is needed once the server has lost ${what}`, async () => {
      let own = await startServers();
      try {
        await context?.close();
        context = await browser.newContext();
        const first = await loggedIn(context, own, pages, more);
        const second = await open(context, pages);
        await run(second, (given) => globalThis.make(given), options(own, pages, more));
        assert.equal((await run(second, () => client.open())).state, 'active');
        const tabs = [first, second];
        const status = (page) => run(page, async (url) => (await client.fetch(url)).status, own.resource);
        assert.deepEqual(await Promise.all(tabs.map(status)), [200, 200]);
        for (const page of tabs) {
          await run(page, () => {
            globalThis.heard = [];
            client.onChange((state) => globalThis.heard.push([state.state, state.reason]));
          });
        }
        // One in memory, as it is after a restart.
        await own.stop();
        own = await startServers('--listen', new URL(own.issuer).host);
        const seen = watch(context, own.issuer);
        const refused = await run(first, async (url) => {
          const response = await client.fetch(url);
          return [response.status, client.needs(response)];
        }, own.resource);
        assert.deepEqual(refused, [401, { need: 'login' }]);
        for (const page of tabs) {
          await until('the state', () => run(page, () => client.session.state === 'login_required'));
          assert.deepEqual(await run(page, () => globalThis.heard), [['login_required', 'login_required']]);
        }
        const asked = seen.filter(({ path }) => path === '/token').length;
        await assert.rejects(status(second), { name: 'LoginRequired' });
        assert.equal(seen.filter(({ path }) => path === '/token').length, asked, 'the other tab does not ask again');
        // A tab that is opened now, or loaded again, says so too.
        await second.reload();
        await loaded(second);
        assert.equal((await run(second, () => client.open())).state, 'login_required');
        await login(first);
        await until('the login', () => run(second, () => client.session.state === 'active'));
        assert.deepEqual(await Promise.all(tabs.map(status)), [200, 200]);
      } finally {
        await own.stop();
      }
    });
  }

  test('say nothing to each other but that something changed', async () => {
    const [first, second] = await twoTabs();
    await run(second, () => {
      globalThis.messages = [];
      new BroadcastChannel('keybound:default').onmessage = ({ data }) => globalThis.messages.push(data);
      new BroadcastChannel('keybound:keybound').onmessage = ({ data }) => globalThis.messages.push(data);
    });
    await run(first, () => client.refresh());
    await until('a message', () => run(second, () => globalThis.messages.length > 0));
    assert.deepEqual([...new Set(await run(second, () => globalThis.messages))], ['changed']);
  });
});
