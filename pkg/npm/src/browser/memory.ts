// Keys and sessions in the memory of this page, for where there is no IndexedDB.

import type { NativeSweep } from '../native.js';
import type { Backend, Change, Stored, StoredKey } from './storage.js';

interface Slot extends Stored {
  readonly at: number;
}

/** A backend that forgets when the page is left. */
export class Memory implements Backend {
  readonly #slots = new Map<string, Slot>();
  readonly #keys = new Map<string, StoredKey>();

  async load(slot: string): Promise<Stored | null> {
    return this.#slots.get(slot) ?? null;
  }

  async save({ slot, expected, version, value }: Change): Promise<boolean> {
    if ((this.#slots.get(slot)?.version ?? null) !== expected) return false;
    if (value === null) this.#slots.delete(slot);
    else this.#slots.set(slot, { version, value, at: Date.now() });
    return true;
  }

  async key(thumbprint: string): Promise<StoredKey | null> {
    return this.#keys.get(thumbprint) ?? null;
  }

  async putKey(key: StoredKey): Promise<void> {
    this.#keys.set(key.thumbprint, key);
  }

  async deleteKey(thumbprint: string): Promise<void> {
    this.#keys.delete(thumbprint);
  }

  async tell(sweep: NativeSweep): Promise<void> {
    for (const [name, { version, value, at }] of this.#slots) sweep.stored(name, version, value, at / 1000);
    for (const { thumbprint, at } of this.#keys.values()) if (at !== undefined) sweep.key(thumbprint, at / 1000);
  }

  async clear(session: string): Promise<void> {
    this.#slots.delete(`session/${session}`);
    if ([...this.#slots.keys()].some((name) => name.startsWith('session/'))) return;
    this.#slots.clear();
    this.#keys.clear();
  }
}
