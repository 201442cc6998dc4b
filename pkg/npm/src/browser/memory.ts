// Keys and sessions in the memory of this page, for where there is no IndexedDB.

import type { Backend, Change, Stored, StoredKey } from './storage.js';

interface Slot extends Stored {
  readonly at: number;
  readonly key: string | null;
}

/** A backend that forgets when the page is left. */
export class Memory implements Backend {
  readonly #slots = new Map<string, Slot>();
  readonly #keys = new Map<string, StoredKey>();

  async load(slot: string): Promise<Stored | null> {
    return this.#slots.get(slot) ?? null;
  }

  async save({ slot, expected, version, value, key }: Change): Promise<boolean> {
    if ((this.#slots.get(slot)?.version ?? null) !== expected) return false;
    if (value === null) this.#slots.delete(slot);
    else this.#slots.set(slot, { version, value, key, at: Date.now() });
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

  async sweep(before: number): Promise<void> {
    for (const [name, slot] of this.#slots) {
      if (!name.startsWith('login/') || slot.at >= before) continue;
      this.#slots.delete(name);
      if (slot.key !== null) this.#keys.delete(slot.key);
    }
  }

  async wipe(session: string): Promise<void> {
    await this.sweep(Infinity);
    this.#slots.delete(`session/${session}`);
    if ([...this.#slots.keys()].some((name) => name.startsWith('session/'))) return;
    this.#slots.clear();
    this.#keys.clear();
  }
}
