/**
 * What the compiled core exports, the same from the Node addon and from WASM. The classes of this package wrap it; nothing here is API.
 *
 * Values with several members are JSON text with `snake_case` members. Byte strings hold one byte in each character. Times are whole
 * seconds since 1970. What throws, throws an error of the facade as JSON text: see `errors.ts`.
 */

/** A key in this process. */
export interface NativeKey {
  algorithm(): string;
  publicJwk(): string;
  thumbprint(): string;
  sign(message: Uint8Array): Uint8Array;
  dangerPrivateJwk(): string;
  /** Not in the build for pages. */
  dangerPrivatePem?(): string;
}

/** A proof without its signature. */
export interface NativeUnsigned {
  message(): Uint8Array;
  digest(): Uint8Array | undefined | null;
  attach(signature: Uint8Array, encoding: string): string;
}

/** The nonces that servers gave. */
export interface NativeNonceCache {
  observe(origin: string, role: string, thumbprint: string, values: string[]): void;
  get(origin: string, role: string, thumbprint: string): string | undefined | null;
}

/** A proof as a replay store sees it. */
export interface NativeEntry {
  toJson(): string;
  lifetime(now: number): number;
}

/** The replay store of one process. */
export interface NativeMemoryStore {
  insert(entry: NativeEntry, now: number): string;
  epoch(): string;
  held(): number;
  wasForked(): boolean;
}

/** A proof that passed every check but replay. */
export interface NativePending {
  entry(): NativeEntry;
  settle(insertion: string, now: number): string;
  dangerSkipReplayCheck(): string;
}

/** One of many requests. */
export interface NativeRequest {
  method: string;
  url: string;
  proofs: string[];
  accessToken?: string;
  boundTo?: string;
  expectedNonce?: string;
}

/** Judges proofs. The six arguments in the middle of each call describe the request. */
export interface NativeVerifier {
  check(
    method: string, url: string, proofs: string[], accessToken: string | undefined, boundTo: string | undefined,
    expectedNonce: string | undefined, now: number,
  ): NativePending;
  verify(
    method: string, url: string, proofs: string[], accessToken: string | undefined, boundTo: string | undefined,
    expectedNonce: string | undefined, now: number, store: NativeMemoryStore,
  ): string;
  explain(
    method: string, url: string, proofs: string[], accessToken: string | undefined, boundTo: string | undefined,
    expectedNonce: string | undefined, now: number,
  ): string;
  refuse(
    method: string, url: string, proofs: string[], accessToken: string | undefined, boundTo: string | undefined,
    expectedNonce: string | undefined, now: number, reason: string,
  ): string;
  /** Judges on another thread; the addon alone has it. Each answer is what `verify` gives or throws. */
  verifyMany?(requests: NativeRequest[], now: number, store: NativeMemoryStore): Promise<string[]>;
  freshNonce(role: string, now: number): string | undefined | null;
  algorithms(): string[];
}

/** Keys of an issuer. */
export interface NativeJwkSet {
  readonly _jwkSet?: never;
}

/** Where a request to a resource stands. */
export interface NativeAccess {
  state(): string;
  entry(): NativeEntry | undefined | null;
  isAnsweredBy(keys: NativeJwkSet): boolean;
  keys(keys: NativeJwkSet, now: number): void;
  introspected(answer: Uint8Array, now: number): void;
  unavailable(): void;
  settle(insertion: string, now: number): void;
  insertInto(store: NativeMemoryStore, now: number): void;
  dangerSkipReplayCheck(): void;
  intent(): NativeIntent;
}

/** A protected resource. `fields` are names and values in turn, values as byte strings. */
export interface NativeResourceServer {
  receive(method: string, url: string, fields: string[], now: number): NativeAccess;
  receiveRaw(method: string, rawTarget: string, peer: string | undefined, fields: string[], now: number): NativeAccess;
  /** `{ path }` or `{ refusal }`, in JSON. */
  route(rawTarget: string, mountPath: string, path: string): string;
  requireScopes(access: NativeAccess, scopes: string[]): string | undefined | null;
  refuseRevoked(access: NativeAccess): string;
  carryOut(access: NativeAccess, method: string, url: string, body: Uint8Array, now: number): NativeEntry;
  usedUp(access: NativeAccess, method: string, url: string, body: Uint8Array, insertion: string, now: number): void;
  metadata(): string;
  metadataUrl(): string;
  metadataPath(): string;
}

/** A request to an authorization server on its way. */
export interface NativeAdmission {
  entry(): NativeEntry | undefined | null;
  settle(insertion: string, now: number): void;
  admitted(): string;
}

/** The endpoints of an authorization server. */
export interface NativeAuthorizationServer {
  check(request: string, proofs: string[], now: number): NativeAdmission;
  freshNonce(now: number): string | undefined | null;
  metadata(issuer: string): string;
}

/** What a user agreed to, for one key. */
export interface NativeIntent {
  grant(granted: string, now: number): NativeIntent;
  permits(method: string, url: string, body: Uint8Array, key: string, now: number): void;
  details(): string;
  key(): string;
  expiresAt(): number;
}

/** What holds memory of WebAssembly. The addon's is collected by Node. */
interface Freed {
  /** Gives the memory back and overwrites the secrets in it, now and not when the garbage is collected. It cannot be used then. */
  free?(): void;
}

/** A session: shows no token in its `info`. */
export interface NativeSession extends Freed {
  info(): string;
  dangerAccessToken(): string | undefined | null;
  member(name: string): string | undefined | null;
}

/** What was discovered. */
export interface NativeDiscovered {
  readonly _discovered?: never;
}

/** A login on another device. */
export interface NativeDevice {
  readonly _device?: never;
}

/** What an operation refers to besides its arguments. */
export interface NativeHandles extends Freed {
  discovered(value: NativeDiscovered): void;
  session(value: NativeSession): void;
  /** Where the build has the grants of devices. */
  device?(value: NativeDevice): void;
}

/** An operation of the client under way. */
export interface NativeFlow extends Freed {
  step(): string;
  resume(reply: string, now: number): string;
  discovered(): NativeDiscovered | undefined | null;
  session(): NativeSession | undefined | null;
  device?(): NativeDevice | undefined | null;
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

/** What the addon and the WASM build `flows` export for stores in folders. */
export interface NativeFileParts {
  /** The addon's. All others are for those who have none. */
  Files?: { open(folder: string, now: number): Promise<NativeFiles> };
  fileRules(): string;
  filePlace(slot: string): string;
  lockPause(attempts: number): number;
  fileName(text: string): string;
  textOfFileName(name: string): string | undefined | null;
  fileContent(version: number, value: string): string;
  fileVersion(content: string): number | undefined | null;
  FolderSweep?: new (now: number) => {
    found(folder: string, file: string, modified: number): string;
    content(folder: string, file: string, content: string | undefined, modified: number): void;
    finish(): string;
  };
}

/** What can be deleted: a slot if it still has this version, and keys by their thumbprints. */
export interface Swept {
  readonly slots: readonly { readonly slot: string; readonly version: number }[];
  readonly keys: readonly string[];
}

/** What a store deletes by itself: `finish` gives `slots` (`slot`, `version`) and `keys`. See docs of `Sweep` in the core. */
export interface NativeSweep extends Freed {
  stored(slot: string, version: number, value: string | undefined, storedAt: number | undefined): void;
  key(thumbprint: string, createdAt: number): void;
  finish(): string;
}

/** An OAuth client. */
export interface NativeClient {
  begin(operation: string, handles: NativeHandles, now: number): NativeFlow;
}

/** What the WASM builds of the client export, and the addon: enough for a client whose keys are held by the host. */
export interface NativeClientParts {
  Client: new (options: string) => NativeClient;
  Handles: new () => NativeHandles;
  Sweep: { new (now: number): NativeSweep; isDue(last: number, now: number): boolean };
  thumbprint(jwk: string): string;
}

/** What the build that explains refusals exports, and so do the addon and the build with servers. */
export interface NativeAdvice {
  /** What a refused response means. */
  explainResponse(response: string): string;
}

/** What the full build and the addon export. */
export interface Native {
  thumbprint(jwk: string): string;
  Key: {
    generate(algorithm: string): NativeKey;
    fromJwk(json: string, algorithm: string | undefined): NativeKey;
    /** This and the next: not in the build for pages. */
    fromPem?(pem: string, algorithm: string | undefined): NativeKey;
    fromDer?(der: Uint8Array, algorithm: string | undefined): NativeKey;
  };
  NonceCache: new () => NativeNonceCache;
  Verifier: new (options: string, epoch: string | undefined) => NativeVerifier;
  MemoryStore: new (capacity: number, options: string, now: number) => NativeMemoryStore;
  JwkSet: { parse(json: Uint8Array): NativeJwkSet };
  ResourceServer: new (options: string, verifier: string, epoch: string | undefined) => NativeResourceServer;
  AuthorizationServer: new (options: string, epoch: string | undefined) => NativeAuthorizationServer;
  Intent: { declare(details: string, key: string, lifetime: number, now: number): NativeIntent };
  proof(
    method: string, url: string, accessToken: string | undefined, nonce: string | undefined, key: NativeKey, now: number,
  ): string;
  prepare(
    method: string, url: string, accessToken: string | undefined, nonce: string | undefined, publicJwk: string, algorithm: string,
    now: number,
  ): NativeUnsigned;
  requestDetail(method: string, url: string, body: Uint8Array | undefined): string;
  reasons(): string;
}
