// What browser tests need: Chromium, pages of an origin of their own, and `keybound serve` beside them.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { serve as serveFiles } from '../../../../examples/browser/serve.mjs';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PROGRAM = process.env.KEYBOUND_PROGRAM ?? `${ROOT}target/debug/keybound`;
const BROWSER = process.env.KEYBOUND_CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** Why the tests cannot run here; false if they can. For `skip`. */
export const missing = [
  [PROGRAM, 'build it: cargo build -p keybound-cli'],
  [BROWSER, 'install chromium'],
  [`${ROOT}pkg/npm/dist/wasm/client.js`, 'build the package'],
].map(([path, how]) => !existsSync(path) && `${path} is missing; ${how}`).find(Boolean) ?? false;

/** Starts Chromium. */
export function launch(more = []) {
  return chromium.launch({ executablePath: BROWSER, args: [...ARGUMENTS, ...more] });
}

/** Starts both servers of `keybound serve`, on a free port unless `--listen` is given. */
export async function startServers(...more) {
  const listen = more.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const child = spawn(PROGRAM, ['serve', ...listen, '--format', 'json', ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', (text) => resolve([text]));
    child.once('exit', (code) => reject(new Error(`keybound serve ended with ${code}`)));
  });
  const { issuer, resource } = JSON.parse(line);
  const stop = () => new Promise((resolve) => {
    child.removeAllListeners('exit').once('exit', resolve);
    child.kill();
  });
  return { issuer, resource, stop };
}

/** Starts a server of the test page and the built package. */
export function startPages() {
  return serveFiles({ root: fileURLToPath(new URL('page/', import.meta.url)) });
}

/** The options of a client that `keybound serve` knows. */
export function options({ issuer, resource }, pages, more = {}) {
  return {
    level: 'enhanced', issuer, resource, clientId: 'keybound-demo', redirectUri: `${pages.origin}/callback`, allowLoopback: true,
    ...more,
  };
}

const sessions = new WeakMap();

/**
 * Runs a function in a page, and gives what it returns; errors keep `name`, `reason` and `message`.
 *
 * By the debugger's protocol, because the page's Content-Security-Policy forbids evaluated strings.
 */
export async function run(page, work, argument) {
  let session = sessions.get(page);
  if (session === undefined) {
    session = await page.context().newCDPSession(page);
    sessions.set(page, session);
  }
  const expression = `(async () => {
    try {
      return { value: await (${work})(${JSON.stringify(argument) ?? ''}) };
    } catch (error) {
      return { error: { name: error?.name, reason: error?.reason, message: String(error?.message ?? error) } };
    }
  })()`;
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    expression, awaitPromise: true, returnByValue: true, userGesture: true,
  });
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  const { value, error } = result.value;
  if (error !== undefined) throw Object.assign(new Error(`${error.name}: ${error.message}`), { name: error.name, reason: error.reason });
  return value;
}

/** Waits until `check` gives something true, looking again after each event of the page; never by the clock alone. */
export async function until(what, check) {
  const end = Date.now() + 20_000;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Opens the test page. */
export async function open(context, pages, path = '/') {
  const page = await context.newPage();
  await page.goto(`${pages.origin}${path}`);
  await loaded(page);
  return page;
}

/** Waits until the page's module has run. */
export function loaded(page) {
  return page.locator('html[data-loaded]').waitFor({ state: 'attached' });
}

/** Opens a page with a client, and logs in by redirect. */
export async function loggedIn(context, servers, pages, more) {
  const page = await open(context, pages);
  await run(page, (given) => globalThis.make(given), options(servers, pages, more));
  await login(page);
  return page;
}

/** Logs the page's client in by redirect. */
export async function login(page, given = {}) {
  const back = page.waitForURL('**/callback?**');
  await run(page, (given) => void globalThis.client.login(given).catch((error) => (globalThis.failure = error)), given);
  await back;
  await loaded(page);
  return run(page, () => globalThis.client.handleRedirect());
}

/** The requests of a context, each with `method`, `path`, `headers` and, when it is answered, `status` and `fields`. */
export function watch(context, server) {
  const seen = [];
  context.on('response', (response) => {
    const request = response.request();
    if (!request.url().startsWith(server)) return;
    seen.push({
      method: request.method(), path: request.url().slice(server.length), headers: request.headers(), body: request.postData(),
      status: response.status(),
    });
  });
  return seen;
}

/** Revokes the access token of the last successful call in `seen`, as an operator would. */
export async function revokeAccessToken({ issuer }, seen) {
  const call = await until('a successful call', () => seen.findLast(({ path, status }) => path.startsWith('/api') && status === 200));
  const token = call.headers.authorization.slice('DPoP '.length);
  const answer = await fetch(`${issuer}/revoke`, { method: 'POST', body: new URLSearchParams({ client_id: 'keybound-demo', token }) });
  if (!answer.ok) throw new Error(`the server revoked nothing: ${answer.status}`);
}

/** How many token requests succeeded. */
export function redeemed(seen) {
  return seen.filter(({ path, status }) => path === '/token' && status === 200).length;
}

/** What a page's IndexedDB holds: the names of slots, and the stored keys. */
export function stored(page, name = 'keybound') {
  return run(page, async (name) => {
    const databases = await indexedDB.databases();
    if (!databases.some((known) => known.name === name)) return { slots: [], keys: [] };
    const request = indexedDB.open(name);
    const database = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const all = (store, method) => new Promise((resolve, reject) => {
      const asked = database.transaction(store).objectStore(store)[method]();
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
    const [slots, keys] = [await all('slots', 'getAllKeys'), await all('keys', 'getAll')];
    database.close();
    return {
      slots,
      keys: keys.map(({ thumbprint, algorithm, privateKey }) => ({ thumbprint, algorithm, extractable: privateKey.extractable })),
    };
  }, name);
}

/** What is stored in a slot, as text. */
export function slot(page, name) {
  return run(page, async (name) => {
    const request = indexedDB.open('keybound');
    const database = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const asked = database.transaction('slots').objectStore('slots').get(name);
    const stored = await new Promise((resolve, reject) => {
      asked.onsuccess = () => resolve(asked.result);
      asked.onerror = () => reject(asked.error);
    });
    database.close();
    return stored?.value ?? '';
  }, name);
}
