// The code of docs/browser.md, run as it stands there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { launch, missing, startPages, startServers, stored, until } from './harness.mjs';

const guide = readFileSync(new URL('../../../../docs/browser.md', import.meta.url), 'utf8');
const blocks = [...guide.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);

describe('the guide', { skip: missing }, () => {
  let browser;
  let pages;
  let servers;

  before(async () => {
    [browser, pages, servers] = await Promise.all([launch(), startPages(), startServers()]);
  });
  after(async () => {
    await browser.close();
    await pages.close();
    await servers.stop();
  });

  test('does what it says', async () => {
    // Addresses of these servers stand where a reader puts their own, and http on loopback has to be permitted.
    const code = blocks.join('\n')
      .replaceAll("'keybound/browser'", "'/keybound/browser/index.js'")
      .replaceAll('https://api.example.com', servers.resource)
      .replaceAll('https://app.example.com', pages.origin)
      .replace("level: 'enhanced',", "level: 'enhanced', allowLoopback: true,");
    const context = await browser.newContext();
    await context.route(`${pages.origin}/page.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: code }));
    const page = await context.newPage();
    const said = [];
    const failed = [];
    page.on('console', (message) => message.type() === 'log' && said.push(message.text()));
    page.on('pageerror', (error) => failed.push(error));
    await page.goto(`${pages.origin}/`);
    await until('all that is said', () => failed.length > 0 || said.length === 4);
    assert.deepEqual(failed, []);
    assert.ok(said.some((text) => text.includes("client.login({ scope: 'write' })")), said.join('\n'));
    assert.ok(said.some((text) => /^read [\w-]{43}$/.test(text)), said.join('\n'));
    assert.match(said[3], /proof/);
    assert.deepEqual(await stored(page), { slots: [], keys: [] });
  });
});
