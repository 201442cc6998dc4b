/** Options that all servers share. */

import type { ReplayStore } from '../replay.js';

/** How often something may happen: `rate` times a second, and `burst` times at once after a pause; 1 to 1,000,000 each. */
export interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** When a store is left alone: after `faults` in a row (1 to 1,000; 5 unless given), for `pause` seconds (1 to 300; 5 unless given). */
export interface Breaker {
  readonly faults?: number;
  readonly pause?: number;
}

/** Writes a record of each decision. */
export interface Audit {
  /** The base64url of 32 secret bytes, the same on all servers whose records are compared: tokens are named by their HMAC under it. */
  readonly key: string;
  /**
   * Takes each record: a line of JSON without token, proof, key, nonce, URL or subject; `docs/audit.md` lists its members. It is called before
   * the request is answered. What it throws goes to `onFault`, and is no failure of the request.
   */
  readonly to: (record: string) => void;
}

/** How often what was decided, by the names of the metrics in `docs/audit.md`. */
export interface Counters {
  readonly keybound_requests_total: readonly { readonly verdict: string; readonly reason: string; readonly count: number }[];
  readonly keybound_replays_total: number;
  readonly keybound_nonce_challenges_total: readonly { readonly reason: string; readonly count: number }[];
  /** Records that `to` failed for. */
  readonly keybound_audit_dropped_total: number;
}

/** Which pages of other origins may call: their preflights are answered, and answers say who may read them. */
export interface Cors {
  /**
   * As browsers send them in `Origin`, compared exactly: `https://app.example.com`, `http://localhost:5173`. `['*']` stands for every origin.
   * Cookies are never asked for: tokens and proofs are fields that a page sets itself.
   */
  readonly origins: readonly string[];
  /** Instead of GET, HEAD, POST, PUT, PATCH and DELETE. */
  readonly methods?: readonly string[];
  /** What pages may send besides `Authorization`, `DPoP` and `Content-Type`. */
  readonly allowedHeaders?: readonly string[];
  /** What scripts may read besides `WWW-Authenticate`, `DPoP-Nonce` and `Date`. */
  readonly exposedHeaders?: readonly string[];
  /** For how many seconds browsers remember the answer to a preflight: 600, at most 86,400. */
  readonly maxAge?: number;
}

/** What every server takes. */
export interface ServerOptions {
  /** Where proofs are remembered: in the memory of this process, unless a store is given. Refused where several workers run. */
  readonly store?: ReplayStore;
  /** In how many processes or isolates the service runs, where that cannot be seen: without a store, `1` or refused. */
  readonly workers?: number;
  /** Remembers no proofs: anyone who sees a request can repeat it until its proof is too old. */
  readonly dangerNoReplayStore?: boolean;
  /**
   * Says that no earlier process served this, as in a test: without a store of your own, proofs made before the start are taken from the
   * first second on, also without nonces. If one did, every proof used just before the restart can be used once more.
   */
  readonly dangerFirstStart?: boolean;
  /**
   * How many requests an address may send, whatever they are: IPv4 whole, IPv6 by its first 64 bits. A request beyond that is refused with
   * 429 before anything of it is read. The address is that of the connection, or what `proxies` vouch for; requests without one share a limit.
   */
  readonly limitAddresses?: Limit;
  /**
   * How many requests made with one key are admitted: one that a token or a stored grant names. Copies of a request that was seen are not
   * charged to it.
   */
  readonly limitKeys?: Limit;
  /** Leaves a store of the program's own alone while it fails: requests are refused with 503 at once, until one that tries finds it well. */
  readonly breaker?: Breaker;
  /** Whole seconds since 1970, for tests. Limits and the breaker then go by it. */
  readonly now?: () => number;
  /** Told of faults of the host: keys that cannot be fetched, a store that fails. By default a warning of the process or console. */
  readonly onFault?: (fault: unknown) => void;
  /** Writes a record of each decision. */
  readonly audit?: Audit;
}
