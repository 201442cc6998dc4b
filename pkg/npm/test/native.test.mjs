// The addon and each WASM build have all rows of their tables, and no others: tests/contract/native.txt, which Python is compared with as well.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const dist = new URL('../dist/', import.meta.url);
const tables = new Map();
for (const line of (await readFile(new URL('../../../tests/contract/native.txt', import.meta.url), 'utf8')).trim().split('\n').slice(1)) {
  const name = /^\[(\w+)\]$/.exec(line)?.[1];
  if (name !== undefined) tables.set(name, []);
  else [...tables.values()].at(-1).push(line);
}

/** The rows that a module has, without what wasm-bindgen and the build add and what is the addon's alone. */
function rowsOf(module) {
  const rows = new Set();
  const own = (of, names) => names.filter((name) => typeof of[name] === 'function' && !name.startsWith('__') && !name.startsWith('initSync'));
  for (const [name, value] of Object.entries(module)) {
    if (typeof value !== 'function' || ['default', 'initSync', 'place', 'Files', 'FileLock'].includes(name)) continue;
    if (!/^class |native code/.test(String(value)) || !/^[A-Z]/.test(name)) {
      rows.add(`.${name}`);
      continue;
    }
    for (const method of own(value, Object.getOwnPropertyNames(value))) rows.add(`${name}.${method}`);
    for (const method of own(value.prototype, Object.getOwnPropertyNames(value.prototype))) {
      if (!['constructor', 'free', 'verifyMany'].includes(method)) rows.add(`${name}.${method}`);
    }
  }
  return [...rows].sort();
}

function expected(...names) {
  const rows = names.flatMap((name) => tables.get(name)).map((line) => line.split(' '));
  return [...new Set(rows.map(([row, js]) => `${row.split('.')[0]}.${js}`).filter((row) => !row.endsWith('.new')))].sort();
}

test('the addon has the rows of all tables but those for others', async () => {
  const native = new URL('native/', dist);
  const [file] = (await readdir(native)).filter((name) => name.endsWith('.node'));
  const addon = createRequire(import.meta.url)(new URL(file, native).pathname);
  assert.deepEqual(rowsOf(addon), expected(...[...tables.keys()].filter((name) => !['folders', 'stored_keys'].includes(name))));
});

for (const [build, ...names] of [
  ['client', 'thumbprints', 'flows', 'client'],
  ['flows', 'thumbprints', 'flows', 'client', 'grants', 'folders'],
  ['advice', 'advice'],
  ['full', 'thumbprints', 'proofs'],
  ['server', 'thumbprints', 'proofs', 'key_files', 'flows', 'advice', 'redis', 'servers'],
]) {
  test(`the WASM build ${build} has the rows of ${names.join(', ')}`, async () => {
    assert.deepEqual(rowsOf(await import(new URL(`wasm/${build}.js`, dist))), expected(...names));
  });
}
