// Other hosts than Node get WASM by the conditions of the package: nothing is loaded before it is needed, and then it judges.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const cwd = new URL('..', import.meta.url).pathname;
const script = (file) => `
  import { readFileSync } from 'node:fs';
  import { Key, MemoryReplayStore, Verifier, build, proof, ready } from 'keybound';
  const early = (() => { try { return Key.generate(); } catch (error) { return error.reason; } })();
  const verifier = new Verifier({ store: new MemoryReplayStore({ dangerFirstStart: true, workers: 1 }) });
  await ready(readFileSync('dist/wasm/${file}_bg.wasm'));
  const key = Key.generate();
  const request = { method: 'GET', url: 'https://api.example.com/a', accessToken: 't' };
  const shown = { ...request, proof: await proof({ ...request, key }), boundTo: key.thumbprint };
  const { algorithm } = await verifier.verify(shown);
  console.log(build(), early, algorithm, await verifier.verify(shown).catch((error) => error.reason));`;

for (const [condition, file] of [['deno', 'server'], ['bun', 'server'], ['browser', 'full'], ['worker', 'full']]) {
  test(`the condition ${condition}`, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['-C', condition, '--input-type=module', '-e', script(file)], { cwd });
    assert.equal(stdout.trim(), 'wasm not_ready ES256 replayed');
  });
}

for (const condition of ['deno', 'bun', 'browser', 'worker']) {
  test(`the condition ${condition}: a store in memory cannot see other workers, and wants to be told that there are none`, async () => {
    const text = "import { MemoryReplayStore } from 'keybound'; try { new MemoryReplayStore(); console.log('taken'); } catch (error) { console.log(error.reason, error.message); }";
    const { stdout } = await promisify(execFile)(process.execPath, ['-C', condition, '--input-type=module', '-e', text], { cwd });
    assert.match(stdout, /^several_workers .*workers: 1/);
  });
}

for (const condition of ['workerd', 'edge-light']) {
  test(`the condition ${condition}: isolates share no memory, and no program can tell that it is the only one`, async () => {
    // The loader of these hosts imports WASM as modules, which Node does not.
    const text = "import { otherWorkers } from '#host'; const { what, certain } = otherWorkers(); console.log(certain, what);";
    const { stdout } = await promisify(execFile)(process.execPath, ['-C', condition, '--input-type=module', '-e', text], { cwd });
    assert.match(stdout, /^true .*isolates/);
  });
}
