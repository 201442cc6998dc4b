// Every snippet of the README is run as a newcomer would, on its own.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';

import { Server, skip } from './redis-server.mjs';
import { serve } from './serve.mjs';

const root = new URL('..', import.meta.url).pathname;
const readme = await readFile(join(root, 'README.md'), 'utf8');
const snippets = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(folder, { recursive: true }));
// The package and the frameworks as npm lays them.
await mkdir(join(folder, 'node_modules'));
await symlink(root, join(folder, 'node_modules', 'keybound'));
for (const name of ['express', 'fastify', 'hono', '@hono', 'ioredis']) await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
await writeFile(join(folder, 'package.json'), '{ "type": "module" }');

async function run(code) {
  const file = join(folder, `${crypto.randomUUID()}.js`);
  await writeFile(file, code);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder, timeout: 60_000 });
  return stdout.trim().split('\n');
}

const find = (word) => {
  const found = snippets.filter((code) => code.includes(word));
  assert.equal(found.length, 1, word);
  return found[0];
};
// A request without a token is refused by what the snippet set up.
const asked = (start) => `${start}\n  const response = await fetch(origin + '/items');
  console.log(response.status, response.headers.get('www-authenticate').split(' ')[0], (await fetch(origin + '/.well-known/oauth-protected-resource')).status);`;

test('all snippets are among those that run', () => assert.equal(snippets.length, 15));

test('first proof', async () => assert.deepEqual(await run(find('import { Key, proof }')), ['3']));

test('a proof verified by hand', async () => assert.deepEqual(await run(find('freshNonce')), ['ES256']));

test('express', async () => {
  const start = `const server = app.listen(0, '127.0.0.1'); await new Promise((done) => server.once('listening', done)); const origin = 'http://127.0.0.1:' + server.address().port;`;
  assert.deepEqual(await run(`${find('keybound/express')}\n${asked(start)} server.close();`), ['401 DPoP 200']);
});

test('public paths', async () => {
  const around = `import express from 'express';
    import { protect } from 'keybound/express';
    const app = express();
    const options = { resource: 'https://api.example.com', issuers: ['https://as.example.com'] };
    ${find("'/health'")}
    const server = app.listen(0, '127.0.0.1');
    await new Promise((done) => server.once('listening', done));
    for (const path of ['/health', '/items']) console.log((await fetch('http://127.0.0.1:' + server.address().port + path)).status);
    server.close();`;
  assert.deepEqual(await run(around), ['200', '401']);
});

test('fastify', async () => {
  assert.deepEqual(await run(`${find('keybound/fastify')}\n${asked("const origin = await app.listen({ port: 0, host: '127.0.0.1' });")} await app.close();`), ['401 DPoP 200']);
});

test('hono', async () => {
  const start = `import { serve } from '@hono/node-server';
  const server = await new Promise((done) => { const made = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, () => done(made)); });
  const origin = 'http://127.0.0.1:' + server.address().port;`;
  assert.deepEqual(await run(`${find("hello: c.get('principal')")}\n${asked(start)} server.close();`), ['401 DPoP 200']);
});

test('test it', async () => {
  await writeFile(join(folder, 'app.js'), find('// app.js'));
  await writeFile(join(folder, 'app.test.js'), find('// app.test.js'));
  // A runner within a runner reports to that one.
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--test', '--test-reporter=tap', 'app.test.js'], { cwd: folder, env, timeout: 60_000 });
  assert.match(stdout, /^# pass 1$/m);
});

test('pages of other origins', async () => {
  const asked = `import { Hono } from 'hono';
    const headers = { origin: 'http://localhost:5173', 'access-control-request-method': 'PUT' };
    const preflight = await new Hono().use(middleware).request('/items', { method: 'OPTIONS', headers });
    console.log(preflight.status, preflight.headers.get('access-control-allow-origin'));`;
  assert.deepEqual(await run(`${find('http://localhost:5173')}\n${asked}`), ['204 http://localhost:5173']);
});

test('several processes', { skip }, async () => {
  const server = await Server.start();
  try {
    const code = find('keybound/redis').replace('redis://127.0.0.1:6379', server.url).replace('= process.env;', "= { NONCE_KEY: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' };");
    const asked = `const { refusal } = await protection.authenticate({ method: 'GET', target: '/', fields: [] });
      console.log(refusal.status, store.status().isOpen);
      store.close();
      client.disconnect();`;
    assert.deepEqual(await run(`${code}\n${asked}`), ['401 true']);
  } finally {
    await server.stop();
  }
});

test('call an API', async () => {
  const servers = await serve();
  try {
    const code = find('Loopback.listen').replaceAll('http://127.0.0.1:9449', servers.issuer);
    assert.deepEqual(await run(`const openBrowser = (url) => fetch(url).then((response) => response.text());\n${code}`), ['200']);
    const again = `import { Client, FileStore } from 'keybound';
      const client = new Client({ level: 'enhanced', credentials: [{ issuer: '${servers.issuer}', clientId: 'keybound-demo' }], allowLoopback: true }, await FileStore.open('./sessions'));
      console.log((await client.fetch(await client.open('work'))('${servers.resource}')).status);`;
    assert.deepEqual(await run(again), ['200']);
  } finally {
    servers.stop();
  }
});

test('in a page', async () => {
  const guide = await readFile(join(root, '../../docs/browser.md'), 'utf8');
  const own = snippets.filter((code) => code.includes('keybound/browser') || code.includes('/notes'));
  assert.equal(own.length, 2);
  for (const code of own) assert.ok(guide.includes(code), `test/browser/guide.test.mjs runs what the guide says, and this is not in it: ${code}`);
});

test('errors', async () => {
  assert.deepEqual(await run(`const request = { headers: {} };\n${find('NonceRequired')}`), ['proof_missing false']);
});

test('stores of your own', async () => {
  const around = `import { Key, proof } from 'keybound';
    const kept = new Set();
    const database = { insertIfAbsent: async (key) => !kept.has(key) && Boolean(kept.add(key)) };
    ${find('insertIfAbsent')}
    const key = Key.generate();
    const shown = { method: 'POST', url: 'https://as.example.com/token', atAuthorizationServer: true, proof: await proof({ method: 'POST', url: 'https://as.example.com/token', key }) };
    console.log((await verifier.verify(shown)).thumbprint === key.thumbprint);
    await verifier.verify(shown).catch((error) => console.log(error.reason));`;
  assert.deepEqual(await run(around), ['true', 'replayed']);
});
