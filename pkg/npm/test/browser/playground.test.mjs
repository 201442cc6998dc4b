// The playground, by keyboard alone: every control is reached by Tab and works by Enter, Space and arrows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { serve } from '../../../../examples/browser/serve.mjs';
import { launch, missing, startServers, until } from './harness.mjs';

describe('the playground', { skip: missing }, () => {
  let browser;
  let pages;
  let servers;
  let page;
  const errors = [];

  before(async () => {
    [browser, pages, servers] = await Promise.all([launch(), serve(), startServers()]);
    page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => /Content Security Policy/.test(message.text()) && errors.push(message.text()));
    await page.goto(pages.origin);
    await page.locator('html[data-loaded]').waitFor({ state: 'attached' });
  });
  after(async () => {
    await browser.close();
    await pages.close();
    await servers.stop();
  });

  const focused = () => page.locator('*:focus').first();
  /** Presses Tab until the control with this id has the focus, which has to be seen. */
  const reach = async (id, key = 'Tab') => {
    for (let steps = 0; steps < 80; steps += 1) {
      if ((await page.locator('*:focus').count()) > 0 && (await focused().getAttribute('id')) === id) {
        const outline = await focused().evaluate((control) => getComputedStyle(control).outlineStyle);
        assert.notEqual(outline, 'none', `the focus of ${id} can be seen`);
        return;
      }
      await page.keyboard.press(key);
    }
    throw new Error(`${id} is not reached by ${key}`);
  };
  const type = async (id, text) => {
    await reach(id);
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(text);
  };
  const region = (id) => page.locator(`#${id}`);

  test('begins with a way past the navigation', async () => {
    await page.keyboard.press('Tab');
    assert.equal(await focused().textContent(), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.match(page.url(), /#main$/);
  });

  test('explains a 401 that is pasted', async () => {
    await type('paste', 'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: DPoP error="invalid_dpop_proof", error_description="the proof was used before", algs="ES256"\n');
    await page.keyboard.press('Tab');
    // A response has no fields of a request; the next control is the button.
    await page.keyboard.press('Enter');
    await region('explained').locator('.verdict', { hasText: 'the proof was used before' }).waitFor();
    assert.match(await region('explained').textContent(), /invalid_dpop_proof · replayed/);
  });

  test('explains a challenge, and a 401 of curl -v, in every spelling', async () => {
    for (const [pasted, said] of [
      ['DPoP error="use_dpop_nonce", algs="ES256"', /sends none/],
      ['< HTTP/1.1 401 \n< WWW-Authenticate: DPoP error="use_dpop_nonce"\n< DPoP-Nonce: abc', /latest nonce/],
      ['HTTP/2 503\nRetry-After: 5', /could not decide/],
      ['HTTP/1.1 400 Bad Request\nContent-Type: application/json\n\n{"error":"invalid_grant"}', /not accepted/],
    ]) {
      await reach('paste', 'Shift+Tab');
      await page.keyboard.press('Control+A');
      await page.keyboard.insertText(pasted);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await until(said, async () => said.test(await region('explained').textContent()));
    }
  });

  test('makes a key and a proof, and explains it check by check', async () => {
    await reach('make-key');
    await page.keyboard.press('Enter');
    await until('a thumbprint', async () => /^[\w-]{43}$/.test(await region('jkt').textContent()));
    await type('make-url', 'https://api.example.com/a');
    await type('make-token', 'secret-token');
    await page.keyboard.press('Enter');
    await region('proof').waitFor();
    const proof = await region('proof').textContent();
    assert.equal(proof.split('.').length, 3);
    for (let steps = 0; (await focused().textContent()) !== 'Explain it'; steps += 1) {
      assert.ok(steps < 20, 'the button is reached');
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await region('explained').locator('.verdict.good').waitFor();
    const outcomes = await region('explained').locator('.checks > li').evaluateAll((lines) => lines.map(({ className }) => className));
    assert.deepEqual([...new Set(outcomes.slice(0, -1))], ['passed']);
    assert.equal(outcomes.at(-1), 'not_judged', 'replay is for a store to say');
    // The same proof for another method: the first failing check is named, with cause and fix.
    await reach('method', 'Shift+Tab');
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText('POST');
    await page.keyboard.press('Enter');
    await region('explained').locator('.verdict', { hasText: 'method_mismatch' }).waitFor();
    assert.match(await region('explained').locator('.failed').textContent(), /Cause.+Fix/);
  });

  test('reads a curl command', async () => {
    const proof = await region('proof').textContent();
    await reach('paste', 'Shift+Tab');
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(`curl -X PUT -H 'Authorization: DPoP secret-token' -H "DPoP: ${proof}" \\\n  https://api.example.com/b`);
    assert.deepEqual(await Promise.all(['method', 'url', 'token'].map((id) => region(id).inputValue())), ['PUT', 'https://api.example.com/b', 'secret-token']);
    await reach('url');
    await page.keyboard.press('Enter');
    await region('explained').locator('.verdict', { hasText: 'method_mismatch' }).waitFor();
  });

  test('logs in, calls, shows each request, and the thief gets nothing', async () => {
    await type('resource', servers.resource);
    await reach('login');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/#live$/);
    await page.locator('#call:enabled').waitFor();
    await reach('call');
    await page.keyboard.press('Enter');
    await page.locator('#log .status', { hasText: '200' }).nth(1).waitFor();
    const lines = await page.locator('#log summary').allTextContents();
    assert.ok(lines.some((line) => /^401GET .+\/api\/notes\/1\?page=2DPoP proof$/.test(line)), lines.join('\n'));
    assert.ok(lines.some((line) => /^200GET .+\/api\/notes\/1\?page=2DPoP proof$/.test(line)));
    await reach('bearer');
    await page.keyboard.press('Space');
    await page.locator('#log li', { hasText: 'the thief gets nothing' }).waitFor();
    // The lines open by keyboard.
    for (let steps = 0; (await focused().evaluate(({ tagName }) => tagName)) !== 'SUMMARY'; steps += 1) {
      assert.ok(steps < 20, 'a line is reached');
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.locator('#log details[open]').first().waitFor();
    await reach('logout', 'Shift+Tab');
    await page.keyboard.press('Enter');
    await page.locator('#session', { hasText: 'nobody is logged in' }).waitFor();
  });

  test('shows no server the token of another one', async () => {
    const other = await startServers();
    const sent = [];
    page.on('request', (request) => {
      const [scheme, token] = (request.headers().authorization ?? '').split(' ');
      if (token !== undefined) sent.push({ scheme, token, origin: new URL(request.url()).origin });
    });
    const choose = async (resource) => {
      await region('resource').fill(resource);
      await region('resource').blur();
    };
    const call = async () => {
      const before = sent.length;
      await region('call').click();
      await until('a call', () => sent.length > before);
    };
    for (const { resource } of [servers, other]) {
      await choose(resource);
      await region('login').click();
      await page.waitForURL(/\/#live$/);
      await page.locator('#call:enabled').waitFor();
      await call();
    }
    await choose(servers.resource);
    await page.locator('#bearer:enabled').waitFor();
    await region('bearer').click();
    const stolen = await until('the thief', () => sent.find(({ scheme }) => scheme === 'Bearer'));
    const own = sent.filter(({ scheme, origin }) => scheme === 'DPoP' && origin === servers.issuer).map(({ token }) => token);
    assert.equal(stolen.origin, servers.issuer);
    assert.ok(own.includes(stolen.token), 'it is the token of the server that it is sent to');
    await other.stop();
  });

  test('has a light and a dark face', async () => {
    const background = () => page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor);
    await reach('theme', 'Shift+Tab');
    const faces = [];
    for (let press = 0; press < 3; press += 1) {
      await page.keyboard.press('Enter');
      faces.push(await background());
    }
    assert.equal(new Set(faces).size, 2);
  });

  test('breaks no policy of its own, and every control has a name', async () => {
    assert.deepEqual(errors, []);
    const nameless = await page.locator('input, select, textarea, button').evaluateAll((controls) => controls
      .filter((control) => (control.labels?.length ?? 0) === 0 && (control.getAttribute('aria-label') ?? control.textContent).trim() === '')
      .map(({ id }) => id));
    assert.deepEqual(nameless, []);
  });
});

describe('the playground on a phone', { skip: missing }, () => {
  let browser;
  let pages;
  let page;

  before(async () => {
    [browser, pages] = await Promise.all([launch(), serve()]);
    const context = await browser.newContext({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    page = await context.newPage();
    await page.goto(pages.origin);
    await page.locator('html[data-loaded]').waitFor({ state: 'attached' });
  });
  after(async () => {
    await browser.close();
    await pages.close();
  });

  /** Whether the beginning of an element is in the window, below what stays at its top. */
  const isInView = (selector) => page.locator(selector).first().evaluate((shown) => {
    const { top } = shown.getBoundingClientRect();
    return top >= document.querySelector('.top').offsetHeight && top < innerHeight - 80;
  });

  test('has one title, and no card with nothing in it', async () => {
    assert.equal(await page.locator('main h1').count(), 1);
    // The start shows one request or none: the session that is looked for needs no server.
    const cards = await page.locator('.result').evaluateAll((all) => all.map((card) => [card.innerText.trim(), card.offsetHeight, getComputedStyle(card).borderTopWidth]));
    assert.deepEqual(cards, [['', 0, '0px'], ['', 0, '0px'], ['', 0, '0px']]);
  });

  test('shows what came of a tap without scrolling', async () => {
    await page.locator('#example-proof').tap();
    await page.locator('#explained .verdict').waitFor();
    await until('the verdict in view', () => isInView('#explained .verdict'));
    await page.locator('#make-form [type=submit]').tap();
    await page.locator('#proof').waitFor();
    await until('the proof in view', () => isInView('#proof'));
    await page.locator('#made button').first().tap();
    await page.locator('#explained .verdict.good').waitFor();
    await until('the verdict in view', () => isInView('#explained .verdict'));
    await page.locator('#resource').fill('http://127.0.0.1:9/api');
    await page.locator('#login').tap();
    await page.locator('#log .error').last().waitFor();
    await until('the failure in view', () => isInView('#log .error:last-child'));
  });

  test('is as wide as the phone, and everything that is touched has 44 px each way', async () => {
    assert.equal(await page.locator('html').evaluate(({ scrollWidth }) => scrollWidth), 360);
    for (const summary of await page.locator('#explain-form summary').all()) await summary.tap();
    const small = await page.locator('a:not(.skip), button, input, select, textarea, summary').evaluateAll((controls) => controls
      .map((control) => [control.id || control.textContent, control.offsetWidth, control.offsetHeight])
      .filter(([, width, height]) => width > 0 && (width < 44 || height < 44)));
    assert.deepEqual(small, []);
  });
});
