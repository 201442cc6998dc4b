// The same application and page in Next.js: a route of its server, and a client component.

import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { missing } from '../../browser/harness.mjs';
import { Pages } from '../page.mjs';
import { configure, started, works } from '../server.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const next = `${here}node_modules/next/dist/bin/next`;
const env = { NEXT_TELEMETRY_DISABLED: '1' };

describe('Next.js', { skip: missing }, () => {
  let pages;
  before(async () => {
    await copyFile(`${here}../server/app.js`, `${here}app.js`);
    await copyFile(`${here}../page/main.js`, `${here}main.js`);
    await configure(here);
    pages = await Pages.start();
  });
  after(() => pages?.stop());

  for (const [what, ...options] of [['built by Turbopack'], ['built by webpack', '--webpack']]) {
    test(what, async () => {
      await promisify(execFile)(process.execPath, [next, 'build', ...options], { cwd: here, env: { ...process.env, ...env } });
      const running = await started(process.execPath, [next, 'start', '--hostname', '127.0.0.1', '--port', '0'], { cwd: here, env });
      await pages.works(running.origin);
      await works(running, 'addon');
    });
  }

  test('its development server', async () => {
    const running = await started(process.execPath, [next, 'dev', '--hostname', '127.0.0.1', '--port', '0'], { cwd: here, env });
    await pages.works(running.origin);
    await works(running, 'addon');
  });
});
