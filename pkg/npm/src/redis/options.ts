/** What a store in Redis is opened with. */

import type { Policy } from '../policy.js';

/**
 * `Redis` or `Cluster` of `ioredis`, or what `createClient` or `createCluster` of `redis` return.
 *
 * The store opens a connection with the client's options (address, TLS, user, database) and leaves the client's own alone. Options about
 * retries, queues, key prefixes and the form of replies do not count for it.
 */
export interface RedisClientLike {
  // What the libraries' own types of overloads have in common.
  duplicate(...options: any[]): any;
}

/** Options of `RedisReplayStore.open`. */
export interface RedisReplayOptions {
  /**
   * `Redis` or `Cluster` of `ioredis` 5 or newer, or what `createClient` or `createCluster` of `redis` 5 or newer return. The store opens a
   * connection with the client's options; it need not be connected, but a cluster client has to be.
   */
  readonly client: RedisClientLike;
  /** 1 to 32 characters of `a-z 0-9 . _ -`. All verifiers of a resource have the same one; two resources have two. */
  readonly namespace: string;
  /** The rules of the verifier or protection (`proofs`) that uses the store. All verifiers of a namespace have the same times. */
  readonly policy?: Policy;
  /** By how many seconds the clocks of two verifiers may differ: 10, or half of a smaller `storeMargin`. */
  readonly clocksWithin?: number;
  /** How many replicas must have a proof before it is accepted: a majority of them, where the server has any. */
  readonly waitForReplicas?: number;
  /** For how many milliseconds they are waited for: 100. */
  readonly replicasWithinMs?: number;
  /**
   * Takes a server with replicas without waiting for them. After a failover, verifiers that still reach the old primary accept proofs that
   * others accept at the new one.
   */
  readonly dangerAcceptSplitBrain?: boolean;
  /** Does not compare clocks with the server's, for tests with a made-up time. If the server's clock steps forward, it forgets proofs. */
  readonly dangerIgnoreServerClock?: boolean;
  /** Reaches a server on another host without TLS: anyone who sees or changes the traffic can have proofs accepted again. */
  readonly dangerPlaintext?: boolean;
  /** Whole seconds since 1970, for tests; the system's clock by default. */
  readonly now?: () => number;
}
