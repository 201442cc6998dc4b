// A protected application on every server, bundled and not: a request without a proof is refused, one with a proof is admitted once.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { started, works, written } from './server.mjs';
import { HERE, copyWasm, missing } from './work.mjs';

const bin = (name) => `${HERE}node_modules/.bin/${name}`;
const run = promisify(execFile);

describe('a server', { skip: missing }, () => {
  let esbuild;
  before(async () => ({ build: esbuild } = await import('esbuild')));

  test('Node, bundled by esbuild with the package left out', async () => {
    const path = await written('node-external');
    await esbuild({ entryPoints: [`${path}listen.js`], bundle: true, platform: 'node', format: 'esm', outfile: `${path}out/server.mjs`, external: ['keybound'] });
    await works(await started('node', [`${path}out/server.mjs`]), 'addon');
  });

  test('Node, bundled by esbuild with all that is in it: it says what to do, and works with the modules beside it', async () => {
    const path = await written('node-bundled');
    const banner = { js: "import * as modules from 'node:module'; const require = modules.createRequire(import.meta.url);" };
    await esbuild({ entryPoints: [`${path}listen.js`], bundle: true, platform: 'node', format: 'esm', outfile: `${path}out/server.mjs`, banner });
    const said = /server_bg\.wasm, looked for at file:.*node-bundled\/out\/server_bg\.wasm, cannot be read; leave keybound out of the bundle .*external:keybound.*, or copy node_modules\/keybound\/dist\/wasm\/server_bg\.wasm there/;
    await assert.rejects(started('node', [`${path}out/server.mjs`]), said);
    await copyWasm(`${path}out/`, ['flows', 'server']);
    await works(await started('node', [`${path}out/server.mjs`]), 'wasm');
  });

  test('Node, bundled as CommonJS: it says to leave the package out', async () => {
    const path = await written('node-cjs');
    await esbuild({ entryPoints: [`${path}app.js`], bundle: true, platform: 'node', format: 'cjs', outfile: `${path}out/server.cjs`, logLevel: 'error' });
    await assert.rejects(run('node', [`${path}out/server.cjs`]), /server_bg\.wasm cannot be found by a bundle that is not an ES module; leave keybound out of the bundle/);
  });

  test('Bun', async () => works(await started(bin('bun'), ['run', `${await written('bun')}listen.js`]), 'wasm'));

  test('Bun, bundled by bun build, with the modules copied beside the bundle', async () => {
    const path = await written('bun-bundled');
    await run(bin('bun'), ['build', `${path}listen.js`, '--outdir', `${path}out`, '--target', 'bun']);
    await copyWasm(`${path}out/`, ['flows', 'server']);
    await works(await started(bin('bun'), ['run', `${path}out/listen.js`]), 'wasm');
  });

  test('Deno', async () => {
    const path = await written('deno');
    await works(await started(bin('deno'), ['run', '--allow-all', '--no-lock', `${path}listen.js`], { cwd: path }), 'wasm');
  });

  test('workerd, with all that the module makes before a request', async () => {
    const path = await written('workerd');
    const modules = new Set();
    // As wrangler does: a `.wasm` that is imported is a module of the worker.
    const plugin = {
      name: 'modules',
      setup: ({ onResolve }) => onResolve({ filter: /\.wasm$/ }, async ({ path: file, resolveDir }) => {
        modules.add(basename(file));
        await copyFile(`${resolveDir}/${file}`, path + basename(file));
        return { path: `./${basename(file)}`, external: true };
      }),
    };
    const conditions = ['workerd', 'worker', 'browser'];
    await esbuild({ entryPoints: [`${path}edge.js`], bundle: true, format: 'esm', outfile: `${path}worker.js`, conditions, plugins: [plugin] });
    const embedded = [...modules].map((name) => `(name = "${name}", wasm = embed "${name}")`);
    await writeFile(`${path}config.capnp`, `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker.js", esModule = embed "worker.js"), ${embedded.join(', ')}],
    compatibilityDate = "2026-11-01",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
    await works(await started(bin('workerd'), ['serve', '--control-fd=3', `${path}config.capnp`], { from: 'control' }), 'wasm');
  });

  test('Vitest', async () => {
    const path = await written('vitest');
    await copyFile(`${HERE}server/app.vitest.js`, `${path}app.test.js`);
    await run(bin('vitest'), ['run', '--reporter=tap', '--root', path], { cwd: path });
  });
});
