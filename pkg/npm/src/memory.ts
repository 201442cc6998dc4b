/** Keys and sessions in the memory of this process: for services that log in anew when they start, and for tests. */

import { checkCopy } from './copies.js';
import type { Algorithm, CreatedKey, Protection, Signed, Signing, Store, Stored } from './drive.js';
import { KeyFault } from './drive.js';
import { misuse, named } from './errors.js';
import { Key, thumbprint as thumbprintOf } from './key.js';
import type { Signer } from './key.js';
import { systemNow } from './http.js';
import { swept } from './sweep.js';
import { Patience, Turns } from './turns.js';
import { ready } from '#native';

/** The permitted algorithm that most servers know. */
const PREFERRED: readonly Algorithm[] = ['ES256', 'Ed25519', 'EdDSA', 'ES384', 'ES512'];

/** A new software key for one of `algorithms`. @internal */
export async function generate(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<Key> {
  if (!protections.includes('software')) throw new Error('a key in hardware or an HSM is asked for, and this store has software keys alone');
  const algorithm = PREFERRED.find((known) => algorithms.includes(known));
  if (algorithm === undefined) throw new Error('no software key can be made for the permitted algorithms');
  await ready();
  return Key.generate(algorithm);
}

/** A store that forgets when the process ends. */
export class MemoryStore implements Store {
  readonly #keys = new Map<string, Key | Signer>();
  readonly #slots = new Map<string, Stored>();
  readonly #turns = new Turns();
  /** When keys were made for logins and sessions. Those of the program's own are not among them, and stay. */
  readonly #made = new Map<string, number>();
  #sweptAt = systemNow();

  /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
  async addKey(key: Key | Signer): Promise<string> {
    checkCopy(key, Key);
    if (typeof key?.sign !== 'function') throw misuse('wrong_type', `addKey takes a Key or Signer, and this was ${named(key)}; make one with Key.generate()`);
    await ready();
    const thumbprint = key instanceof Key ? key.thumbprint : thumbprintOf(key.publicJwk);
    this.#keys.set(thumbprint, key);
    this.#made.delete(thumbprint);
    return thumbprint;
  }

  async createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey> {
    await this.#sweep();
    const key = await generate(algorithms, protections);
    this.#keys.set(key.thumbprint, key);
    this.#made.set(key.thumbprint, systemNow());
    return { publicJwk: key.publicJwk, algorithm: key.algorithm, protection: 'software' };
  }

  async deleteKey(thumbprint: string): Promise<void> {
    this.#keys.delete(thumbprint);
    this.#made.delete(thumbprint);
  }

  async sign({ thumbprint, message, digest }: Signing): Promise<Signed> {
    const key = this.#keys.get(thumbprint);
    if (key === undefined) throw new KeyFault('missing');
    return key instanceof Key ? { bytes: key.sign(message), encoding: 'raw' } : key.sign(message, digest);
  }

  async load(slot: string): Promise<Stored | undefined> {
    return this.#slots.get(slot);
  }

  async save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean> {
    if (this.#slots.get(slot)?.version !== expected) return false;
    if (value === undefined) this.#slots.delete(slot);
    else this.#slots.set(slot, { version, value });
    return true;
  }

  async lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void> {
    return this.#turns.take(name, new Patience(name, lease, signal));
  }

  async #sweep(): Promise<void> {
    const ended = await swept(this.#sweptAt, (sweep) => {
      this.#sweptAt = systemNow();
      for (const [slot, { version, value }] of this.#slots) sweep.stored(slot, version, value, undefined);
      for (const [thumbprint, createdAt] of this.#made) sweep.key(thumbprint, createdAt);
    });
    const { slots, keys } = ended ?? { slots: [], keys: [] };
    for (const { slot, version } of slots) if (this.#slots.get(slot)?.version === version) this.#slots.delete(slot);
    for (const thumbprint of keys) await this.deleteKey(thumbprint);
  }
}
