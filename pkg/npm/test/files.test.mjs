// Processes that share a folder: compare-and-set loses no change, a lock has one owner, a crash blocks nobody.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chown, lstat, mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';

import { Client, FileStore, Key, MemoryStore, thumbprint } from 'keybound';

const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
after(() => rm(folder, { recursive: true }));
const cwd = new URL('..', import.meta.url).pathname;
const script = (place, body) => ['--input-type=module', '-e', `import { FileStore } from 'keybound'; const store = await FileStore.open(${JSON.stringify(place)}); ${body}`];
const run = (place, body) => promisify(execFile)(process.execPath, script(place, body), { cwd });

test('four processes count to a hundred together', async () => {
  const place = join(folder, 'count');
  await FileStore.open(place);
  const count = `for (let done = 0; done < 25;) {
    const was = await store.load('session/n');
    if (await store.save('session/n', was?.version, (was?.version ?? 0) + 1, String(Number(was?.value ?? 0) + 1))) done += 1;
  }`;
  await Promise.all([1, 2, 3, 4].map(() => run(place, count)));
  const store = await FileStore.open(place);
  assert.deepEqual(await store.load('session/n'), { version: 100, value: '100' });
  assert.deepEqual((await readdir(join(place, 'session'))), ['n'], 'no unfinished file is left');
});

test('a lock has one owner, in one process and among several', async () => {
  const place = join(folder, 'lock');
  const store = await FileStore.open(place);
  const log = [];
  await Promise.all([1, 2, 3].map(async (who) => {
    const release = await store.lock('one', 30);
    log.push(`${who} in`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    log.push(`${who} out`);
    release();
  }));
  for (let i = 0; i < log.length; i += 2) assert.equal(log[i].split(' ')[0], log[i + 1].split(' ')[0]);
  const release = await store.lock('one', 30);
  const other = run(place, `(await store.lock('one', 30))(); console.log(Date.now())`);
  await new Promise((resolve) => setTimeout(resolve, 400));
  const freed = Date.now();
  release();
  assert(Number((await other).stdout) >= freed);
});

test('a process that dies gives its locks back', async () => {
  const place = join(folder, 'crash');
  const store = await FileStore.open(place);
  const child = spawn(process.execPath, script(place, `await store.lock('one', 3600); console.log('held'); setInterval(() => {}, 1000);`), { cwd });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  (await store.lock('one', 30))();
});

test('names of any characters are names of files, and strangers\' files are no sessions', async () => {
  const place = join(folder, 'names');
  const store = await FileStore.open(place);
  for (const name of ['../../etc/passwd', 'a/b', '.', '..', 'ümläut', '💥', 'x'.repeat(2000), "it's (fine)!*~"]) {
    assert.equal(await store.save(`session/${name}`, undefined, 1, name), true);
    assert.deepEqual(await store.load(`session/${name}`), { version: 1, value: name });
    assert.equal(await store.save(`session/${name}`, undefined, 2, name), false);
    assert.equal(await store.save(`session/${name}`, 1, 2, undefined), true);
    assert.equal(await store.load(`session/${name}`), undefined);
  }
  assert.deepEqual(await readdir(join(place, 'session')), []);
  await writeFile(join(place, 'session', 'odd'), 'keybound 2 1\n{}');
  await assert.rejects(store.load('session/odd'), /no file of this program/);
  assert.deepEqual(await readdir(join(place, 'session')), ['odd'], 'a newer program wrote it');
});

test('a spoiled file is set aside and told once', async () => {
  const place = join(folder, 'spoiled');
  const store = await FileStore.open(place);
  for (const content of ['', 'something else', 'keybound 1 7', new Uint8Array([255])]) {
    await writeFile(join(place, 'session', 'work'), content);
    await assert.rejects(store.load('session/work'), /\.spoiled-work; log in again/);
    assert.equal(await store.load('session/work'), undefined);
    await writeFile(join(place, 'session', 'work'), content);
    await assert.rejects(store.save('session/work', undefined, 1, '{}'), /\.spoiled-work; log in again/);
    assert.deepEqual(await readdir(join(place, 'session')), ['.spoiled-work']);
    assert.equal(await store.save('session/work', undefined, 1, '{}'), true);
    assert.equal(await store.save('session/work', 1, 2, undefined), true);
  }
});

test('a key is read from its file each time, and another one under its name is noticed', async () => {
  const place = join(folder, 'keys');
  const store = await FileStore.open(place);
  const [key, other] = [Key.generate(), Key.generate()];
  const thumbprint = await store.addKey(key);
  const signing = { thumbprint, for: 'proof', algorithm: 'ES256', message: new Uint8Array([1]), digest: undefined };
  assert.equal((await store.sign(signing)).bytes.length, 64);
  const path = join(place, 'key', thumbprint);
  await writeFile(path, JSON.stringify(other.dangerPrivateJwk()));
  await assert.rejects(store.sign(signing), { name: 'KeyFault', fault: 'changed' });
  await writeFile(path, 'no key');
  await assert.rejects(store.sign(signing), { name: 'KeyFault', fault: 'unreadable' });
  await store.deleteKey(thumbprint);
  await store.deleteKey(thumbprint);
  await assert.rejects(store.sign(signing), { name: 'KeyFault', fault: 'missing' });
});

test('a folder that is another user\'s is refused, whoever may read it', { skip: process.geteuid?.() !== 0 && 'only root can give a folder away' }, async () => {
  const place = join(folder, 'foreign');
  await FileStore.open(place);
  await chown(place, 65_534, 65_534);
  await assert.rejects(FileStore.open(place), /belongs to user 65534, not to user 0/);
  await chown(place, 0, 0);
  await chown(join(place, 'key'), 65_534, 65_534);
  await assert.rejects(FileStore.open(place), /key is to hold tokens and belongs to user 65534/);
});

test('links are not followed: the folder, those in it, files and locks', { skip: process.platform === 'win32' }, async () => {
  const elsewhere = join(folder, 'elsewhere');
  await mkdir(elsewhere, { mode: 0o700 });
  const linked = join(folder, 'linked');
  await symlink(elsewhere, linked);
  await assert.rejects(FileStore.open(linked), /is a link/);
  assert.deepEqual(await readdir(elsewhere), [], 'nothing is made where it leads');

  const place = join(folder, 'links');
  const store = await FileStore.open(place);
  await rename(join(place, 'key'), join(folder, 'keys-elsewhere'));
  await symlink(join(folder, 'keys-elsewhere'), join(place, 'key'));
  await assert.rejects(FileStore.open(place), /key is a link/);

  const bait = join(folder, 'bait');
  await writeFile(bait, 'keybound 1 1\n{}');
  await symlink(bait, join(place, 'session', 'work'));
  await assert.rejects(store.load('session/work'), /is a link/);
  await symlink(join(folder, 'made-by-a-lock'), join(place, 'lock', 'one'));
  await assert.rejects(store.lock('one', 1));
  await assert.rejects(lstat(join(folder, 'made-by-a-lock')), { code: 'ENOENT' });
});

/** Makes a file look as if it had last been changed that many seconds ago. */
const age = async (seconds, ...parts) => {
  const at = new Date(Date.now() - seconds * 1000);
  await utimes(join(...parts), at, at);
};

const ISSUER = 'https://as.example.com';
/** An authorization server behind `fetch`. */
const answers = async (url) => {
  const { pathname } = new URL(url);
  const metadata = {
    issuer: ISSUER, token_endpoint: `${ISSUER}/token`, authorization_endpoint: `${ISSUER}/authorize`, response_types_supported: ['code'],
    grant_types_supported: ['authorization_code', 'client_credentials'], token_endpoint_auth_methods_supported: ['client_secret_basic'],
    dpop_signing_alg_values_supported: ['ES256'], code_challenge_methods_supported: ['S256'],
  };
  const body = pathname === '/token' ? { access_token: 'a', token_type: 'DPoP', expires_in: 3_600 } : metadata;
  return new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
};
const clientOf = (store) => new Client({
  level: 'enhanced', redirectUri: 'https://app.example.com/back', credentials: [{ issuer: ISSUER, clientId: 'app', method: 'secret', secret: 's' }],
}, store, { fetch: answers });
const request = async (client) => ({ session: 'work', discovered: await client.discoverIssuer(ISSUER), resource: 'https://api.example.com' });

test('a login that nobody completed takes its key with it', async () => {
  const place = join(folder, 'forgotten');
  const client = clientOf(await FileStore.open(place));
  await client.authorize(await request(client));
  const [[login], [key]] = await Promise.all(['login', 'key'].map((kind) => readdir(join(place, kind))));
  await FileStore.open(place);
  assert.deepEqual(await readdir(join(place, 'key')), [key], 'one that is under way stays');
  for (const name of [['login', login], ['key', key]]) await age(3_601, place, ...name);
  await FileStore.open(place);
  for (const kind of ['login', 'key', 'made']) assert.deepEqual([kind, await readdir(join(place, kind))], [kind, []]);
});

test('a key that no session and no login names is found and removed; one of the program\'s own stays', async () => {
  const place = join(folder, 'unnamed');
  const store = await FileStore.open(place);
  const client = clientOf(store);
  const session = await client.clientCredentials(await request(client));
  const own = await store.addKey(Key.generate());
  const { publicJwk } = await store.createKey(['ES256'], ['software']);
  const lost = thumbprint(publicJwk);
  const keys = () => readdir(join(place, 'key'));
  for (const name of await keys()) await age(7_201, place, 'key', name);
  const bad = join(place, 'session', 'bad');
  await writeFile(bad, 'something else');
  await FileStore.open(place);
  assert.equal((await keys()).length, 3, 'what cannot be read may name any key');
  await rm(bad);
  await FileStore.open(place);
  assert.deepEqual((await keys()).sort(), [own, session.thumbprint].sort());
  assert(!(await keys()).includes(lost));
  assert.equal((await clientOf(store).open('work')).thumbprint, session.thumbprint);
});

test('writes that broke off are removed with the secret in them', async () => {
  const place = join(folder, 'unfinished');
  await FileStore.open(place);
  for (const kind of ['session', 'key']) {
    for (const name of ['.new-old', '.new-young']) await writeFile(join(place, kind, name), 'secret');
    await age(3_601, place, kind, '.new-old');
  }
  const mark = join(place, 'made', thumbprint(Key.generate().publicJwk));
  await writeFile(mark, '');
  await age(3_601, mark);
  await FileStore.open(place);
  for (const kind of ['session', 'key']) assert.deepEqual(await readdir(join(place, kind)), ['.new-young']);
  assert.deepEqual(await readdir(join(place, 'made')), []);
});

test('stores that stay open remove forgotten keys too, in memory and in files', async (context) => {
  const place = join(folder, 'open');
  for (const store of [new MemoryStore(), await FileStore.open(place)]) {
    const { publicJwk } = await store.createKey(['ES256'], ['software']);
    const lost = thumbprint(publicJwk);
    const own = await store.addKey(Key.generate());
    const sign = (thumbprint) => store.sign({ thumbprint, for: 'proof', algorithm: 'ES256', message: new Uint8Array([1]), digest: undefined });
    const signed = await sign(lost);
    assert.equal(signed.bytes.length, 64);
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() + 7_201_000 });
    const fresh = thumbprint((await store.createKey(['ES256'], ['software'])).publicJwk);
    context.mock.timers.reset();
    await assert.rejects(sign(lost), { fault: 'missing' });
    await Promise.all([own, fresh].map(sign));
  }
});
