/** Keys and sessions in a folder: one file for each, readable by its owner alone. */

import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { native } from '#native';
import type { Algorithm, CreatedKey, Protection, Signed, Signing, Store, Stored } from './drive.js';
import { KeyFault } from './drive.js';
import { misuse } from './errors.js';
import { Key } from './key.js';
import type { NativeSweep } from './native.js';
import { systemNow } from './http.js';
import { generate } from './memory.js';
import { SWEEP_EVERY, swept } from './sweep.js';
import { Patience, Turns } from './turns.js';

/** What the first line of each stored value begins with; the version follows. */
const MAGIC = 'keybound 1 ';
/** The longest stored value, in bytes. */
const MAX_LEN = 4 * 1024 * 1024;
/** For how long a change waits for those before it, in seconds: each takes a few milliseconds. */
const SAVE_LEASE = 30;
/** The longest name of a file that is readable; longer ones are hashed. */
const MAX_NAME_LEN = 120;
/** Opens no file that a link leads to. Windows has no such flag. */
const NO_LINKS = constants.O_NOFOLLOW ?? 0;
const FOLDERS = ['session', 'login', 'registration', 'key', 'made', 'lock'];
/** Those of them whose files are replaced as a whole. A write that broke off leaves one with a secret in it. */
const REPLACED = ['session', 'login', 'registration', 'key', 'made'];
const UNFINISHED = '.new-';

/**
 * Sessions and software keys in a folder, in the files that the Rust library and the program `keybound` write.
 *
 * The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
 * Processes that share the folder take turns by locks of the operating system, which ends them with the process.
 */
export class FileStore implements Store {
  readonly #folder: string;
  readonly #turns = new Turns();
  #sweptAt = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Opens a folder, making it if it is not there. It has to belong to the user that this process runs as, and links are not followed.
   *
   * @throws Error, if it cannot be made, is another user's, or others than its owner may look into it
   */
  static async open(folder: string): Promise<FileStore> {
    if (native().tryLock === undefined) {
      throw misuse('no_file_locks', 'files are locked by the addon, which this platform has none of; use a Store of your own');
    }
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await checkPrivate(folder);
    for (const name of FOLDERS) {
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
      await checkPrivate(join(folder, name));
    }
    const store = new FileStore(folder);
    await store.#sweep();
    return store;
  }

  /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
  async addKey(key: Key): Promise<string> {
    await this.#keep(key);
    await rm(join(this.#folder, 'made', fileName(key.thumbprint)), { force: true });
    return key.thumbprint;
  }

  /** The names of all stored sessions. */
  async sessions(): Promise<string[]> {
    const names = await readdir(join(this.#folder, 'session'));
    return names.filter((name) => !name.startsWith('.')).map(decodeURIComponent).sort();
  }

  async createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey> {
    if (systemNow() - this.#sweptAt >= SWEEP_EVERY) await this.#sweep();
    const key = await generate(algorithms, protections);
    // The mark is first: a key without one is taken for the program's own, and stays.
    await this.#replace('made', key.thumbprint, '');
    await this.#keep(key);
    return { publicJwk: key.publicJwk, algorithm: key.algorithm, protection: 'software' };
  }

  async deleteKey(thumbprint: string): Promise<void> {
    for (const kind of ['key', 'made']) await rm(join(this.#folder, kind, fileName(thumbprint)), { force: true });
  }

  async sign({ thumbprint, algorithm, message }: Signing): Promise<Signed> {
    let key: Key;
    try {
      const jwk = await read(join(this.#folder, 'key', fileName(thumbprint)));
      if (jwk === undefined) throw new KeyFault('missing');
      key = Key.fromJwk(jwk, algorithm);
    } catch (cause) {
      throw cause instanceof KeyFault ? cause : new KeyFault('unreadable', (cause as Error).message, { cause });
    }
    if (key.thumbprint !== thumbprint) throw new KeyFault('changed');
    return { bytes: key.sign(message), encoding: 'raw' };
  }

  async load(slot: string): Promise<Stored | undefined> {
    return readStored(join(this.#folder, ...place(slot)));
  }

  async save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean> {
    // One lock file for all logins: each has a name of its own, which is never used again.
    const release = await this.lock(`save/${slot.startsWith('login/') ? 'login/' : slot}`, SAVE_LEASE);
    try {
      if ((await this.load(slot))?.version !== expected) return false;
      const [kind, name] = place(slot);
      if (value === undefined) await rm(join(this.#folder, kind, name), { force: true });
      else await this.#replace(kind, name, `${MAGIC}${version}\n${value}`);
      return true;
    } finally {
      release();
    }
  }

  async lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void> {
    const path = join(this.#folder, 'lock', fileName(name));
    const patience = new Patience(name, lease, signal);
    const release = await this.#turns.take(path, patience);
    try {
      for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
        const held = native().tryLock?.(path);
        if (held !== undefined && held !== null) {
          return () => {
            held.release();
            release();
          };
        }
        await patience.pause(wait);
      }
    } catch (error) {
      release();
      throw error;
    }
  }

  async #replace(kind: string, name: string, text: string): Promise<void> {
    const folder = join(this.#folder, kind);
    const fresh = join(folder, `${UNFINISHED}${randomBytes(9).toString('base64url')}`);
    try {
      const file = await open(fresh, 'wx', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, join(folder, name));
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
    await synced(folder);
  }

  #keep(key: Key): Promise<void> {
    return this.#replace('key', key.thumbprint, JSON.stringify(key.dangerPrivateJwk()));
  }

  /** Removes forgotten logins with their keys, and keys that nothing names. One process does it at a time, and what fails is tried again later. */
  async #sweep(): Promise<void> {
    this.#sweptAt = systemNow();
    const held = native().tryLock?.(join(this.#folder, 'lock', 'sweep'));
    if (held === undefined || held === null) return;
    try {
      await this.#removeUnfinished();
      const { slots, keys } = await swept((sweep) => this.#tell(sweep));
      for (const { slot, version } of slots) await this.save(slot, version, version + 1, undefined);
      for (const thumbprint of keys) await this.deleteKey(thumbprint);
    } catch {
      // A folder that cannot be swept can still be used.
    } finally {
      held.release();
    }
  }

  /** Names everything that is stored. What cannot be read is named too: it may be what names a key. */
  async #tell(sweep: NativeSweep): Promise<void> {
    for (const kind of ['session', 'login', 'registration']) {
      for (const name of await readdir(join(this.#folder, kind))) {
        if (name.startsWith('.')) continue;
        const path = join(this.#folder, kind, name);
        const changedAt = await changed(path);
        const stored = await readStored(path).catch((): Stored => ({ version: 0, value: '' }));
        if (changedAt !== undefined && stored !== undefined) sweep.stored(`${kind}/${named(name)}`, stored.version, stored.value || undefined, changedAt);
      }
    }
    for (const name of await readdir(join(this.#folder, 'made'))) {
      if (name.startsWith('.')) continue;
      const mark = join(this.#folder, 'made', name);
      const createdAt = await changed(join(this.#folder, 'key', name));
      if (createdAt !== undefined) sweep.key(name, createdAt);
      else if (systemNow() - ((await changed(mark)) ?? 0) >= SWEEP_EVERY) await rm(mark, { force: true });
    }
  }

  async #removeUnfinished(): Promise<void> {
    for (const kind of REPLACED) {
      for (const name of await readdir(join(this.#folder, kind))) {
        const path = join(this.#folder, kind, name);
        if (name.startsWith(UNFINISHED) && systemNow() - ((await changed(path)) ?? 0) >= SWEEP_EVERY) await rm(path, { force: true });
      }
    }
  }
}

/** When a file was last changed, in whole seconds; none if it is not there. */
async function changed(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(() => undefined);
  return found && Math.floor(found.mtimeMs / 1000);
}

/** The name of a slot behind its kind, from that of its file. */
function named(file: string): string {
  try {
    return decodeURIComponent(file);
  } catch {
    return file;
  }
}

/** What a file holds; none if there is no file. */
async function readStored(path: string): Promise<Stored | undefined> {
  const text = await read(path);
  if (text === undefined) return undefined;
  const end = text.indexOf('\n');
  const version = end > 0 && text.startsWith(MAGIC) ? Number(text.slice(MAGIC.length, end)) : Number.NaN;
  if (!Number.isSafeInteger(version)) throw new Error(`${path} is no file of this program; move it away`);
  return { version, value: text.slice(end + 1) };
}

/** The file's text; none if there is no file. */
async function read(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | NO_LINKS);
    try {
      if ((await file.stat()).size > MAX_LEN) throw new Error(`${path} is longer than any file of this program`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw code === 'ELOOP' ? new Error(`${path} is a link, and links are not followed; put the file in its place`, { cause: error }) : error;
  }
}

/** Refuses a folder whose files others can read or exchange: what it is given would be theirs. */
async function checkPrivate(folder: string): Promise<void> {
  const found = await lstat(folder);
  if (found.isSymbolicLink()) throw new Error(`${folder} is a link and is to hold tokens; give the folder that it leads to`);
  if (!found.isDirectory()) throw new Error(`${folder} is not a folder`);
  const user = process.geteuid?.();
  if (user === undefined) return;
  if (found.uid !== user) {
    throw new Error(`${folder} is to hold tokens and belongs to user ${found.uid}, not to user ${user}, as whom this process runs; give a folder of that user's`);
  }
  if ((found.mode & 0o077) !== 0) throw new Error(`${folder} can be read by others and is to hold tokens; run: chmod 700 ${folder}`);
}

/** A renamed file is durable when its folder is. */
async function synced(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const file = await open(folder, constants.O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function place(slot: string): [kind: string, name: string] {
  const at = slot.indexOf('/');
  return at < 0 ? ['session', fileName(slot)] : [slot.slice(0, at), fileName(slot.slice(at + 1))];
}

/** A name that every file system takes: percent-encoded, or hashed where that is too long. */
function fileName(text: string): string {
  const encode = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  const plain = encodeURIComponent(text).replace(/[.!~*'()]/g, encode);
  return plain.length <= MAX_NAME_LEN ? plain : createHash('sha256').update(text).digest('base64url');
}
