// Keys and sessions in IndexedDB, where all tabs of an origin find them and where they outlive the page.

import type { NativeSweep } from '../native.js';
import type { Backend, Change, Stored, StoredKey } from './storage.js';

const SLOTS = 'slots';
const KEYS = 'keys';

interface Slot extends Stored {
  /** When it was stored, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * Opens a database, made anew if there is none.
 *
 * Rejects where there is no IndexedDB or it may not be used.
 */
export async function openDatabase(name: string): Promise<Backend> {
  const database = new Database(name);
  await database.connect();
  return database;
}

class Database implements Backend {
  readonly #name: string;
  #open: Promise<IDBDatabase> | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  connect(): Promise<IDBDatabase> {
    this.#open ??= this.#connect();
    return this.#open;
  }

  #connect(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      // Reading the global throws where storage is blocked.
      const request = globalThis.indexedDB.open(this.#name, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(SLOTS);
        request.result.createObjectStore(KEYS, { keyPath: 'thumbprint' });
      };
      request.onblocked = () => reject(new Error('another tab holds the database open'));
      request.onerror = () => reject(request.error ?? new Error('it does not open'));
      request.onsuccess = () => {
        const database = request.result;
        // Whoever deletes the database (a user who clears the site's data) need not wait for this tab.
        database.onversionchange = () => this.#forget(database);
        database.onclose = () => this.#forget(database);
        resolve(database);
      };
    });
  }

  #forget(database: IDBDatabase): void {
    database.close();
    this.#open = null;
  }

  /** One transaction; resolves when it is complete, and aborts it if `work` throws. */
  async #transact<T>(mode: IDBTransactionMode, work: (slots: IDBObjectStore, keys: IDBObjectStore) => Promise<T>): Promise<T> {
    const database = await this.connect();
    // Strict: a rotated refresh token that is lost ends the session.
    const transaction = database.transaction([SLOTS, KEYS], mode, { durability: 'strict' });
    const complete = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      const failed = () => reject(transaction.error ?? new Error('the database gave up'));
      transaction.onabort = failed;
      transaction.onerror = failed;
    });
    // Awaited below; until then a failure is not unhandled.
    complete.catch(() => undefined);
    try {
      const result = await work(transaction.objectStore(SLOTS), transaction.objectStore(KEYS));
      await complete;
      return result;
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended already.
      }
      throw error;
    }
  }

  load(slot: string): Promise<Stored | null> {
    return this.#transact('readonly', async (slots) => {
      const stored = await answer<Slot | undefined>(slots.get(slot));
      return stored === undefined ? null : { version: stored.version, value: stored.value };
    });
  }

  save({ slot, expected, version, value }: Change): Promise<boolean> {
    return this.#transact('readwrite', async (slots) => {
      const stored = await answer<Slot | undefined>(slots.get(slot));
      if ((stored?.version ?? null) !== expected) return false;
      if (value === null) await answer(slots.delete(slot));
      else await answer(slots.put({ version, value, at: Date.now() } satisfies Slot, slot));
      return true;
    });
  }

  key(thumbprint: string): Promise<StoredKey | null> {
    return this.#transact('readonly', async (_, keys) => {
      return (await answer<StoredKey | undefined>(keys.get(thumbprint))) ?? null;
    });
  }

  putKey(key: StoredKey): Promise<void> {
    return this.#transact('readwrite', async (_, keys) => void (await answer(keys.put(key))));
  }

  deleteKey(thumbprint: string): Promise<void> {
    return this.#transact('readwrite', async (_, keys) => void (await answer(keys.delete(thumbprint))));
  }

  tell(sweep: NativeSweep): Promise<void> {
    return this.#transact('readonly', async (slots, keys) => {
      for (const name of await answer(slots.getAllKeys())) {
        const stored = await answer<Slot | undefined>(slots.get(name));
        if (stored !== undefined) sweep.stored(String(name), stored.version, stored.value, stored.at / 1000);
      }
      for (const { thumbprint, at } of await answer<StoredKey[]>(keys.getAll())) if (at !== undefined) sweep.key(thumbprint, at / 1000);
    });
  }

  clear(session: string): Promise<void> {
    return this.#transact('readwrite', async (slots, keys) => {
      await answer(slots.delete(`session/${session}`));
      const sessions = await answer(slots.count(IDBKeyRange.bound('session/', 'session0', false, true)));
      if (sessions > 0) return;
      await answer(slots.clear());
      await answer(keys.clear());
    });
  }
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the database gave no answer'));
  });
}
