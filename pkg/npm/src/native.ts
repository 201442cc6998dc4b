/**
 * What the compiled core exports, the same from the Node addon and from WASM. The classes of this package wrap it; nothing here is API.
 *
 * Most of it is written from the tables of the bindings: `rows.ts`. Values with several members are JSON text with `snake_case` members.
 * Byte strings hold one byte in each character. Times are whole seconds since 1970. What throws, throws an error of the facade as JSON
 * text: see `errors.ts`.
 */

import type {
  AdviceRows, ClientRows, FoldersRows, GrantsRows, NativeKey, NativeMemoryStore, NativeVerifier as VerifierRows, ProofsRows, RedisRows,
  ServersRows, ThumbprintsRows,
} from './rows.js';

export type * from './rows.js';

/** What holds memory of WebAssembly. The addon's is collected by Node. */
export interface Freed {
  /** Gives the memory back and overwrites the secrets in it, now and not when the garbage is collected. It cannot be used then. */
  free?(): void;
}

/** A proof with what it came with. */
export interface NativePresented {
  method: string;
  url: string;
  proofs: string[];
  accessToken?: string;
  boundTo?: string;
  expectedNonce?: string;
  /** That of the store when the request came. */
  epoch?: string;
}

/** A request as the host received it. `fields` are names and values in turn, `target` and values as byte strings. */
export interface NativeIncoming {
  method: string;
  /** The whole URL, where it is known. */
  url?: string;
  /** The raw request target otherwise. */
  target?: string;
  fields: string[];
  peer?: string;
  certificate?: Uint8Array;
  /** That of a store of the host's own. */
  epoch?: string;
  /** A clock that never goes back, in milliseconds. */
  ticks?: number;
}

/** Verifies proofs. */
export interface NativeVerifier extends VerifierRows {
  /** Verifies on another thread, in the epoch of the store; the addon alone has it. Each answer is what `verify` gives or throws. */
  verifyMany?(requests: NativePresented[], now: number, store: NativeMemoryStore): Promise<string[]>;
}

/** A lock on a file, which ends with its process at the latest. */
export interface NativeFileLock {
  release(): void;
}

/** A folder of sessions and keys. `sign` throws `{ fault, detail }` as JSON text where the key cannot be used. */
export interface NativeFiles {
  addKey(jwk: string): Promise<void>;
  createKey(algorithms: string[], protections: string[], now: number): Promise<NativeKey>;
  deleteKey(thumbprint: string): Promise<void>;
  sign(thumbprint: string, algorithm: string, message: Uint8Array): Promise<Uint8Array>;
  sessions(): Promise<string[]>;
  load(slot: string): Promise<{ version: number; value: string } | undefined | null>;
  /** None, while another changes the slot. */
  trySave(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean | undefined | null>;
  /** None, while another has it. */
  tryLock(name: string): Promise<NativeFileLock | undefined | null>;
}

/** Where the value of a slot is. */
export interface Place {
  readonly folder: string;
  readonly file: string;
  readonly lock: string;
  readonly beside?: string;
}

/** A file to delete; if it has a lock, under that, and only if it has this version. */
export interface Ended extends Omit<Place, 'lock'> {
  readonly lock?: string;
  readonly version?: number;
}

/** What the addon and the WASM build `flows` export for stores in folders: `Files` is the addon's, the table `folders` that of all others. */
export interface NativeFileParts extends GrantsRows, FoldersRows {
  Files?: { open(folder: string, now: number): Promise<NativeFiles> };
}

/** What can be deleted: a slot if it still has this version, and keys by their thumbprints. */
export interface Swept {
  readonly slots: readonly { readonly slot: string; readonly version: number }[];
  readonly keys: readonly string[];
}

/** What the WASM build `flows` exports, and the addon: enough for a client whose keys are held by the host. Pages have {@link ClientRows}. */
export type NativeClientParts = ClientRows & ThumbprintsRows & GrantsRows;

/** What the addon and the build with servers export for stores in Redis. */
export type NativeRedis = RedisRows;

/** What the build that explains refusals exports, and so do the addon and the build with servers. */
export type NativeAdvice = AdviceRows;

/** What the full build and the addon export. */
export interface Native extends ThumbprintsRows, Omit<ProofsRows, 'Verifier'>, ServersRows {
  Verifier: new (options: string) => NativeVerifier;
}
