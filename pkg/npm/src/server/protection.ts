/** A protected resource with all that stands behind it: keys, store, nonces, clock. */

import { native, ready } from '#native';
import type { Algorithm } from '../drive.js';
import { KeyboundError, guarded, misuse } from '../errors.js';
import type { Refusal } from '../errors.js';
import { systemNow } from '../http.js';
import type { NativeAccess, NativeEntry, NativeResourceServer } from '../native.js';
import { checkLists, checkTexts, snakeCase } from '../options.js';
import type { Policy } from '../policy.js';
import { policyJson } from '../policy.js';
import { MemoryReplayStore, askStore } from '../replay.js';
import type { ReplayStore } from '../replay.js';
import { Introspector } from './introspection.js';
import type { Introspection } from './introspection.js';
import { FetchedKeys, IssuerKeys } from './keys.js';
import type { KeySource } from './keys.js';
import { Principal } from './principal.js';

/** What the access tokens of an issuer look like: as RFC 9068 says, or as these servers write them. */
export type IssuerProfile = 'rfc9068' | 'keycloak' | 'auth0' | 'okta' | 'entra_id' | 'entra_id_v1' | 'duende' | 'cognito';

/** An issuer, with more than its URL. */
export interface Issuer {
  readonly issuer: string;
  /** A JWK set, or where it comes from; fetched from where the issuer's metadata says, unless given. */
  readonly keys?: KeySource | { readonly keys: readonly object[] };
  /** Needed for servers whose tokens are not those of RFC 9068. */
  readonly profile?: IssuerProfile;
}

/** What is protected, and how. */
export interface ProtectionOptions {
  /** The resource's identifier, the URL that clients know it by: `https`, or `http` on loopback. Its origin is that of all requests. */
  readonly resource: string;
  /** Issuers of JWT access tokens; as RFC 9068 describes them, unless a profile says otherwise. */
  readonly issuers?: readonly (string | Issuer)[];
  /** Asks about tokens that are not JWTs. */
  readonly introspection?: Introspection;
  /** How answers are read that name none of `issuers`, where the server has a profile of its own. */
  readonly introspectionProfile?: IssuerProfile;
  /** Bound tokens alone by default. */
  readonly schemes?: 'dpop' | 'dpop_and_bearer' | 'bearer';
  /** Other values of `aud` than `resource`. */
  readonly audiences?: readonly string[];
  readonly tokenAlgorithms?: readonly Algorithm[];
  /** How far the clocks of issuers may differ, in seconds. */
  readonly leeway?: number;
  readonly requireClientId?: boolean;
  readonly realm?: string;
  /** The scope that a request without a token is told to ask for. */
  readonly challengeScope?: string;
  /** The scopes there are, for the metadata. */
  readonly scopes?: readonly string[];
  /** A name for people, for the metadata. */
  readonly name?: string;
  /** The URL of documentation, for the metadata. */
  readonly documentation?: string;
  /**
   * Paths, as clients see them, whose handlers call {@link Principal.carryOut}; `/x/*` is all below `/x/`. Everywhere else a token
   * with `authorization_details` (RFC 9396) is refused: it is good for nothing else.
   */
  readonly intentsAt?: readonly string[];
  /** The public origin, where it is another than that of `resource`. */
  readonly origin?: string;
  readonly alsoOrigins?: readonly string[];
  /** What a proxy takes off the path before requests arrive here. */
  readonly pathPrefix?: string;
  /**
   * What this program takes off the path itself before routes are looked up, decoded, for example `/api` for Fastify's `rewriteUrl` or
   * Hono's `mount`. Routers of Express and prefixes of Fastify need none. A request whose routed path is not the rest of its target is refused.
   */
  readonly mountPath?: string;
  /** Proxies that say what clients asked for. `hops`: which value counts from the right, 0 where they replace what came in. */
  readonly proxies?: {
    readonly addresses: readonly string[];
    readonly family: 'forwarded' | 'x_forwarded' | 'x_forwarded_with_port';
    readonly hops?: number;
  };
  /** How proofs are judged. Nonces are issued unless `nonces` is false. */
  readonly proofs?: Policy;
  /** Where proofs are remembered: in the memory of this process, unless a store is given. Refused where several workers run. */
  readonly store?: ReplayStore;
  /** In how many processes or isolates the service runs, where that cannot be seen: without a store, `1` or refused. */
  readonly workers?: number;
  /** Remembers no proofs: whoever sees a request can repeat it until its proof is too old. */
  readonly dangerNoReplayStore?: boolean;
  /** Whole seconds since 1970, for tests. */
  readonly now?: () => number;
  /** Told of faults of the host: keys that cannot be fetched, a store that fails. By default a warning of the process or console. */
  readonly onFault?: (fault: unknown) => void;
}

/** A request as it was received. */
export interface RequestParts {
  readonly method: string;
  /** The raw request target, `/a%2Fb?c`: never a decoded path. */
  readonly target: string;
  /**
   * The path that routes are looked up by, encoded or decoded, where the program can have changed it since: a proof for one path
   * must not open another. Without it, that of `target`.
   */
  readonly path?: string | undefined;
  /** Names and values of all field lines, in turn, as Node's `rawHeaders`. */
  readonly fields: readonly string[];
  /** The address of the connection, for resources behind trusted proxies. */
  readonly peer?: string | undefined;
}

/** What became of a request. */
export type Decision =
  | { readonly verdict: 'granted'; readonly principal: Principal }
  | { readonly verdict: 'refused'; readonly refusal: Refusal };

/** Decides about the requests to one protected resource. */
export class Protection {
  readonly #resource: string;
  readonly #policy: { readonly verifier: string; readonly terms: string };
  readonly #store: ReplayStore | undefined;
  readonly #issuers: readonly Required<Omit<Issuer, 'profile'>>[];
  readonly #introspector: Introspector | undefined;
  readonly #mountPath: string;
  readonly #now: () => number;
  readonly #onFault: (fault: unknown) => void;
  #keys: ReadonlyMap<string, IssuerKeys> | undefined;
  #server: NativeResourceServer | undefined;
  #epoch: string | undefined;
  #warned = false;

  /** @throws Misuse for options that could never admit a request, and for a memory store where several workers run */
  constructor(options: ProtectionOptions) {
    checkLists(options, ['issuers']);
    checkTexts(options, ['audiences', 'tokenAlgorithms', 'scopes', 'alsoOrigins', 'intentsAt']);
    const { issuers = [], introspection, proofs = {}, store, workers, dangerNoReplayStore, now, onFault, proxies, ...rest } = options;
    if (proxies !== undefined) checkTexts(proxies, ['addresses']);
    const known = issuers.map(issuerOf);
    this.#issuers = known;
    this.#resource = JSON.stringify({
      publish_metadata: true,
      ...snakeCase(rest),
      ...(proxies && { proxies }),
      issuers: known.map(({ issuer, profile }) => ({ issuer, profile })),
      introspection: introspection !== undefined,
    });
    this.#policy = policyJson({ nonces: { namespace: options.resource }, ...proofs });
    this.#store = dangerNoReplayStore === true ? undefined : (store ?? new MemoryReplayStore(workers === undefined ? {} : { workers }));
    if (this.#store instanceof MemoryReplayStore) this.#store._serves(proofs);
    this.#mountPath = options.mountPath ?? '';
    this.#now = now ?? systemNow;
    this.#onFault = onFault ?? warn;
    this.#introspector = introspection && new Introspector(introspection, this.#onFault);
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof KeyboundError && error.reason === 'not_ready')) throw error;
    }
  }

  /** The server for the store's present life, whose nonces vouch for it. */
  #open(): NativeResourceServer {
    if (this.#store instanceof MemoryReplayStore) this.#store._open(this.#policy.terms, this.#now());
    const epoch = this.#store?.epoch?.();
    // A set that cannot be used is shown at the start, and changing the object later changes nothing.
    this.#keys ??= new Map(this.#issuers.map(({ issuer, keys }) => [issuer, new IssuerKeys(keys, this.#onFault)]));
    if (this.#server === undefined || epoch !== this.#epoch) {
      this.#server = guarded(() => new (native().ResourceServer)(this.#resource, this.#policy.verifier, epoch));
      this.#epoch = epoch;
    }
    return this.#server;
  }

  /** Decides about one request, and never throws for what the peer sent. */
  async authenticate(request: RequestParts): Promise<Decision> {
    // Read before anything is waited for: what is decided about is what was given.
    checkTexts(request, ['fields']);
    const { method, target, path, peer, fields } = { ...request, fields: [...request.fields] };
    await ready();
    const server = this.#open();
    const misrouted = this.#misrouted(target, path);
    if (misrouted !== undefined) return { verdict: 'refused', refusal: misrouted };
    const access = guarded(() => server.receiveRaw(method, target, peer, fields, this.#now()));
    for (;;) {
      const state = JSON.parse(guarded(() => access.state())) as Record<string, unknown>;
      switch (state['state']) {
        case 'keys':
          await this.#answerKeys(access, state['issuer'] as string);
          break;
        case 'introspection': {
          const answer = await this.#introspector?.answer(state['token'] as string, this.#now());
          guarded(() => (answer === undefined ? access.unavailable() : access.introspected(answer, this.#now())));
          break;
        }
        case 'insert':
          await this.#consume(access);
          break;
        case 'granted':
          return { verdict: 'granted', principal: this.#principal(state['principal'], server, access) };
        case 'refused':
          return { verdict: 'refused', refusal: state['refusal'] as Refusal };
        default:
          throw misuse('unknown_state', `the core is in the state ${String(state['state'])}, which this version does not know`);
      }
    }
  }

  async #answerKeys(access: NativeAccess, issuer: string): Promise<void> {
    const set = await this.#keys?.get(issuer)?.answer(access, this.#now());
    guarded(() => (set === undefined ? access.unavailable() : access.keys(set, this.#now())));
  }

  async #consume(access: NativeAccess): Promise<void> {
    const store = this.#store;
    if (store === undefined) return guarded(() => access.dangerSkipReplayCheck());
    if (store instanceof MemoryReplayStore) {
      const inner = store._open(this.#policy.terms, this.#now());
      return guarded(() => access.insertInto(inner, this.#now()));
    }
    const insertion = await this.#ask(store, access.entry() as NativeEntry);
    return guarded(() => access.settle(insertion, this.#now()));
  }

  #principal(described: unknown, server: NativeResourceServer, access: NativeAccess): Principal {
    const insert = async (entry: NativeEntry): Promise<string> => {
      const store = this.#store;
      if (store === undefined) throw misuse('no_store', 'an intent is carried out once: leave dangerNoReplayStore out, or give a store');
      if (!(store instanceof MemoryReplayStore)) return this.#ask(store, entry);
      const inner = store._open(this.#policy.terms, this.#now());
      return guarded(() => inner.insert(entry, this.#now()));
    };
    return new Principal(described as Record<string, unknown>, server, access, insert, this.#now);
  }

  async #ask(store: ReplayStore, entry: NativeEntry): Promise<string> {
    try {
      return await askStore(store, entry, this.#now(), this.#onFault);
    } catch (fault) {
      // A store that answers with something else than an insertion has not answered.
      this.#onFault(fault);
      return 'unavailable';
    }
  }

  /** The metadata document (RFC 9728 section 2), to be served as JSON at {@link metadataPath}, open to everyone. */
  get metadata(): Readonly<Record<string, unknown>> {
    return JSON.parse(this.#open().metadata()) as Record<string, unknown>;
  }

  /** The path of the metadata. */
  get metadataPath(): string {
    return this.#open().metadataPath();
  }

  /** Decides about one request, unless it is for the metadata. @internal */
  async _answer(request: RequestParts): Promise<Decision | 'metadata'> {
    const given = { ...request, fields: [...request.fields] };
    await ready();
    const { method, target, path } = given;
    const asks = (method === 'GET' || method === 'HEAD') && target.split('?', 1)[0] === this.metadataPath;
    return asks && this.#misrouted(target, path) === undefined ? 'metadata' : this.authenticate(given);
  }

  /** The answer to a request that is routed by another path than it was sent to; none, if all is well. */
  #misrouted(target: string, path: string | undefined): Refusal | undefined {
    if (path === undefined) return undefined;
    const answer = guarded(() => this.#open().route(target, this.#mountPath, decodedPath(path)));
    const { refusal } = JSON.parse(answer) as { refusal?: Refusal };
    if (refusal?.reason === 'mount_path_mismatch' && !this.#warned) {
      this.#warned = true;
      const advice = "if this program takes a prefix off the path itself, give the option mountPath, for example mountPath: '/api'";
      this.#onFault(new Error(`requests are routed by another path than the one they were sent to, and are refused with 400; ${advice}`));
    }
    return refusal;
  }
}

/** A path with its percent-encoding undone; what is no UTF-8 becomes U+FFFD, as in the core. */
function decodedPath(path: string): string {
  const bytes = new TextEncoder().encode(path);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const escaped = /^%[0-9a-f]{2}$/i.exec(String.fromCharCode(...bytes.subarray(at, at + 3)));
    bytes[length] = escaped === null ? (bytes[at] as number) : Number.parseInt(escaped[0].slice(1), 16);
    at += escaped === null ? 0 : 2;
    length += 1;
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, length));
}

function issuerOf(given: string | Issuer): Issuer & Required<Omit<Issuer, 'profile'>> {
  if (typeof given === 'string') return { issuer: given, keys: FetchedKeys.ofIssuer(given) };
  const { issuer, keys, profile } = given ?? {};
  if (typeof issuer === 'string' && (keys === undefined || (typeof keys === 'object' && keys !== null))) {
    return { issuer, keys: keys ?? FetchedKeys.ofIssuer(issuer), ...(profile !== undefined && { profile }) };
  }
  throw misuse('wrong_type', "each entry of issuers is a URL, or an object like { issuer: 'https://as.example.com', keys: { keys: [jwk] }, profile: 'keycloak' }");
}

/** Begins to protect a resource. */
export function protect(options: ProtectionOptions): Protection {
  return new Protection(options);
}

/** The fields of the answer with the metadata: public, and wanted by clients in browsers. @internal */
export const METADATA_FIELDS = { 'content-type': 'application/json', 'access-control-allow-origin': '*' } as const;

function warn(fault: unknown): void {
  const text = fault instanceof Error ? fault.message : String(fault);
  console.warn(`keybound: ${text}`);
}
