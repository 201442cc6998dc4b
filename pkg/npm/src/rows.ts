// Written by a test: KEYBOUND_WRITE_API=1 cargo test -p keybound-ffi --test table
// What the addon and the WASM builds export, from the tables of bindings/shared/src/table.rs. What is optional is not in all builds.

import type { Freed, NativeIncoming, NativePresented } from './native.js';

/** A key in this process. */
export interface NativeKey extends Freed {
  algorithm(): string;
  publicJwk(): string;
  thumbprint(): string;
  sign(message: Uint8Array): Uint8Array;
  dangerPrivateJwk(): string;
  dangerPrivatePem?(): string;
}

export interface NativeKeyClass {
  generate(algorithm: string): NativeKey;
  fromJwk(jwk: string, algorithm: string | undefined): NativeKey;
  fromPem?(pem: string, algorithm: string | undefined): NativeKey;
  fromDer?(der: Uint8Array, algorithm: string | undefined): NativeKey;
  generateFor?(algorithms: string[], protections: string[]): NativeKey;
}

/** A proof without its signature. */
export interface NativeUnsigned extends Freed {
  message(): Uint8Array;
  digest(): Uint8Array | undefined | null;
  attach(signature: Uint8Array, encoding: string): string;
}

/** The nonces that servers gave. */
export interface NativeNonceCache extends Freed {
  observe(origin: string, role: string, thumbprint: string, values: string[]): void;
  get(origin: string, role: string, thumbprint: string): string | undefined | null;
}

export interface NativeNonceCacheClass {
  new (): NativeNonceCache;
}

/** A proof as a replay store sees it. */
export interface NativeEntry extends Freed {
  toJson(): string;
  lifetime(now: number): number;
}

export interface NativeEntryClass {
  parse(text: string): NativeEntry;
}

/** The replay store of one process. */
export interface NativeMemoryStore extends Freed {
  checkPolicy(options: string): void;
  insert(entry: NativeEntry, now: number): string;
  epoch(): string;
  held(): number;
  wasForked(): boolean;
}

export interface NativeMemoryStoreClass {
  new (capacity: number, options: string, now: number): NativeMemoryStore;
}

/** A proof that passed every check but replay. `settle` takes the epoch that the store answered in, that of the request by default. */
export interface NativePending extends Freed {
  entry(): NativeEntry;
  settle(insertion: string, epoch: string | undefined, now: number): string;
  dangerSkipReplayCheck(): string;
}

/** Verifies proofs. */
export interface NativeVerifier extends Freed {
  check(presented: NativePresented, now: number): NativePending;
  verify(presented: NativePresented, now: number, store: NativeMemoryStore): string;
  explain(presented: NativePresented, now: number): string;
  explainWithStore(presented: NativePresented, now: number, store: NativeMemoryStore): string;
  refuse(presented: NativePresented, now: number, reason: string): string;
  freshNonce(role: string, epoch: string | undefined, now: number): string | undefined | null;
  algorithms(): string[];
}

export interface NativeVerifierClass {
  new (options: string): NativeVerifier;
}

/** A flow in progress, of a client or a server. `task` gives the work of a `share` step, to the first who waits for it; `entry` is that of an `insert` step; `abandon` gives the flow up at once. */
export interface NativeFlow extends Freed {
  step(): string;
  resume(reply: string, now: number): string;
  task(now: number): NativeFlow | undefined | null;
  abandon(): void;
  discovered?(): NativeDiscovered | undefined | null;
  session?(): NativeSession | undefined | null;
  device?(): NativeDevice | undefined | null;
  entry?(): NativeEntry | undefined | null;
  principal?(): NativePrincipal | undefined | null;
  record?(route: string | undefined, microseconds: number, now: number): string | undefined | null;
}

/** An OAuth client. */
export interface NativeClient extends Freed {
  begin(operation: string, handles: NativeHandles, now: number): NativeFlow;
}

export interface NativeClientClass {
  new (options: string): NativeClient;
}

/** What an operation refers to besides its arguments. */
export interface NativeHandles extends Freed {
  discovered(value: NativeDiscovered): void;
  session(value: NativeSession): void;
  device?(value: NativeDevice): void;
}

export interface NativeHandlesClass {
  new (): NativeHandles;
}

/** What was discovered. */
export interface NativeDiscovered extends Freed {
  readonly _discovered?: never;
}

/** A session. Its `info` shows no token. */
export interface NativeSession extends Freed {
  info(): string;
  dangerAccessToken(): string | undefined | null;
  member(name: string): string | undefined | null;
}

/** What a store deletes by itself: `finish` gives `slots` (`slot`, `version`) and `keys`. */
export interface NativeSweep extends Freed {
  stored(slot: string, version: number, value: string | undefined, storedAt: number | undefined): void;
  key(thumbprint: string, createdAt: number): void;
  finish(): string;
}

export interface NativeSweepClass {
  new (now: number): NativeSweep;
}

/** A login on another device. */
export interface NativeDevice extends Freed {
  readonly _device?: never;
}

/** What a store in a folder deletes by itself. */
export interface NativeFolderSweep extends Freed {
  found(folder: string, file: string, modified: number): string;
  content(folder: string, file: string, content: string | undefined, modified: number): void;
  finish(): string;
}

export interface NativeFolderSweepClass {
  new (now: number): NativeFolderSweep;
}

/** Proofs to be inserted together. */
export interface NativeEntries extends Freed {
  add(entry: NativeEntry): void;
}

export interface NativeEntriesClass {
  new (): NativeEntries;
}

/** The replay store of one namespace of a Redis server: it says what to send, and what the replies mean. */
export interface NativeRedisReplay extends Freed {
  open(now: number): NativeRedisTurn;
  batch(entries: NativeEntries, now: number): NativeRedisTurn;
  checkPolicy(options: string): void;
  serves(entry: NativeEntry): boolean;
  prefix(): string;
  epoch(): string;
  checkIsDue(now: number): boolean;
  status(): string;
}

export interface NativeRedisReplayClass {
  new (namespace: string, options: string): NativeRedisReplay;
}

/** Commands to send to Redis, or what all came to. Replies are byte strings: `+` and a text, `:` and an integer, `-` and an error, `_` for null. */
export interface NativeRedisTurn extends Freed {
  commands(): string | undefined | null;
  outcome(): string | undefined | null;
  resume(replies: string[], now: number): NativeRedisTurn;
  lost(): NativeRedisTurn;
}

/** A protected resource, which keeps the keys of its issuers and what was asked about tokens. `admit` ends with `admitted` and a principal, or with `refused`; `check` with `unconsumed` or `refused`. `route` answers `{ path }` or `{ refusal }`. */
export interface NativeResourceServer extends Freed {
  admit(incoming: NativeIncoming, now: number): NativeFlow;
  check(incoming: NativeIncoming, now: number): NativeFlow;
  difference(incoming: NativeIncoming, reason: string, now: number): string | undefined | null;
  route(rawTarget: string, mountPath: Uint8Array, path: Uint8Array): string;
  asksForMetadata(method: string, rawTarget: string, mountPath: Uint8Array, path: Uint8Array): boolean;
  cors(incoming: NativeIncoming): string;
  counters(): string;
  metadata(): string;
  metadataUrl(): string;
  metadataPath(): string;
}

export interface NativeResourceServerClass {
  new (options: string, verifier: string): NativeResourceServer;
  withStore(options: string, verifier: string, store: NativeMemoryStore): NativeResourceServer;
}

/** The paths of an application that need no credentials: `/health`, or `/static/*` for all below. `contain` takes the routed path. */
export interface NativePublicPaths extends Freed {
  contain(path: string): boolean;
}

export interface NativePublicPathsClass {
  new (entries: string[]): NativePublicPaths;
}

/** Whom an admitted request is from. `carryOut` ends with `carried_out` or `refused`. */
export interface NativePrincipal extends Freed {
  requireScopes(scopes: string[]): string | undefined | null;
  refuseRevoked(): string;
  intent(): NativeIntent;
  carryOut(method: string, url: string, body: Uint8Array, now: number): NativeFlow;
}

/** The endpoints of an authorization server. */
export interface NativeAuthorizationServer extends Freed {
  admit(request: string, proofs: string[], now: number): NativeFlow;
  freshNonce(epoch: string | undefined, now: number): string | undefined | null;
  counters(): string;
  metadata(issuer: string): string;
}

export interface NativeAuthorizationServerClass {
  new (options: string): NativeAuthorizationServer;
  withStore(options: string, store: NativeMemoryStore): NativeAuthorizationServer;
}

/** What a user agreed to, for one key. */
export interface NativeIntent extends Freed {
  grant(granted: string, now: number): NativeIntent;
  permits(method: string, url: string, body: Uint8Array, key: string, now: number): void;
  details(): string;
  key(): string;
  expiresAt(): number;
}

export interface NativeIntentClass {
  declare(details: string, key: string, lifetime: number, now: number): NativeIntent;
}

/** The table `thumbprints`. */
export interface ThumbprintsRows {
  thumbprint(jwk: string): string;
}

/** The table `proofs`. */
export interface ProofsRows {
  Key: NativeKeyClass;
  NonceCache: NativeNonceCacheClass;
  Entry: NativeEntryClass;
  MemoryStore: NativeMemoryStoreClass;
  Verifier: NativeVerifierClass;
  reasons(): string;
  proof(method: string, url: string, accessToken: string | undefined, nonce: string | undefined, key: NativeKey, now: number): string;
  prepare(method: string, url: string, accessToken: string | undefined, nonce: string | undefined, publicJwk: string, algorithm: string, now: number): NativeUnsigned;
}

/** The table `client`. */
export interface ClientRows {
  Client: NativeClientClass;
  Handles: NativeHandlesClass;
  Sweep: NativeSweepClass;
}

/** The table `grants`. */
export interface GrantsRows {
  isSweepDue(last: number, now: number): boolean;
  fileRules(): string;
  filePlace(slot: string): string;
  lockPause(attempts: number): number;
}

/** The table `folders`. */
export interface FoldersRows {
  FolderSweep: NativeFolderSweepClass;
  fileName(text: string): string;
  textOfFileName(name: string): string | undefined | null;
  fileContent(version: number, value: string): string;
  fileVersion(content: string): number | undefined | null;
  isFileSpoiled(content: string): boolean;
}

/** The table `advice`. */
export interface AdviceRows {
  explainResponse(response: string): string;
}

/** The table `redis`. */
export interface RedisRows {
  Entries: NativeEntriesClass;
  RedisReplay: NativeRedisReplayClass;
  redisLimits(): string;
  redisNeedsTls(host: string): boolean;
}

/** The table `servers`. */
export interface ServersRows {
  ResourceServer: NativeResourceServerClass;
  PublicPaths: NativePublicPathsClass;
  AuthorizationServer: NativeAuthorizationServerClass;
  Intent: NativeIntentClass;
  accessToken(token: string, key: NativeKey, now: number): string;
  requestDetail(method: string, url: string, body: Uint8Array | undefined): string;
}
