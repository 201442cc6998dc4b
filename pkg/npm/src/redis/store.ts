/** The replay store in Redis: calls gathered into batches, and exchanges of the core driven over a connection. */

import { ready } from '#native';
import { Misuse, guarded, misuse, named } from '../errors.js';
import { systemNow } from '../http.js';
import type { NativeEntry, NativeRedisReplay, NativeRedisTurn } from '../native.js';
import { jsonOf, snakeCase, unknown } from '../options.js';
import { policyJson } from '../policy.js';
import type { Policy } from '../policy.js';
import type { RedisFaultName } from '../reasons.js';
import type { Inserted, ReplayEntry, ReplayStore } from '../replay.js';
import { nativeOf } from '../replay.js';
import { redis, sourceOf } from './clients.js';
import { Connection, lateAfter } from './connection.js';
import type { RedisReplayOptions } from './options.js';

/** Why a server cannot be used. */
export interface RedisFault {
  /** Stable, for logs and metrics: `lost`, `loading`, `full`, `not_primary`, `evicts`, `disagrees`, `forbidden`, `clock_apart`, … */
  readonly name: RedisFaultName;
  /** What happened and what to do, for people. */
  readonly message: string;
  /** Whether a configuration has to be changed. */
  readonly isConfiguration: boolean;
}

/** What a store knows of its server. */
export interface RedisStatus {
  /** Whether proofs can be accepted. */
  readonly isOpen: boolean;
  /** The present life of the server, or the last one. */
  readonly epoch: string;
  /** From when on the server remembers, in seconds since 1970; none unless it is open. */
  readonly floor: number | undefined;
  /** How many lives were met so far: 1 if the server never lost its data. */
  readonly lives: number;
  /** How many proofs wait to be sent. */
  readonly waiting: number;
  /** Why proofs cannot be accepted, or why they last could not. */
  readonly fault: RedisFault | undefined;
}

/** What all hosts of the core keep to. */
interface Limits {
  readonly batch: number;
  readonly queue: number;
  readonly under_way: number;
  readonly answer_ms: number;
  readonly connect_ms: number;
  readonly hops: number;
}

interface Outcome {
  readonly answers: readonly Inserted[];
  readonly fault?: Fault;
}

interface Fault {
  readonly name: RedisFaultName;
  readonly message: string;
  readonly is_configuration: boolean;
  readonly address?: string;
}

interface Waiting {
  readonly entry: NativeEntry;
  readonly answer: (inserted: Inserted) => void;
  timer: ReturnType<typeof setTimeout> | undefined;
  isOver: boolean;
}

/**
 * One replay store for all processes of a service, in whatever language: each proof is taken once by Redis 6.2 or newer, or Valkey 7.2 or newer.
 *
 * Calls of one turn of the event loop share a pipeline. While the server is out of reach every proof is answered `unavailable` (503), within
 * 250 ms, and nothing is sent twice; the store recovers by itself. Other data on the same server must not cause evictions: its
 * `maxmemory-policy` is `noeviction`.
 *
 * ```js
 * const store = await RedisReplayStore.open({ client: new Redis('redis://127.0.0.1:6379'), namespace: 'api' });
 * app.use(protect({ resource: 'https://api.example.com', issuers: ['https://as.example.com'], store }));
 * ```
 */
export class RedisReplayStore implements ReplayStore {
  readonly #core: NativeRedisReplay;
  readonly #connection: Connection;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #queue: Waiting[] = [];
  #underWay = 0;
  #isScheduled = false;
  #isFollowing = false;
  #isClosed = false;

  private constructor(core: NativeRedisReplay, connection: Connection, limits: Limits, now: () => number) {
    this.#core = core;
    this.#connection = connection;
    this.#limits = limits;
    this.#now = now;
  }

  /**
   * Opens the store. A server out of reach is no error: the store answers `unavailable` until it is there.
   *
   * @throws Misuse, if an option cannot be used, or the server needs another configuration: the message says which
   */
  static async open(options: RedisReplayOptions): Promise<RedisReplayStore> {
    await ready();
    const store = prepared(options, (core, connection, limits, now) => new RedisReplayStore(core, connection, limits, now));
    try {
      const fault = await store.#open();
      if (fault?.is_configuration) throw misuse(fault.name, messageOf(fault));
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Refuses to serve a verifier with another policy, all of whose proofs would be refused. @internal */
  _serves(policy: Policy): void {
    try {
      guarded('RedisReplayStore.open', () => this.#core.checkPolicy(policyJson(policy).verifier));
    } catch (error) {
      throw error instanceof Misuse && error.reason === 'store_disagreement' ? otherPolicy(error.message) : error;
    }
  }

  /** Inserts a proof of a verifier: see {@link ReplayStore}. @throws Misuse for an entry of another verifier's policy, or none of a verifier */
  async insert(entry: ReplayEntry): Promise<Inserted> {
    const given = nativeOf(entry);
    if (given === undefined) throw misuse('not_an_entry', 'insert takes the entry of a PendingProof or of a verifier, as it is');
    if (!this.#core.serves(given)) throw otherPolicy('the verifier of this proof has other times than its store in Redis, which would refuse every proof');
    if (this.#isClosed || this.#queue.length >= this.#limits.queue) return this.#unavailable();
    return new Promise((answer) => {
      this.#queue.push({ entry: given, answer, isOver: false, timer: undefined });
      this.#schedule();
    });
  }

  /** The server's present life as far as it is known; before the first, a random number. */
  epoch(): string {
    return this.#core.epoch();
  }

  /** What is known of the server, for health checks and metrics. It asks nothing. */
  status(): RedisStatus {
    const { floor, lives, fault, epoch } = JSON.parse(this.#core.status()) as { epoch?: string; floor?: number; lives: number; fault?: Fault };
    return {
      isOpen: epoch !== undefined && !this.#isClosed,
      epoch: epoch ?? this.#core.epoch(),
      floor,
      lives,
      waiting: this.#queue.length,
      fault: fault && { name: fault.name, message: messageOf(fault, this.#connection.fault), isConfiguration: fault.is_configuration },
    };
  }

  /** Closes the store's connection, which keeps a process running. Proofs are answered `unavailable` from then on. */
  close(): void {
    this.#isClosed = true;
    this.#connection.close();
    for (const waiting of this.#queue.splice(0)) answered(waiting, this.#unavailable());
  }

  #unavailable(): Inserted {
    return { insertion: 'unavailable', epoch: this.#core.epoch() };
  }

  /** After this turn of the event loop, when all requests that came with it have asked. */
  #schedule(): void {
    if (this.#isScheduled || this.#queue.length === 0) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#clock();
      while (this.#underWay < this.#limits.under_way && this.#queue.length > 0) {
        const batch = this.#queue.splice(0, this.#limits.batch).filter((waiting) => !waiting.isOver);
        if (batch.length > 0) void this.#insert(batch);
      }
    });
  }

  /** Time counts from when an entry can be sent: until then, the checks of other requests may have held up the event loop. */
  #clock(): void {
    for (let at = this.#queue.length - 1; at >= 0; at -= 1) {
      const waiting = this.#queue[at];
      // Those before it are older.
      if (waiting === undefined || waiting.timer !== undefined) return;
      waiting.timer = lateAfter(this.#limits.answer_ms, () => answered(waiting, this.#unavailable()));
    }
  }

  async #insert(batch: readonly Waiting[]): Promise<void> {
    this.#underWay += 1;
    let answers: readonly Inserted[] = [];
    try {
      const entries = new (redis().Entries)();
      for (const { entry } of batch) entries.add(entry);
      const turn = this.#core.batch(entries, this.#now());
      entries.free?.();
      const outcome = await this.#drive(turn, this.#limits.answer_ms);
      answers = outcome.answers;
      if (outcome.fault?.name === 'moved') void this.#follow();
    } catch {
      // Misuse of a client whose options changed, or a fault of the core: nothing was accepted.
    }
    batch.forEach((waiting, at) => answered(waiting, answers[at] ?? this.#unavailable()));
    this.#underWay -= 1;
    this.#schedule();
  }

  /** Goes to the node that the namespace moved to, so that the next proof need not wait for a second. */
  async #follow(): Promise<void> {
    if (this.#isFollowing || this.#isClosed || !this.#connection.isCluster) return;
    this.#isFollowing = true;
    await this.#open().catch(() => undefined);
    this.#isFollowing = false;
  }

  /** Finds the server's life. Returns why it could not. */
  async #open(): Promise<Fault | undefined> {
    let fault: Fault | undefined;
    for (let hop = 0; hop <= this.#limits.hops; hop += 1) {
      ({ fault } = await this.#drive(this.#core.open(this.#now()), this.#limits.connect_ms + this.#limits.answer_ms));
      if (fault?.name !== 'moved' || !this.#connection.isCluster) break;
    }
    return fault;
  }

  /**
   * Sends what the core asks for, until it has an outcome. Each pipeline has so much time for its replies: to open a life takes several, and
   * goes on when those that asked have been answered.
   */
  async #drive(first: NativeRedisTurn, milliseconds: number): Promise<Outcome> {
    let turn = first;
    for (;;) {
      const text = turn.commands();
      if (text === undefined || text === null) break;
      const replies = await this.#replies(JSON.parse(text) as string[][], milliseconds);
      const next = replies.given === undefined ? turn.lost() : turn.resume(replies.given, this.#now());
      turn.free?.();
      turn = next;
      if (replies.fault !== undefined) throw replies.fault;
    }
    const outcome = JSON.parse(turn.outcome() ?? '{"answers":[]}') as Outcome;
    turn.free?.();
    // A server that cannot be used may be another one by the next attempt: after a failover, behind a name or a balancer.
    if (outcome.fault !== undefined) this.#connection.renew(outcome.fault.name === 'moved' ? outcome.fault.address : undefined);
    return outcome;
  }

  async #replies(commands: string[][], milliseconds: number): Promise<{ readonly given?: string[] | undefined; readonly fault?: unknown }> {
    try {
      return { given: await this.#connection.exchange(commands, milliseconds) };
    } catch (fault) {
      return { fault };
    }
  }
}

/** The parts of a store, from options that are checked. */
function prepared<T>(
  options: RedisReplayOptions, made: (core: NativeRedisReplay, connection: Connection, limits: Limits, now: () => number) => T,
): T {
  if (typeof options !== 'object' || options === null) {
    throw misuse('wrong_type', 'RedisReplayStore.open takes an object: RedisReplayStore.open({ client, namespace: \'api\' })');
  }
  const { client, namespace, policy = {}, now = systemNow, dangerPlaintext = false, ...rest } = options;
  const limits = JSON.parse(redis().redisLimits()) as Limits;
  const source = sourceOf(client, { dangerPlaintext: dangerPlaintext === true, connectWithin: limits.connect_ms });
  if (typeof namespace !== 'string') {
    const found = namespace === undefined ? 'there was none' : `this was ${named(namespace)}`;
    throw misuse('wrong_type', `namespace names the resource, and ${found}; write namespace: 'api', the same in all processes that serve it`);
  }
  if (typeof policy !== 'object' || policy === null) {
    throw misuse('wrong_type', `policy is an object, and this was ${named(policy)}; write policy: { maxAge: 60 }, as for the verifier`);
  }
  const known = ['clocksWithin', 'waitForReplicas', 'replicasWithinMs', 'dangerAcceptSplitBrain', 'dangerIgnoreServerClock'];
  const other = Object.keys(rest).find((name) => !known.includes(name));
  if (other !== undefined) {
    throw unknown('RedisReplayStore.open', other, `rules of proofs go into policy, and the others are client, namespace, ${known.join(', ')}, dangerPlaintext and now`);
  }
  const terms = { ...(JSON.parse(policyJson(policy).verifier) as object), ...snakeCase(rest) };
  const core = guarded('RedisReplayStore.open', () => new (redis().RedisReplay)(namespace, jsonOf('policy', terms)));
  return made(core, new Connection(source, limits.connect_ms), limits, now);
}

function otherPolicy(what: string): Error {
  const fix = 'give RedisReplayStore.open the same policy: the verifier\'s options, or proofs of protect';
  return misuse('store_disagreement', `${what}; ${fix}`);
}

function answered(waiting: Waiting, inserted: Inserted): void {
  if (waiting.isOver) return;
  waiting.isOver = true;
  clearTimeout(waiting.timer);
  waiting.answer(inserted);
}

/** A fault in words, and why there is no connection. */
function messageOf({ name, message }: Fault, connection?: string): string {
  if (name === 'lost' && connection !== undefined) return `${message} (${connection})`;
  if (name === 'moved') return `${message.replace(/: switch cluster mode on$/, '')}; give the cluster's client: new Cluster([…]) of ioredis, or createCluster({ rootNodes: […] }) of redis`;
  return message;
}
