// A hundred thousand calls leave nothing behind: neither on the heap nor beside it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Key, MemoryReplayStore, Verifier, proofSync } from 'keybound';

const CALLS = 100_000;

test('memory is level over a hundred thousand calls', { skip: globalThis.gc === undefined && 'run node with --expose-gc' }, async () => {
  const key = Key.generate();
  const store = new MemoryReplayStore({ capacity: 64 * 1024, dangerFirstStart: true });
  const verifier = new Verifier({ store });
  const request = { method: 'GET', url: 'https://api.example.com/items', accessToken: 'a-token' };
  const made = Array.from({ length: 50 }, () => proofSync({ ...request, key }));
  for (const proof of made) verifier.verifySync({ ...request, proof, boundTo: key.thumbprint });
  const measure = async () => {
    // Finalizers of native objects run between turns.
    for (let i = 0; i < 3; i += 1) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { rss, heapUsed } = process.memoryUsage();
    return { rss, heapUsed };
  };
  const work = async (calls) => {
    for (let i = 0; i < calls; i += 1) {
      const shown = { ...request, proof: made[i % made.length], boundTo: key.thumbprint };
      // A replay goes all the way and comes back as an error; a check makes native objects; a wrong method fails early.
      if (i % 3 === 0) assert.throws(() => verifier.verifySync(shown), { reason: 'replayed' });
      else if (i % 3 === 1) assert.equal(verifier.check(shown).dangerSkipReplayCheck().algorithm, 'ES256');
      else assert.throws(() => verifier.check({ ...shown, method: 'PUT' }), { reason: 'method_mismatch' });
      if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await work(CALLS / 5);
  const before = await measure();
  await work(CALLS);
  const after = await measure();
  const grown = { rss: after.rss - before.rss, heap: after.heapUsed - before.heapUsed };
  // 100 bytes a call would be 10 MB.
  assert(grown.heap < 3e6, `the heap grew by ${grown.heap} bytes`);
  assert(grown.rss < 25e6, `the process grew by ${grown.rss} bytes`);
});
