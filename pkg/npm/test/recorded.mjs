// The folder that the stores of all languages read, and write byte for byte (tests/vectors/files), through whichever build is loaded.
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const { Client, FileStore, Key, build, thumbprint } = await import('keybound');

const vectors = fileURLToPath(new URL('../../../tests/vectors/files/', import.meta.url));
const recorded = join(vectors, 'folder');
const contents = JSON.parse(await readFile(join(vectors, 'contents.json'), 'utf8'));
const temporary = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(temporary, { recursive: true }));

/** All files as text, by their names below the folder. No byte is lost. */
async function tree(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
  return Object.fromEntries(await Promise.all(names.sort().map(async (name) => [name, await readFile(join(folder, name), 'latin1')])));
}

test(`what is written is what is recorded (${build()})`, async () => {
  const folder = join(temporary, 'written');
  const store = await FileStore.open(folder);
  for (const { slot, version, value } of contents.values) assert.equal(await store.save(slot, undefined, version, value), true);
  for (const { jwk, thumbprint } of contents.keys) assert.equal(await store.addKey(Key.fromJwk(jwk)), thumbprint);
  (await store.lock(contents.lock, 0))();
  assert.deepEqual(await tree(folder), await tree(recorded));

  const made = thumbprint((await store.createKey(['ES256'], ['software'])).publicJwk);
  const { [join('key', made)]: written, [join('made', made)]: mark } = await tree(folder);
  assert.equal(JSON.stringify(Key.fromJwk(written).dangerPrivateJwk()), written);
  assert.equal(mark, '');
});

test(`what is recorded is read (${build()})`, async () => {
  const folder = join(temporary, 'read');
  // Git keeps no modes: the store makes the folders.
  await FileStore.open(folder);
  for (const name of Object.keys(await tree(recorded))) await copyFile(join(recorded, name), join(folder, name));
  const store = await FileStore.open(folder);
  for (const { slot, version, value } of contents.values) assert.deepEqual(await store.load(slot), { version, value });
  assert.deepEqual(await store.sessions(), contents.sessions);
  for (const { thumbprint, algorithm, signature } of contents.keys) {
    const { bytes } = await store.sign({ thumbprint, for: 'proof', algorithm, message: Buffer.from(contents.message), digest: undefined });
    // Where the algorithm gives one message one signature.
    if (signature !== undefined) assert.equal(Buffer.from(bytes).toString('base64url'), signature);
  }
  const credentials = [{ issuer: 'https://as.example.com', clientId: 'app' }];
  const session = await new Client({ level: 'enhanced', credentials }, store).open('work');
  assert.equal(session.thumbprint, contents.keys[0].thumbprint);
  assert.deepEqual(await tree(folder), await tree(recorded), 'the sweep of opening left everything where it was');
});
