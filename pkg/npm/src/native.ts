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
  /** `epoch`: the life that the store answered in, that of the request by default. */
  settle(insertion: string, epoch: string | undefined, now: number): string;
  dangerSkipReplayCheck(): string;
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

/** Judges proofs. */
export interface NativeVerifier {
  check(presented: NativePresented, now: number): NativePending;
  verify(presented: NativePresented, now: number, store: NativeMemoryStore): string;
  explain(presented: NativePresented, now: number): string;
  refuse(presented: NativePresented, now: number, reason: string): string;
  /** Judges on another thread, in the epoch of the store; the addon alone has it. Each answer is what `verify` gives or throws. */
  verifyMany?(requests: NativePresented[], now: number, store: NativeMemoryStore): Promise<string[]>;
  freshNonce(role: string, epoch: string | undefined, now: number): string | undefined | null;
  algorithms(): string[];
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

/** A protected resource, which keeps the keys of its issuers and what was asked about tokens. */
export interface NativeResourceServer {
  /** Ends with `admitted`, and a principal, or `refused`. */
  admit(incoming: NativeIncoming, now: number): NativeFlow;
  /** Ends with `unconsumed` or `refused`. */
  check(incoming: NativeIncoming, now: number): NativeFlow;
  /** `{ path }` or `{ refusal }`, in JSON. */
  route(rawTarget: string, mountPath: string, path: string): string;
  metadata(): string;
  metadataPath(): string;
}

/** Whom an admitted request is from. */
export interface NativePrincipal {
  requireScopes(scopes: string[]): string | undefined | null;
  refuseRevoked(): string;
  intent(): NativeIntent;
  /** Ends with `carried_out` or `refused`. */
  carryOut(method: string, url: string, body: Uint8Array, now: number): NativeFlow;
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

/** A flow under way, of a client or a server. What it came to is there where the build has it. */
export interface NativeFlow extends Freed {
  step(): string;
  resume(reply: string, now: number): string;
  /** The work of a `share` step, for the first who waits for it. */
  task(now: number): NativeFlow | undefined | null;
  /** Gives it up at once. */
  abandon(): void;
  /** That of an `insert` step. */
  entry?(): NativeEntry | undefined | null;
  discovered?(): NativeDiscovered | undefined | null;
  session?(): NativeSession | undefined | null;
  device?(): NativeDevice | undefined | null;
  principal?(): NativePrincipal | undefined | null;
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
  Verifier: new (options: string) => NativeVerifier;
  MemoryStore: new (capacity: number, options: string, now: number) => NativeMemoryStore;
  ResourceServer: {
    /** A store of the host's own takes the entries, by `insert` steps. */
    new (options: string, verifier: string): NativeResourceServer;
    withStore(options: string, verifier: string, store: NativeMemoryStore): NativeResourceServer;
  };
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
