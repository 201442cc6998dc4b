// Where several processes or threads answer, a store in the memory of one of them is refused.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

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

test('one process takes it', async () => {
  assert.equal(await evaluate(`${attempt} console.log(said())`), 'taken');
  assert.equal(await evaluate(`${attempt} console.log(said())`, { WEB_CONCURRENCY: '1', NODE_APP_INSTANCE: '0' }), 'taken');
});

for (const env of [{ WEB_CONCURRENCY: '4' }, { instances: 'max' }, { instances: '2' }, { NODE_APP_INSTANCE: '1' }]) {
  test(`several declared workers do not: ${Object.entries(env).flat().join('=')}`, async () => {
    assert.match(await evaluate(`${attempt} console.log(said())`, env), /^several_workers: .*give a ReplayStore that all of them share/);
  });
}

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
    const verifier = new Verifier({ store: new MemoryReplayStore({ dangerOneOfSeveral: true, dangerIgnoreFloor: true }) });
    const request = { method: 'GET', url: 'https://api.example.com/a', accessToken: 't' };
    for (let i = 0; i < 100; i += 1) await verifier.verify({ ...request, proof: await proof({ ...request, key }), boundTo: key.thumbprint });
    parentPort.postMessage(said());`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(here(script))}`);
  const answers = await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
    new Worker(url).once('message', resolve).once('error', reject);
  })));
  for (const answer of answers) assert.match(answer, /^several_workers: .*worker thread/);
});
