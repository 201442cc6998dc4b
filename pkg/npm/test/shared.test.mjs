// One folder, two implementations: the addon (the Rust crate that Python, Swift and Kotlin have too) and the TypeScript over WASM.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';

const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(folder, { recursive: true }));
const cwd = new URL('..', import.meta.url).pathname;

// Carries out what it is told, line by line.
const SERVANT = `
  import { createInterface } from 'node:readline';
  import { FileStore, Key, build } from 'keybound';
  let store, held;
  const message = new Uint8Array([1]);
  const can = {
    open: async (path) => { store = await FileStore.open(path); return build(); },
    save: (...what) => store.save(...what),
    load: async (slot) => (await store.load(slot)) ?? null,
    sessions: () => store.sessions(),
    make: async () => (await store.createKey(['ES256'], ['software'])).publicJwk.x,
    add: () => store.addKey(Key.generate('Ed25519')),
    sign: async (thumbprint, algorithm) => (await store.sign({ thumbprint, for: 'proof', algorithm, message })).bytes.length,
    lock: async (name, lease) => { held = await store.lock(name, lease); return true; },
    release: async () => { held(); return true; },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...given] = JSON.parse(line);
    const answer = can[what](...given.map((value) => value ?? undefined)).catch((error) => ({ error: error.reason ?? error.message }));
    console.log(JSON.stringify(await answer));
  }`;

/** A process with one of the two. */
function servant(build) {
  const { KEYBOUND_NATIVE: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--input-type=module', '-e', SERVANT], {
    cwd, env: build === 'wasm' ? { ...env, KEYBOUND_NATIVE: 'wasm' } : env, stdio: ['pipe', 'pipe', 'inherit'],
  });
  after(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (...told) => {
    child.stdin.write(`${JSON.stringify(told)}\n`);
    return JSON.parse((await lines.next()).value);
  };
}

const both = { addon: servant('addon'), wasm: servant('wasm') };

for (const [one, other] of [['addon', 'wasm'], ['wasm', 'addon']]) {
  const [write, read] = [both[one], both[other]];
  const place = join(folder, one);

  test(`what the ${one} wrote is what the ${other} reads`, async () => {
    assert.deepEqual([await write('open', place), await read('open', place)], [one, other]);
    for (const name of ['work', '../a/b', 'ümläut. ~\'()*!', '💥', 'x'.repeat(2000), 'é'.repeat(900)]) {
      const slot = `session/${name}`;
      assert.equal(await write('save', slot, null, 2 ** 53, `${name}\nsecond \uFEFFline`), true);
      assert.deepEqual(await read('load', slot), { version: 2 ** 53, value: `${name}\nsecond \uFEFFline` });
      assert.equal(await read('save', slot, null, 1, 'late'), false);
    }
    assert.deepEqual(await read('sessions'), await write('sessions'));
    const own = await write('add');
    assert.equal(await read('sign', own, 'Ed25519'), 64);
    assert.equal(await read('save', `session/${'x'.repeat(2000)}`, 2 ** 53, 1, null), true);
    assert.equal(await write('load', `session/${'x'.repeat(2000)}`), null);
    for (const store of [write, read]) {
      assert.equal((await store('save', 'session/long', null, 1, 'x'.repeat(4 * 1024 * 1024))).error, 'file');
    }
  });

  test(`a lock that the ${one} holds is waited for by the ${other}`, async () => {
    assert.equal(await write('lock', 'session/work', 30), true);
    assert.deepEqual(await read('lock', 'session/work', 0), { error: 'lock_timeout' });
    const waiting = read('lock', 'session/work', 30);
    assert.equal(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 50, 'held'))]), 'held');
    await write('release');
    assert.equal(await waiting, true);
    assert.deepEqual(await write('lock', 'session/work', 0), { error: 'lock_timeout' });
    await read('release');
    // The lock under which a value is changed, one whose name was too long for a file too.
    for (const name of ['work', 'é'.repeat(900)]) {
      const [hashed] = name === 'work' ? [name] : (await readdir(join(place, 'session'))).filter((file) => /^[\w-]{43}$/.test(file));
      assert.equal(await write('lock', `save/session/${hashed}`, 30), true);
      const saving = read('save', `session/${name}`, 2 ** 53, 1, 'new');
      assert.equal(await Promise.race([saving, new Promise((resolve) => setTimeout(resolve, 50, 'held'))]), 'held');
      await write('release');
      assert.equal(await saving, true);
    }
  });

  test(`what the ${one} left the ${other} sweeps`, async () => {
    const place = join(folder, `swept-${one}`);
    await write('open', place);
    const own = await write('add');
    await write('make');
    const login = '{"v":2,"level":"standard","expires":1}';
    await write('save', 'login/state', null, 5, login);
    await write('save', `login/${'s'.repeat(200)}`, null, 5, login);
    for (const [kind, name] of [['session', '.new-a'], ['made', 'of nothing'], ['attached', 'gone']]) await writeFile(join(place, kind, name), '');
    const at = new Date(Date.now() - 7_200_000);
    for (const kind of ['key', 'made', 'attached', 'session']) {
      for (const name of await readdir(join(place, kind))) await utimes(join(place, kind, name), at, at);
    }
    await read('open', place);
    const left = async (kind) => [kind, await readdir(join(place, kind))];
    for (const kind of ['session', 'login', 'made', 'attached']) assert.deepEqual(await left(kind), [kind, []]);
    assert.deepEqual(await left('key'), ['key', [own]]);
  });
}
