// Where several processes or threads answer, a store in the memory of one of them is refused.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { MemoryReplayStore, Verifier } from 'keybound';
import { protect } from 'keybound/server';

const run = promisify(execFile);
const attempt = `import { MemoryReplayStore } from 'keybound';
  const said = () => { try { new MemoryReplayStore(); return 'taken'; } catch (error) { return error.reason + ': ' + error.message; } };`;
const cwd = new URL('..', import.meta.url).pathname;
// A script elsewhere does not find the package by its name.
const here = (script) => script.replaceAll("'keybound'", `'${new URL('../dist/index.node.js', import.meta.url)}'`);
const evaluate = async (script, env = {}) => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { cwd, env: { PATH: process.env.PATH, ...env } });
  return stdout.trim();
};

const stated = attempt.replace('MemoryReplayStore();', 'MemoryReplayStore({ workers: 1 });');

test('one process takes it', async () => {
  assert.equal(await evaluate(`${attempt} console.log(said())`), 'taken');
  assert.equal(await evaluate(`${attempt} console.log(said())`, { WEB_CONCURRENCY: '1' }), 'taken');
});

for (const env of [{ instances: 'max' }, { instances: '2' }, { PM2_INSTANCES: '-1' }, { NODE_APP_INSTANCE: '1' }]) {
  test(`several processes of PM2 do not, whatever is stated: ${Object.entries(env).flat().join('=')}`, async () => {
    for (const script of [attempt, stated]) {
      assert.match(await evaluate(`${script} console.log(said())`, env), /^several_workers: .*give a store that all of them share \(RedisReplayStore of keybound\/redis\)$/);
    }
  });
}

for (const env of [
  { WEB_CONCURRENCY: '4' }, { NODE_APP_INSTANCE: '0', instances: '1' }, { pm_id: '0' }, { AWS_LAMBDA_FUNCTION_NAME: 'f' }, { K_SERVICE: 's' },
]) {
  test(`where others may run, it wants to be told that there are none: ${Object.entries(env).flat().join('=')}`, async () => {
    assert.match(await evaluate(`${attempt} console.log(said())`, env), /^several_workers: .*say so: workers: 1$/);
    assert.equal(await evaluate(`${stated} console.log(said())`, env), 'taken');
  });
}

test('a process that another one forked may share its listener with others', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
  try {
    const file = join(folder, 'fork.mjs');
    await writeFile(file, here(`import { fork } from 'node:child_process'; ${attempt}
      if (process.send === undefined) fork(process.argv[1]).on('message', (told) => typeof told === 'string' && console.log(told));
      else process.send(said(), () => process.exit());`));
    assert.match((await run(process.execPath, [file])).stdout, /^several_workers: .*another process forked this one.*workers: 1$/m);
    // The supervisor that starts one process anew is known.
    const { stdout } = await run(process.execPath, [file], { env: { ...process.env, WATCH_REPORT_DEPENDENCIES: '1' } });
    assert.equal(stdout.trim(), 'taken');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('workers is a number of them, and a store in memory is for one', () => {
  assert.throws(() => new MemoryReplayStore({ workers: 2 }), { name: 'Misuse', reason: 'several_workers' });
  for (const workers of [0, -1, 1.5, '1', true, null]) assert.throws(() => new MemoryReplayStore({ workers }), { name: 'Misuse', reason: 'wrong_type' });
});

test('configured nonce keys are those of several processes, and a store in memory is for one', () => {
  const nonces = { keys: [{ id: 1, secret: 'A'.repeat(42) + 'E' }] };
  const refused = { name: 'Misuse', reason: 'several_workers', message: /workers: 1/ };
  const resource = { resource: 'https://api.example.com', issuers: ['https://as.example.com'], proofs: { nonces } };
  assert.throws(() => new Verifier({ nonces, store: new MemoryReplayStore() }), refused);
  assert.throws(() => protect(resource), refused);
  assert.throws(() => protect({ ...resource, store: new MemoryReplayStore() }), refused);
  new Verifier({ nonces, store: new MemoryReplayStore({ workers: 1 }) });
  protect({ ...resource, workers: 1 });
  protect({ ...resource, store: new MemoryReplayStore({ workers: 1 }) });
  protect({ ...resource, store: { insert: () => 'fresh' } });
});

test('a worker of a cluster does not, unless told', async () => {
  const script = `import cluster from 'node:cluster'; ${attempt}
    if (cluster.isPrimary) cluster.fork().on('message', (text) => console.log(text));
    else process.send(said() + '; ' + new MemoryReplayStore({ dangerOneOfSeveral: true }).held, () => process.exit());`;
  const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
  try {
    const file = join(folder, 'cluster.mjs');
    await writeFile(file, here(script));
    const { stdout } = await run(process.execPath, [file]);
    assert.match(stdout, /^several_workers: .*one worker of a cluster.*; 0$/m);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a worker thread does not; proofs are made and judged there', async () => {
  const script = `import { parentPort } from 'node:worker_threads';
    import { Key, proof, Verifier, MemoryReplayStore } from 'keybound';
    ${attempt.split('\n')[1]}
    const key = Key.generate();
    const verifier = new Verifier({ store: new MemoryReplayStore({ dangerOneOfSeveral: true, dangerFirstStart: true }) });
    const request = { method: 'GET', url: 'https://api.example.com/a', accessToken: 't' };
    for (let i = 0; i < 100; i += 1) await verifier.verify({ ...request, proof: await proof({ ...request, key }), boundTo: key.thumbprint });
    parentPort.postMessage(said());`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(here(script))}`);
  const answers = await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
    new Worker(url).once('message', resolve).once('error', reject);
  })));
  for (const answer of answers) assert.match(answer, /^several_workers: .*worker thread/);
});
