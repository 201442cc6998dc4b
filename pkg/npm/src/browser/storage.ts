// Where keys and sessions are kept: IndexedDB, or the page's memory where there is none.

import type { NativeSweep, Swept } from '../native.js';
import { openDatabase } from './indexeddb.js';
import { Memory } from './memory.js';

/** A stored value and the version it was stored with. The value is a secret. */
export interface Stored {
  readonly version: number;
  readonly value: string;
}

/** A key pair of WebCrypto under its SHA-256 thumbprint (RFC 7638). The private key cannot be exported. */
export interface StoredKey {
  readonly thumbprint: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** When it was made, in milliseconds since 1970. Keys of earlier versions do not say. */
  readonly at?: number;
}

/** What is to be stored in a slot, if it still has the expected version. */
export interface Change {
  readonly slot: string;
  /** The version that must be there now; null if nothing may be. */
  readonly expected: number | null;
  readonly version: number;
  /** Null deletes. */
  readonly value: string | null;
}

/** Slots with compare-and-set, and keys. */
export interface Backend {
  load(slot: string): Promise<Stored | null>;
  /** Whether it was stored: false if the slot has another version. Durable when the promise resolves. */
  save(change: Change): Promise<boolean>;
  key(thumbprint: string): Promise<StoredKey | null>;
  putKey(key: StoredKey): Promise<void>;
  deleteKey(thumbprint: string): Promise<void>;
  /** Tells the core everything that is stored, one value at a time. */
  tell(sweep: NativeSweep): Promise<void>;
  /** Deletes the session of this name; where no other one is left, everything. */
  clear(session: string): Promise<void>;
}

/**
 * Keys, sessions and pending logins of one database.
 *
 * Where IndexedDB cannot be used, or cannot hold keys (some private windows), everything is kept in this page's memory and is
 * gone when it is left; `kind` and `reason` say so.
 */
export class Storage {
  readonly #name: string;
  readonly #onDegrade: () => void;
  #backend: Promise<Backend> | null = null;
  #left: Backend | null = null;
  #reason: string | null = null;

  constructor(name: string, onDegrade: () => void) {
    this.#name = name;
    this.#onDegrade = onDegrade;
  }

  /** `memory` once IndexedDB has failed; known after the first use. */
  get kind(): 'indexeddb' | 'memory' {
    return this.#reason === null ? 'indexeddb' : 'memory';
  }

  /** Why IndexedDB is not used; null if it is. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Opens the database, or decides for memory. */
  open(): Promise<Backend> {
    this.#backend ??= openDatabase(this.#name).catch((error: unknown) => this.#degrade(error));
    return this.#backend;
  }

  async load(slot: string): Promise<Stored | null> {
    return (await this.open()).load(slot);
  }

  async save(change: Change): Promise<boolean> {
    return (await this.open()).save(change);
  }

  async key(thumbprint: string): Promise<StoredKey | null> {
    return (await this.open()).key(thumbprint);
  }

  async putKey(key: StoredKey): Promise<void> {
    const backend = await this.open();
    try {
      await backend.putKey(key);
    } catch (error) {
      // A database that holds no keys is no place for a session either.
      if (backend instanceof Memory) throw error;
      this.#left = backend;
      const memory = this.#degrade(error);
      this.#backend = Promise.resolve(memory);
      await memory.putKey(key);
    }
  }

  async deleteKey(thumbprint: string): Promise<void> {
    await (await this.open()).deleteKey(thumbprint);
  }

  /** Deletes abandoned logins with their keys, and keys that nothing stored names. The core says which these are. */
  async sweep(sweep: NativeSweep): Promise<void> {
    const backend = await this.open();
    try {
      await backend.tell(sweep);
      const { slots, keys } = JSON.parse(sweep.finish()) as Swept;
      for (const { slot, version } of slots) await backend.save({ slot, expected: version, version, value: null });
      for (const key of keys) await backend.deleteKey(key);
    } finally {
      sweep.free?.();
    }
  }

  /** Deletes the session of this name, and what the sweep finds; where no other session is left, everything. */
  async wipe(session: string, sweep: NativeSweep): Promise<void> {
    await (await this.open()).clear(session);
    await this.sweep(sweep);
  }

  /**
   * The database that was left for memory: it may hold an older session, which the next page would find. Null where none was left, or
   * where it still cannot be opened.
   */
  async left(): Promise<Storage | null> {
    if (this.#reason === null) return null;
    const backend = this.#left ?? (await openDatabase(this.#name).catch(() => null));
    if (backend === null) return null;
    const storage = new Storage(this.#name, () => undefined);
    storage.#backend = Promise.resolve(backend);
    return storage;
  }

  #degrade(error: unknown): Memory {
    const why = error instanceof Error ? error.message : String(error);
    this.#reason = `IndexedDB cannot be used (${why}): key and session end with this page`;
    queueMicrotask(this.#onDegrade);
    return new Memory();
  }
}
