// A page that uses `keybound/browser` and `keybound`, by every bundler: it logs in, calls, and verifies a proof of its own.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { missing as browserMissing } from '../browser/harness.mjs';
import { Pages, served } from './page.mjs';
import { HERE, copyWasm, files, folder, missing, writePage } from './work.mjs';

const MODULES = ['advice', 'client', 'full'];
const page = `${HERE}page/`;
const bundle = `${page}main.js`;
const vites = { 8: 'vite', 7: 'vite-7', 6: 'vite-6' };

describe('a page', { skip: missing || browserMissing }, () => {
  let pages;
  before(async () => (pages = await Pages.start()));
  after(() => pages?.stop());
  const works = (origin) => pages.works(origin);
  const fault = (origin) => pages.fault(origin);

  async function developed(version, work, more = {}) {
    const { createServer } = await import(vites[version]);
    // Each run of Vite leaves its mode there, for a process that has no other.
    delete process.env.NODE_ENV;
    const cacheDir = await folder(`node_modules/.vite/${version}`);
    const server = await createServer({ root: page, configFile: false, logLevel: 'error', cacheDir, server: { host: '127.0.0.1', port: 0 }, ...more });
    try {
      await server.listen();
      return await work(`http://127.0.0.1:${server.httpServer.address().port}`);
    } finally {
      await server.close();
    }
  }

  for (const version of [8, 7, 6]) {
    test(`Vite ${version}, its development server`, () => developed(version, works));

    test(`Vite ${version}, built`, async () => {
      const { build } = await import(vites[version]);
      const outDir = await folder(`vite-${version}`);
      delete process.env.NODE_ENV;
      await build({ root: page, configFile: false, logLevel: 'error', build: { outDir, emptyOutDir: true } });
      await served(outDir, works);
      // What a visitor loads is the module as it is.
      assert.equal((await files(outDir)).filter((name) => name.endsWith('.wasm')).length >= MODULES.length, true);
      assert.deepEqual((await files(outDir)).filter((name) => name.includes('inline')), []);
    });
  }

  test('a development server that loses the modules says what to type', async () => {
    const lost = { resolve: { conditions: ['module', 'browser'] } };
    const { reason, message } = await developed(7, fault, lost);
    assert.equal(reason, 'wasm_missing');
    assert.match(message, /client_bg\.wasm, looked for at http:.*optimizeDeps: \{ exclude: \['keybound'\] \}/);
    await developed(7, works, { ...lost, optimizeDeps: { exclude: ['keybound'] } });
  });

  for (const mode of ['production', 'development']) {
    test(`webpack 5, ${mode}`, async () => {
      const { default: webpack } = await import('webpack');
      const path = await folder(`webpack-${mode}`);
      const compiler = webpack({ mode, context: page, entry: './main.js', output: { path, filename: 'main.js' }, devtool: false });
      const stats = await promisify(compiler.run.bind(compiler))();
      await promisify(compiler.close.bind(compiler))();
      assert.deepEqual(stats.toJson({ errors: true }).errors, []);
      await writePage(path, 'defer src="./main.js"');
      await served(path, works);
    });
  }

  test('esbuild, with the modules copied beside the bundle; without them the page says so', async () => {
    const { build } = await import('esbuild');
    const outdir = await folder('esbuild');
    await build({ entryPoints: [bundle], bundle: true, format: 'esm', outdir, minify: true, logLevel: 'warning' });
    await writePage(outdir, 'type="module" src="./main.js"');
    await served(outdir, async (origin) => {
      const { reason, message } = await fault(origin);
      assert.equal(reason, 'wasm_missing');
      assert.ok(message.includes(`client_bg.wasm, looked for at ${origin}/client_bg.wasm, is not there (404)`), message);
      assert.match(message, /copy node_modules\/keybound\/dist\/wasm\/client_bg\.wasm there, or import from keybound\/browser\/inline/);
      await copyWasm(outdir, MODULES);
      await works(origin);
    });
  });

  test('esbuild, in one script that needs no file', async () => {
    const { build } = await import('esbuild');
    const outdir = await folder('esbuild-inline');
    const contents = (await readFile(bundle, 'utf8')).replace("'keybound/browser'", "'keybound/browser/inline'").replace("'keybound'", "'keybound/inline'");
    await build({ stdin: { contents, resolveDir: page, sourcefile: 'main.js' }, bundle: true, format: 'iife', outfile: `${outdir}main.js`, minify: true, logLevel: 'error' });
    await writePage(outdir, 'defer src="./main.js"');
    await served(outdir, works);
  });

  test('Rollup, with the modules copied beside the bundle', async () => {
    const [{ rollup }, { default: resolve }] = await Promise.all([import('rollup'), import('@rollup/plugin-node-resolve')]);
    const dir = await folder('rollup');
    const made = await rollup({ input: bundle, plugins: [resolve({ browser: true })], onwarn: (warning) => assert.fail(warning.message) });
    await made.write({ dir, format: 'es' });
    await made.close();
    await writePage(dir, 'type="module" src="./main.js"');
    await copyWasm(dir, MODULES);
    await served(dir, works);
  });

  test('bun build, with the modules copied beside the bundle', async () => {
    const outdir = await folder('bun');
    await promisify(execFile)(`${HERE}node_modules/.bin/bun`, ['build', bundle, '--outdir', outdir, '--target', 'browser', '--minify']);
    await writePage(outdir, 'type="module" src="./main.js"');
    await copyWasm(outdir, MODULES);
    await served(outdir, works);
  });
});
