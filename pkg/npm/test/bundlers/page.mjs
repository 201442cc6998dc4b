// Pages of `page/main.js` in a browser, with the servers they use: what they have to do.

import assert from 'node:assert/strict';

import { serve } from '../../../../examples/browser/serve.mjs';
import { launch, loggedIn, open, options, run, startServers } from '../browser/harness.mjs';

/** A browser, and `keybound serve`. */
export class Pages {
  #browser;
  #servers;

  static async start() {
    const pages = new Pages();
    [pages.#browser, pages.#servers] = await Promise.all([launch(), startServers()]);
    return pages;
  }

  async stop() {
    await this.#browser.close();
    await this.#servers.stop();
  }

  /** A page that is served at `origin` logs in, calls, explains a refusal, makes proofs and verifies them. */
  async works(origin) {
    const context = await this.#browser.newContext();
    const failed = [];
    context.on('weberror', (error) => failed.push(error.error()));
    try {
      const page = await loggedIn(context, this.#servers, { origin });
      const said = await run(page, async (url) => [
        (await globalThis.client.fetch(url)).status,
        (await globalThis.client.explain(await fetch(url))).cause !== undefined,
        ...(await globalThis.prove()),
      ], this.#servers.resource);
      assert.deepEqual(said, [200, true, 'ES256', true, 'replayed']);
      assert.deepEqual(failed, []);
    } finally {
      await context.close();
    }
  }

  /** What `client.open()` throws in a page that is served at `origin`. */
  async fault(origin) {
    const context = await this.#browser.newContext();
    try {
      const page = await open(context, { origin });
      await run(page, (given) => globalThis.make(given), options(this.#servers, { origin }));
      return await run(page, () => globalThis.client.open()).then(() => assert.fail('it opened'), (error) => error);
    } finally {
      await context.close();
    }
  }
}

/** Serves a folder meanwhile, by the strict policy of the documentation. */
export async function served(root, work) {
  const pages = await serve({ root });
  try {
    return await work(pages.origin);
  } finally {
    await pages.close();
  }
}
