/** Keys and sessions in a folder: one file for each, readable by its owner alone. */

import type { Algorithm, CreatedKey, Protection, PublicJwk, Signed, Signing, Store, Stored } from './drive.js';
import { KeyFault } from './drive.js';
import { HostFailed, KeyboundError, decoded } from './errors.js';
import { checkInstance } from './copies.js';
import { Folder } from './folder.js';
import { systemNow } from './http.js';
import { Key } from './key.js';
import type { NativeClientParts, NativeFileParts, NativeFiles } from './native.js';
import { clientParts } from './sweep.js';
import { checkStrings } from './options.js';
import { Patience, Turns } from './turns.js';

/**
 * Sessions and software keys in a folder, in the files that the Rust library, the program `keybound` and the packages of other languages
 * write. The addon reads and writes them on other threads; without it this package does, with the same names, contents and locks.
 *
 * The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
 * Processes that share the folder take turns by locks of the operating system, which ends them with the process.
 *
 * What the operating system refuses is `HostFailed` with the reason `file`. A session's file that is empty or cut is set aside: the error
 * names its new place, and the next call finds nothing, so that a new login works.
 */
export class FileStore implements Store {
  readonly #files: NativeFiles;
  readonly #core: NativeFileParts;
  readonly #turns = new Turns();

  private constructor(files: NativeFiles, core: NativeFileParts) {
    this.#files = files;
    this.#core = core;
  }

  /**
   * Opens a folder, making it if it is not there. It has to belong to the user that this process runs as, and links are not followed.
   *
   * @throws Misuse, if it is another user's, a link, or others than its owner may look into it; an error, if it cannot be made
   */
  static async open(folder: string): Promise<FileStore> {
    checkStrings('FileStore.open', { folder: folder ?? null }, "write FileStore.open('./sessions')");
    const core = (await clientParts()) as NativeClientParts & NativeFileParts;
    const opened = core.Files === undefined ? Folder.open(folder, core, systemNow()) : core.Files.open(folder, systemNow());
    return new FileStore(await opened.catch(failed), core);
  }

  /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
  async addKey(key: Key): Promise<string> {
    checkInstance('what addKey takes', key, Key, 'make one with Key.generate()');
    await this.#files.addKey(JSON.stringify(key.dangerPrivateJwk())).catch(failed);
    return key.thumbprint;
  }

  /** The names of all stored sessions. */
  async sessions(): Promise<string[]> {
    return this.#files.sessions().catch(failed);
  }

  async createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey> {
    const key = await this.#files.createKey([...algorithms], [...protections], systemNow()).catch(failed);
    return { publicJwk: JSON.parse(key.publicJwk()) as PublicJwk, algorithm: key.algorithm() as Algorithm, protection: 'software' };
  }

  async deleteKey(thumbprint: string): Promise<void> {
    await this.#files.deleteKey(thumbprint).catch(failed);
  }

  async sign({ thumbprint, algorithm, message }: Signing): Promise<Signed> {
    try {
      return { bytes: await this.#files.sign(thumbprint, algorithm, message), encoding: 'raw' };
    } catch (thrown) {
      if (!(thrown instanceof Error) || !thrown.message.startsWith('{"fault":')) throw fault(thrown);
      const told = JSON.parse(thrown.message) as { fault: KeyFault['fault']; detail: string };
      throw new KeyFault(told.fault, told.detail || told.fault);
    }
  }

  async load(slot: string): Promise<Stored | undefined> {
    return (await this.#files.load(slot).catch(failed)) ?? undefined;
  }

  async save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean> {
    const { lock } = JSON.parse(this.#core.filePlace(slot)) as { lock: string };
    const patience = new Patience(lock, (JSON.parse(this.#core.fileRules()) as { save_lease: number }).save_lease, undefined);
    const end = await this.#turns.take(lock, patience);
    try {
      return await this.#waited(patience, () => this.#files.trySave(slot, expected, version, value));
    } finally {
      end();
    }
  }

  async lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void> {
    const patience = new Patience(name, lease, signal);
    const end = await this.#turns.take(name, patience);
    try {
      const held = await this.#waited(patience, () => this.#files.tryLock(name));
      return () => {
        held.release();
        end();
      };
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Tries until no other process is in the way. */
  async #waited<T>(patience: Patience, attempt: () => Promise<T | undefined | null>): Promise<T> {
    for (let attempts = 1; ; attempts += 1) {
      const found = await attempt().catch(failed);
      if (found !== undefined && found !== null) return found;
      await patience.pause(this.#core.lockPause(attempts));
    }
  }
}

function failed(thrown: unknown): never {
  throw fault(thrown);
}

/** As the addon tells it: what the operating system refuses is the host's fault `file`. */
function fault(thrown: unknown): unknown {
  const error = decoded(thrown);
  if (error instanceof KeyboundError || !(error instanceof Error)) return error;
  return new HostFailed({ reason: 'file', detail: error.message }, { cause: error });
}
