/** Reading and writing the files of a {@link FileStore} where there is no addon. The core says which, and what is in them. */

import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { ready } from '#native';
import type { Algorithm, Protection, Stored } from './drive.js';
import { misuse } from './errors.js';
import { Key } from './key.js';
import { generate } from './memory.js';
import type { Ended, NativeClientParts, NativeFileLock, NativeFileParts, NativeFiles, NativeKey, Place } from './native.js';

/** Opens no file that a link leads to. Windows has no such flag. */
const NO_LINKS = constants.O_NOFOLLOW ?? 0;

interface Rules {
  readonly folders: readonly string[];
  readonly max_len: number;
  readonly unfinished: string;
  readonly spoiled: string;
  readonly sweep_lock: string;
}

/** A folder as the addon's `Files` has it. */
export class Folder implements NativeFiles {
  readonly #folder: string;
  readonly #core: NativeClientParts & NativeFileParts;
  readonly #rules: Rules;
  #sweptAt = 0;

  private constructor(folder: string, core: NativeClientParts & NativeFileParts) {
    this.#folder = folder;
    this.#core = core;
    this.#rules = JSON.parse(core.fileRules()) as Rules;
  }

  static async open(folder: string, core: NativeClientParts & NativeFileParts, now: number): Promise<Folder> {
    await ready();
    const opened = new Folder(folder, core);
    for (const path of [folder, ...opened.#rules.folders.map((name) => join(folder, name))]) {
      await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
        // It may be a link that leads nowhere.
        if (error.code !== 'EEXIST') throw error;
      });
      await checkPrivate(path);
    }
    await opened.#sweep(now);
    return opened;
  }

  async addKey(jwk: string): Promise<void> {
    const key = Key.fromJwk(jwk);
    await this.#replace('key', key.thumbprint, jwk);
    await rm(join(this.#folder, 'made', key.thumbprint), { force: true });
  }

  async createKey(algorithms: string[], protections: string[], now: number): Promise<NativeKey> {
    if (this.#core.isSweepDue(this.#sweptAt, now)) await this.#sweep(now);
    const key = await generate(algorithms as Algorithm[], protections as Protection[]);
    // The mark is first: a key without one is taken for the program's own, and stays.
    await this.#replace('made', key.thumbprint, '');
    await this.#replace('key', key.thumbprint, JSON.stringify(key.dangerPrivateJwk()));
    return Key._nativeOf(key);
  }

  async deleteKey(thumbprint: string): Promise<void> {
    await this.#remove({ folder: 'key', file: this.#core.fileName(thumbprint), beside: 'made' });
  }

  async sign(thumbprint: string, algorithm: string, message: Uint8Array): Promise<Uint8Array> {
    let key: Key;
    try {
      const jwk = await this.#read(join(this.#folder, 'key', this.#core.fileName(thumbprint)));
      if (jwk === undefined) throw unusable('missing', '');
      key = Key.fromJwk(jwk, algorithm as Algorithm);
    } catch (error) {
      const { message } = error as Error;
      throw message.startsWith('{"fault":') ? error : unusable('unreadable', message);
    }
    if (key.thumbprint !== thumbprint) throw unusable('changed', '');
    return key.sign(message);
  }

  async sessions(): Promise<string[]> {
    const names = await readdir(join(this.#folder, 'session'));
    const texts = names.map((name) => this.#core.textOfFileName(name)).filter((name) => typeof name === 'string');
    // As the Rust crate sorts them: by their bytes, not by halves of surrogate pairs.
    return texts.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  }

  async load(slot: string): Promise<Stored | undefined> {
    const place = JSON.parse(this.#core.filePlace(slot)) as Place;
    try {
      return await this.#stored(place);
    } catch (error) {
      // Another task may have replaced it meanwhile.
      await this.#locked(place.lock, () => this.#setAside(place));
      throw error;
    }
  }

  async trySave(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean | undefined> {
    const place = JSON.parse(this.#core.filePlace(slot)) as Place;
    return this.#locked(place.lock, async () => {
      await this.#setAside(place);
      if ((await this.#stored(place))?.version !== expected) return false;
      if (value === undefined) await this.#remove(place);
      else await this.#replace(place.folder, place.file, this.#core.fileContent(version, value));
      return true;
    });
  }

  tryLock(name: string): Promise<NativeFileLock | undefined> {
    return tryLock(join(this.#folder, 'lock', this.#core.fileName(name)));
  }

  async #locked<T>(name: string, act: () => Promise<T>): Promise<T | undefined> {
    const held = await this.tryLock(name);
    if (held === undefined) return undefined;
    try {
      return await act();
    } finally {
      held.release();
    }
  }

  async #stored({ folder, file }: Place | Ended): Promise<Stored | undefined> {
    const path = join(this.#folder, folder, file);
    const text = await this.#read(path);
    if (text === undefined) return undefined;
    const version = this.#core.fileVersion(text);
    if (typeof version !== 'number') throw new Error(`${path} is no file of this program; move it away`);
    return { version, value: text.slice(text.indexOf('\n') + 1) };
  }

  /** Renames a file that is spoiled, under the lock of its place, and tells of it by an error. */
  async #setAside({ folder, file }: Place): Promise<void> {
    const [path, aside] = [join(this.#folder, folder, file), join(this.#folder, folder, `${this.#rules.spoiled}${file}`)];
    const text = await this.#read(path).catch((error: Error) => (error.cause instanceof TypeError ? '' : Promise.reject(error)));
    if (text === undefined || !this.#core.isFileSpoiled(text)) return;
    await rename(path, aside);
    throw new Error(`${path} is empty, cut or no file of this program, and was moved to ${aside}; log in again, and delete it`);
  }

  /** The file's text; none if there is no file. */
  async #read(path: string): Promise<string | undefined> {
    try {
      const file = await open(path, constants.O_RDONLY | NO_LINKS);
      try {
        if ((await file.stat()).size > this.#rules.max_len) throw new Error(`${path} is longer than 4 MiB, which no file of this program is`);
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await file.readFile());
      } finally {
        await file.close();
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      if (error instanceof TypeError) throw new Error(`${path} is no file of this program; move it away`, { cause: error });
      throw code === 'ELOOP' ? new Error(`${path} is a link, which is not followed; put the file itself in its place`, { cause: error }) : error;
    }
  }

  async #replace(kind: string, name: string, text: string): Promise<void> {
    const folder = join(this.#folder, kind);
    const fresh = join(folder, `${this.#rules.unfinished}${randomBytes(9).toString('base64url')}`);
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
    if (process.platform === 'win32') return;
    // A renamed file is durable when its folder is.
    const parent = await open(folder, constants.O_RDONLY);
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
  }

  async #remove({ folder, file, beside }: { readonly folder: string; readonly file: string; readonly beside?: string }): Promise<void> {
    for (const place of beside === undefined ? [folder] : [folder, beside]) await rm(join(this.#folder, place, file), { force: true });
  }

  /** Deletes what has ended. One process does it at a time, and what fails is tried again later. */
  async #sweep(now: number): Promise<void> {
    this.#sweptAt = now;
    const held = await this.tryLock(this.#rules.sweep_lock);
    if (held === undefined) return;
    const sweep = new this.#core.FolderSweep!(now);
    try {
      for (const folder of this.#rules.folders) await this.#tell(sweep, folder);
      for (const ended of JSON.parse(sweep.finish()) as Ended[]) {
        if (ended.lock === undefined) await this.#remove(ended);
        else await this.#locked(ended.lock, () => this.#end(ended));
      }
    } catch {
      // A folder that cannot be swept can still be used.
    } finally {
      held.release();
    }
  }

  async #tell(sweep: InstanceType<NonNullable<NativeFileParts['FolderSweep']>>, folder: string): Promise<void> {
    for (const name of await readdir(join(this.#folder, folder))) {
      const path = join(this.#folder, folder, name);
      const found = await lstat(path).catch(() => undefined);
      if (found === undefined) continue;
      const modified = Math.floor(found.mtimeMs / 1000);
      const what = sweep.found(folder, name, modified);
      if (what === 'delete') await rm(path, { force: true });
      if (what !== 'read') continue;
      const content = await this.#read(path).catch(() => null);
      if (content !== undefined) sweep.content(folder, name, content ?? undefined, modified);
    }
  }

  async #end(ended: Ended): Promise<void> {
    const stored = await this.#stored(ended).catch(() => ({ version: 0 }));
    if (stored?.version === ended.version) await this.#remove(ended);
  }
}

function unusable(fault: string, detail: string): Error {
  return new Error(JSON.stringify({ fault, detail }));
}

/** Refuses a folder whose files others can read or exchange: what it is given would be theirs. */
async function checkPrivate(folder: string): Promise<void> {
  const found = await lstat(folder);
  if (found.isSymbolicLink()) {
    const target = await realpath(folder).then((path) => `: ${path}`, () => '');
    throw misuse('folder_linked', `${folder} is a link, which is not followed, and is to hold tokens; name the folder itself${target}`);
  }
  if (!found.isDirectory()) throw misuse('not_a_folder', `${folder} is not a folder; name one that is`);
  const user = process.geteuid?.();
  if (user === undefined) return;
  if (found.uid !== user) {
    const whose = `belongs to user ${found.uid}, not to user ${user}, as whom this process runs`;
    throw misuse('folder_foreign', `${folder} is to hold tokens and ${whose}; name a folder of that user, or run: chown -R ${user} ${folder}`);
  }
  if ((found.mode & 0o077) !== 0) {
    throw misuse('folder_readable', `${folder} can be read by others and is to hold tokens; run: chmod 700 ${folder}`);
  }
}

/**
 * Programs that take the system's lock on the file that is open as 3, or end with 1 if it is held. The lock belongs to the open file, which
 * this process shares with the program and keeps.
 */
const LOCKERS: readonly (readonly [program: string, ...options: string[]])[] = [
  ['flock', '-x', '-n', '3'],
  ['perl', '-MFcntl=:flock', '-MErrno', '-e', 'open(my $f, "+<&=", 3) or exit 2; exit(flock($f, LOCK_EX | LOCK_NB) ? 0 : $!{EWOULDBLOCK} ? 1 : 2)'],
];

/** Takes the lock on a file, if no one has it. JavaScript alone cannot, so another program does. */
async function tryLock(path: string): Promise<NativeFileLock | undefined> {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | NO_LINKS, 0o600);
  let isTaken = false;
  try {
    for (const [program, ...options] of LOCKERS) {
      const code = await ended(program, options, file);
      isTaken = code === 0;
      if (code === 0) return { release: () => closeSync(file) };
      if (code === 1) return undefined;
    }
  } finally {
    if (!isTaken) closeSync(file);
  }
  throw misuse('no_file_locks', 'files are locked by the addon, or else by the programs flock or perl, which this system has none of; use a Store of your own');
}

/** How a program ends; none if there is no such program. */
function ended(program: string, options: readonly string[], file: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, options, { stdio: ['ignore', 'ignore', 'ignore', file] });
    child.once('error', () => resolve(undefined));
    child.once('exit', (code) => resolve(code ?? undefined));
  });
}
