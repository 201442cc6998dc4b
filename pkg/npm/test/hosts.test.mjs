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
  const verifier = new Verifier({ store: new MemoryReplayStore({ dangerIgnoreFloor: true }) });
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
