/** Replay stores: each proof is taken once. */

import { otherWorkers } from '#host';
import { native } from '#native';
import { checkCopy, mark } from './copies.js';
import { fromByteString } from './drive.js';
import { guarded, misuse, named } from './errors.js';
import type { NativeEntry, NativeMemoryStore } from './native.js';
import { checkNumbers, checkObject, jsonOf, snakeCase } from './options.js';
import type { Policy } from './policy.js';

/**
 * What a store answers: `fresh`, it was not there and is now; `seen`, it was there; `unavailable`, the store could not tell; `full`;
 * `share_full`, it is more than half full and this key holds its share; `before_floor`, the proof is timed before the store began to remember, and it cannot vouch for it.
 */
export type Insertion = 'fresh' | 'seen' | 'unavailable' | 'full' | 'share_full' | 'before_floor';

const INSERTIONS: readonly unknown[] = ['fresh', 'seen', 'unavailable', 'full', 'share_full', 'before_floor'];

/** What a store answers, and the life it answered in: another one than before, if the insert itself noticed that all was lost. */
export interface Inserted {
  readonly insertion: Insertion;
  /** As of {@link ReplayStore.epoch}. */
  readonly epoch: string;
}

/** One proof as a store sees it. The same proof gives the same entry whenever it comes. */
export interface ReplayEntry {
  /** Names the proof: 32 hexadecimal digits, the only part that decides whether it was seen. */
  readonly key: string;
  /** The thumbprint of its key, by which a store can limit what one client holds of it. */
  readonly thumbprint: string;
  /** The time it is judged by. */
  readonly timedAt: number;
  /** A store that began at `floor` answers `before_floor` to entries timed at or before `floor + maxAhead`, unless {@link nonceEpoch} is its own. */
  readonly maxAhead: number;
  /** The last instant at which the proof can be accepted. */
  readonly expiresAt: number;
  /** The last instant at which a store must still know it. */
  readonly keepUntil: number;
  /** For how many seconds from now a store must keep it: at least 1. */
  readonly lifetime: number;
  /** What all verifiers that share a store agree on: 32 hexadecimal digits. Answer `unavailable` to an entry with another one. */
  readonly agreement: string;
  /** The epoch of the store's life inside the proof's nonce. */
  readonly nonceEpoch: string | undefined;
}

/**
 * A store of your own: a database that all processes of a service share.
 *
 * Insert atomically, if the key is absent, and keep it for `lifetime` seconds. Never forget a live entry: answer `full` instead. What
 * `insert` throws is taken for `unavailable`.
 */
export interface ReplayStore {
  insert(entry: ReplayEntry, now: number): Insertion | Inserted | Promise<Insertion | Inserted>;
  /**
   * The present life of the store as far as it is known, a decimal number below 2^64: another one after all was lost. `0` by default. It is
   * read when a request comes, and after an insert that answers without one.
   */
  epoch?(): string;
}

/** Options of a {@link MemoryReplayStore}. */
export interface MemoryReplayOptions {
  /** How many proofs it holds, at 10 to 16 bytes each: a million by default. A full store refuses. */
  readonly capacity?: number;
  /**
   * Into how many shares the capacity is divided, 1 to 4096: 64 by default. Once half of it is used, one key holds at most one of them. Say 1
   * where one key, such as a gateway's, sends everything.
   */
  readonly shares?: number;
  /**
   * In how many processes, worker threads or isolates the service runs. A store in memory is for `1`; say so where it cannot be
   * seen: on Deno and Bun, in a worker of a cluster, under PM2, and for verifiers with configured nonce keys.
   */
  readonly workers?: number;
  /**
   * Takes the store although other workers run: only where every proof reaches this process, or each worker has an origin that no
   * other worker serves. Two workers with a store each accept a proof twice.
   */
  readonly dangerOneOfSeveral?: boolean;
  /**
   * Says that no earlier process accepted proofs, as in a test: the store then takes proofs made before it from its first second on. If one
   * did, every proof used just before the restart can be used once more. Servers that restart issue nonces instead.
   */
  readonly dangerFirstStart?: boolean;
}

/**
 * The replay store of **one process**. Where others may run beside it, it needs `workers: 1`; where others do run (PM2, isolates at
 * the edge), they need one store between them. `docs/node.md` of the project lists what is seen.
 */
export class MemoryReplayStore implements ReplayStore {
  readonly #options: MemoryReplayOptions;
  #terms: string | undefined;
  #native: NativeMemoryStore | undefined;

  static {
    mark(this, 'MemoryReplayStore');
  }

  /** @throws Misuse where other workers run beside this one */
  constructor(options: MemoryReplayOptions = {}) {
    checkObject('what a MemoryReplayStore is made of', options, 'write new MemoryReplayStore({ workers: 1 })');
    checkNumbers('a MemoryReplayStore', { capacity: options.capacity, shares: options.shares });
    const { workers, dangerOneOfSeveral } = options;
    if (workers !== undefined && !(Number.isInteger(workers) && workers > 0)) {
      throw misuse('wrong_type', `workers is a whole number, at least 1, and this was ${typeof workers === 'number' ? 'another number' : named(workers)}`);
    }
    const others = workers !== undefined && workers > 1 ? { what: `workers says that there are ${workers}`, certain: true } : otherWorkers();
    if (others !== undefined && dangerOneOfSeveral !== true && (others.certain || workers === undefined)) throw severalWorkers(others);
    this.#options = { ...options };
  }

  /** How many proofs it holds, for metrics. */
  get held(): number {
    return this.#native?.held() ?? 0;
  }

  /** The store's present life. */
  epoch(): string {
    return this.#native?.epoch() ?? '0';
  }

  /** Not called for this store: verifiers insert in the core. */
  insert(): Insertion {
    throw misuse('memory_store', 'a memory store is used by a Verifier or a protection, not by hand');
  }

  /**
   * Refuses to serve a verifier whose nonce keys are configured, unless the program says that it is the only one: keys are
   * configured for several processes, whose nonces each of them takes, and each of them would take the proof as well. @internal
   */
  _serves(policy: Policy): void {
    if (typeof policy.nonces !== 'object' || policy.nonces.keys === undefined) return;
    if (this.#options.workers === 1 || this.#options.dangerOneOfSeveral === true) return;
    throw severalWorkers({ what: 'nonce keys are configured, as they are for several processes', certain: false });
  }

  #shared(terms: string): string {
    const { shares, dangerFirstStart } = this.#options;
    return jsonOf('what a MemoryReplayStore is made of', { ...(JSON.parse(terms) as object), ...snakeCase({ shares, dangerFirstStart }) });
  }

  /** The store for verifiers with these options about time; made with the first of them. @internal */
  _open(terms: string, now: number): NativeMemoryStore {
    if (this.#native === undefined) {
      this.#native = guarded('new MemoryReplayStore', () => new (native().MemoryStore)(this.#options.capacity ?? 1_000_000, this.#shared(terms), now));
      this.#terms = terms;
    } else if (this.#terms !== terms) {
      const store = this.#native;
      guarded('new MemoryReplayStore', () => store.checkPolicy(terms));
    }
    return this.#native;
  }
}

function severalWorkers({ what, certain }: { readonly what: string; readonly certain: boolean }): Error {
  const alone = certain ? '' : ', or if there are no others, say so: workers: 1';
  return misuse('several_workers', `a store in memory sees the proofs of one process, but ${what}; give a store that all of them share (RedisReplayStore of keybound/redis)${alone}`);
}

/** A store that knows by which rules proofs have to be verified for it. */
interface Particular {
  /** @throws Misuse for other rules */
  _serves(policy: Policy): void;
}

/** Refuses a store that says that it is not for verifiers of this policy. A store of the program's own says nothing. @throws Misuse @internal */
export function checkStore(store: ReplayStore | null | undefined, policy: Policy): void {
  checkCopy(store, MemoryReplayStore);
  if (store !== undefined && typeof (store as { readonly insert?: unknown } | null)?.insert !== 'function') {
    const advice = 'give new MemoryReplayStore(), await RedisReplayStore.open({ client, namespace }) of keybound/redis, or an object with insert(entry, now)';
    throw misuse('wrong_type', `store is a replay store, and this was ${named(store)}; ${advice}`);
  }
  (store as Partial<Particular> | null | undefined)?._serves?.(policy);
}

/** The answer, unless it is none: never a boolean, and never a promise. @internal */
export function insertionOf(value: unknown): Insertion {
  if (INSERTIONS.includes(value)) return value as Insertion;
  const detail = `a store answers 'fresh', 'seen', 'unavailable', 'full', 'share_full' or 'before_floor', and this was ${typeof value === 'string' ? 'another text' : named(value)}`;
  throw misuse('not_an_insertion', detail);
}

/** What entries were made of, for stores that the core has a part in. */
const natives = new WeakMap<ReplayEntry, NativeEntry>();

/** The core's own of an entry that {@link entryOf} made. @internal */
export function nativeOf(entry: ReplayEntry): NativeEntry | undefined {
  return natives.get(entry);
}

/** The entry as stores see it. @internal */
export function entryOf(entry: NativeEntry, now: number): ReplayEntry {
  const given = JSON.parse(entry.toJson()) as Record<string, unknown>;
  const hex = (name: string): string =>
    Array.from(fromByteString(given[name] as string), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const seen = {
    key: hex('key'),
    thumbprint: given['thumbprint'] as string,
    timedAt: given['timed_at'] as number,
    maxAhead: given['max_ahead'] as number,
    expiresAt: given['expires_at'] as number,
    keepUntil: given['keep_until'] as number,
    lifetime: entry.lifetime(now),
    agreement: hex('agreement'),
    nonceEpoch: given['nonce_epoch'] as string | undefined,
  };
  natives.set(seen, entry);
  return seen;
}

/** Asks a store of the host's own; what that throws counts as `unavailable`. @throws Misuse for another answer than an insertion @internal */
export async function askStore(store: ReplayStore, entry: NativeEntry, now: number, onFault: (fault: unknown) => void): Promise<Inserted> {
  let answer: unknown;
  try {
    answer = await store.insert(entryOf(entry, now), now);
  } catch (fault) {
    onFault(fault);
    answer = 'unavailable';
  }
  const { insertion, epoch = store.epoch?.() ?? '0' } = insertedOf(answer);
  return { insertion, epoch };
}

/** The answer, with its epoch where it has one. @internal */
export function insertedOf(answer: unknown): { readonly insertion: Insertion; readonly epoch: string | undefined } {
  if (typeof answer !== 'object' || answer === null || !('insertion' in answer)) return { insertion: insertionOf(answer), epoch: undefined };
  const { insertion, epoch } = answer as Partial<Inserted>;
  if (typeof epoch === 'string' && /^\d+$/.test(epoch)) return { insertion: insertionOf(insertion), epoch };
  throw misuse('not_an_insertion', `the epoch of a store is a number as text, and this was ${named(epoch)}`);
}
