/** A protected resource with all that stands behind it: keys, store, nonces, clock. */

import { native, ready } from '#native';
import { checkCopy, checkInstance, mark } from '../copies.js';
import type { Algorithm, Finished } from '../drive.js';
import { KeyboundError, guarded, misuse } from '../errors.js';
import type { Refusal } from '../errors.js';
import type { NativeFlow, NativeIncoming, NativePrincipal, NativeResourceServer } from '../native.js';
import { checkBytes, checkFunctions, checkLists, checkObject, checkStrings, checkTexts, jsonOf, snakeCase } from '../options.js';
import type { Policy } from '../policy.js';
import { policyJson } from '../policy.js';
import { Consumption } from './consumption.js';
import type { Cors, Counters, Limit, ServerOptions } from './options.js';
import type { Answer, Fields } from './fields.js';
import { IntrospectionEndpoint } from './introspection.js';
import type { Introspection } from './introspection.js';
import { FetchedKeys } from './keys.js';
import type { KeySource } from './keys.js';
import { Principal } from './principal.js';
import { Refusals } from './refused.js';
import type { RefusedRequest } from './refused.js';

/** What the access tokens of an issuer look like: as RFC 9068 says, or as these servers write them. */
export type IssuerProfile = 'rfc9068' | 'keycloak' | 'auth0' | 'okta' | 'entra_id' | 'entra_id_v1' | 'duende' | 'cognito';

/** An issuer, with more than its URL. */
export interface Issuer {
  readonly issuer: string;
  /** A JWK set, or where it comes from; fetched from where the issuer's metadata says, unless given. */
  readonly keys?: FetchedKeys | KeySource | { readonly keys: readonly object[] };
  /** Needed for servers whose tokens are not those of RFC 9068. */
  readonly profile?: IssuerProfile;
}

/** What is protected, and how. */
export interface ProtectionOptions extends ServerOptions {
  /** The resource's identifier, the URL that clients know it by: `https`, or `http` on loopback. Its origin is that of all requests. */
  readonly resource: string;
  /** Issuers of JWT access tokens; as RFC 9068 describes them, unless a profile says otherwise. */
  readonly issuers?: readonly (string | Issuer)[];
  /** Asks about tokens that are not JWTs. */
  readonly introspection?: IntrospectionEndpoint | Introspection;
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
    /**
     * They set `X-Forwarded-For` as well, which limits by address need: of a field that they pass on as it came, every client chooses its
     * address. `Forwarded` has the address in any case.
     */
    readonly clientAddresses?: boolean;
  };
  /** How many requests with tokens of one client are admitted, whatever their keys. */
  readonly limitClients?: Limit;
  /**
   * Lets pages of other origins call. Preflights are then answered here, and no handler sees them. Leave it out where a CORS middleware of the
   * framework stands in front.
   */
  readonly cors?: Cors;
  /**
   * Told of each request that is refused: why, and its path without the query. It is called before the request is answered; what it throws goes
   * to `onFault`. `NODE_DEBUG=keybound` or `DEBUG=keybound` in the environment writes the same to the console, with what differed.
   */
  readonly onRefused?: (refused: RefusedRequest) => void;
  /** How proofs are judged. Nonces are issued unless `nonces` is false. */
  readonly proofs?: Policy;
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
  /** The address of the connection: for trusted proxies, and for limits by address. */
  readonly peer?: string | undefined;
  /** The SHA-256 hash of the client's certificate (DER), 32 bytes, where TLS asked for one. */
  readonly certificate?: Uint8Array | undefined;
  /** The template of the route, such as `/items/:id`, for audit records; never the path of the request. */
  readonly route?: string | undefined;
}

/** What became of a request. */
export type Decision =
  | { readonly verdict: 'granted'; readonly principal: Principal }
  | { readonly verdict: 'refused'; readonly refusal: Refusal };

/** What a gateway found, in front of a service that uses the proof up. */
export type Checked =
  /** Every check but replay was passed; `thumbprint` is that of the key, none for an unbound token. */
  | { readonly verdict: 'unconsumed'; readonly thumbprint: string | undefined }
  | { readonly verdict: 'refused'; readonly refusal: Refusal };

/** Decides about the requests to one protected resource. */
export class Protection {
  readonly #options: string;
  readonly #policy: { readonly verifier: string; readonly terms: string };
  readonly #consumption: Consumption;
  readonly #mountPath: string;
  readonly #crosses: boolean;
  readonly #refusals: Refusals;
  #server: NativeResourceServer | undefined;
  #warned = false;

  static {
    mark(this, 'Protection');
  }

  /** @throws Misuse for options that could never admit a request, and for a memory store where several workers run */
  constructor(options: ProtectionOptions) {
    checkObject('what a protection is made of', options, "write protect({ resource: 'https://api.example.com', issuers: ['https://as.example.com'] })");
    checkCopy(options, Protection);
    checkFunctions(options, ['onRefused', 'onFault', 'now']);
    checkLists(options, ['issuers']);
    checkTexts(options, ['audiences', 'tokenAlgorithms', 'scopes', 'alsoOrigins', 'intentsAt']);
    const { issuers = [], introspection, proofs = {}, store, workers, dangerNoReplayStore = false, dangerFirstStart, now, onFault, onRefused, proxies, cors, audit, ...rest } = options;
    if (proxies !== undefined) checkTexts(proxies, ['addresses']);
    if (cors !== undefined) checkCors(cors);
    this.#policy = policyJson(proofs);
    const sources = new Map<string, KeySource>();
    this.#consumption = new Consumption(options, proofs, async (question, subject) => {
      const answer = question === 'token' ? (introspection as Introspection).introspect(subject) : sources.get(subject)?.fetch();
      return answer ?? Promise.reject(new Error('no source was given for this'));
    });
    this.#options = jsonOf('what a protection is made of', {
      publish_metadata: true,
      ...snakeCase(rest),
      ...(proxies && { proxies: snakeCase(proxies) }),
      ...(cors && { cors: snakeCase(cors) }),
      issuers: issuers.map((issuer) => issuerOf(issuer, sources)),
      introspection: introspection instanceof IntrospectionEndpoint ? introspection._options() : introspection !== undefined,
      danger_no_replay_store: dangerNoReplayStore,
      audit: this.#consumption.audit,
    });
    this.#mountPath = options.mountPath ?? '';
    this.#crosses = cors !== undefined;
    this.#refusals = new Refusals(onRefused, this.#consumption.onFault);
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof KeyboundError && error.reason === 'not_ready')) throw error;
    }
  }

  /** The server, once the core is loaded. */
  #open(): NativeResourceServer {
    if (this.#server !== undefined) return this.#server;
    const [{ ResourceServer }, { verifier, terms }] = [native(), this.#policy];
    const memory = this.#consumption.memory(terms);
    this.#server = guarded('protect', () => {
      return memory === undefined ? new ResourceServer(this.#options, verifier) : ResourceServer.withStore(this.#options, verifier, memory);
    });
    return this.#server;
  }

  /** Decides about one request, and never throws for what the peer sent. */
  async authenticate(request: RequestParts): Promise<Decision> {
    const judged = await this.#judge('authenticate', request, (server, incoming, now) => server.admit(incoming, now));
    if ('refusal' in judged) return this.#refused(request, judged.refusal);
    const { result, principal } = judged;
    const run = (begin: (now: number) => NativeFlow): Promise<Finished> => {
      if (!this.#consumption.remembers) throw misuse('no_store', 'an intent is carried out once: leave dangerNoReplayStore out, or give a store');
      return this.#consumption.run('carryOut', begin);
    };
    const { method, target, route } = request;
    const told = (refusal: Refusal): void => this.#refusals.tell({ method, target, route }, refusal);
    return { verdict: 'granted', principal: new Principal(result['principal'] as Record<string, unknown>, principal as NativePrincipal, run, told) };
  }

  /** Makes every check but replay, and uses nothing up: for a gateway in front of the service that does. Nothing may be done for the peer by this alone. */
  async check(request: RequestParts): Promise<Checked> {
    const judged = await this.#judge('check', request, (server, incoming, now) => server.check(incoming, now));
    if ('refusal' in judged) return this.#refused(request, judged.refusal);
    return { verdict: 'unconsumed', thumbprint: judged.result['thumbprint'] as string | undefined };
  }

  #refused(request: RequestParts, refusal: Refusal): { readonly verdict: 'refused'; readonly refusal: Refusal } {
    this.#refusals.tell(request, refusal, () => this.#differences(request, refusal.reason));
    return { verdict: 'refused', refusal };
  }

  /** What was expected and what was found, for the developer. */
  #differences(request: RequestParts, reason: string): readonly string[] {
    const [server, incoming, now] = [this.#open(), copyOf(request), this.#consumption.now()];
    const differing = guarded('onRefused', () => server.difference(incoming, reason, now));
    if (differing === undefined || differing === null) return [];
    const { expected, found } = JSON.parse(differing) as { expected: string; found: string };
    return [`expected ${expected}`, `found ${found}`];
  }

  async #judge(
    where: string, request: RequestParts, begin: (server: NativeResourceServer, incoming: NativeIncoming, now: number) => NativeFlow,
  ): Promise<Finished | { readonly refusal: Refusal }> {
    const given = copyOf(request);
    const { target, path, route } = request;
    await ready();
    const misrouted = this.#misrouted(target, path);
    if (misrouted !== undefined) return { refusal: this.#crossing(given, misrouted) };
    const incoming = { ...given, ...this.#consumption.arrival() };
    const finished = await this.#consumption.run(where, (now) => begin(this.#open(), incoming, now), route);
    return finished.result.kind === 'refused' ? { refusal: finished.result['refusal'] as Refusal } : finished;
  }

  /** An answer with what it says to the browser of a page of another origin; to a preflight, the answer to that. */
  #crossing<A extends Answer>(incoming: NativeIncoming, answer: A): A | Refusal {
    if (!this.#crosses) return answer;
    const { refusal, headers = [] } = JSON.parse(guarded('authenticate', () => this.#open().cors(incoming))) as { refusal?: Refusal; headers?: Fields };
    const kept = answer.headers.filter(([name]) => !headers.some(([added]) => added === name));
    return refusal ?? { ...answer, headers: [...kept, ...headers] };
  }

  /** What was decided so far. */
  counters(): Counters {
    return this.#consumption.counters(this.#open().counters());
  }

  /** The metadata document (RFC 9728 section 2), to be served as JSON at {@link metadataPath}, open to everyone. */
  get metadata(): Readonly<Record<string, unknown>> {
    return JSON.parse(this.#open().metadata()) as Record<string, unknown>;
  }

  /** The path of the metadata. */
  get metadataPath(): string {
    return this.#open().metadataPath();
  }

  /** What to send instead of a handler's answer, the metadata among it, or whom the request is from. @internal */
  async _answer(request: RequestParts): Promise<{ readonly answer: Answer } | { readonly principal: Principal }> {
    const given = { ...request, fields: [...request.fields] };
    const metadata = await this._metadata(given);
    if (metadata !== undefined && this.#misrouted(given.target, given.path) === undefined) return { answer: metadata };
    const decision = await this.authenticate(given);
    return decision.verdict === 'refused' ? { answer: decision.refusal } : decision;
  }

  /** The metadata, where a request is for it. @internal */
  async _metadata(request: RequestParts): Promise<Answer | undefined> {
    const { method, target } = request;
    await ready();
    const asks = (method === 'GET' || method === 'HEAD') && target.split('?', 1)[0] === this.metadataPath;
    if (!asks) return undefined;
    return { status: 200, headers: METADATA_FIELDS, body: JSON.stringify(this.metadata) };
  }

  /** The answer to a request that is routed by another path than it was sent to; none, if all is well. */
  #misrouted(target: string, path: string | undefined): Refusal | undefined {
    if (path === undefined) return undefined;
    const answer = guarded('authenticate', () => this.#open().route(target, new TextEncoder().encode(this.#mountPath), decodedPath(path)));
    const { refusal } = JSON.parse(answer) as { refusal?: Refusal };
    if (refusal?.reason === 'mount_path_mismatch' && !this.#warned) {
      this.#warned = true;
      const advice = "if this program takes a prefix off the path itself (Fastify's rewriteUrl, Hono's mount), give the option mountPath with the prefix that stands there, for example mountPath: '/api'";
      this.#consumption.onFault(new Error(`requests are routed by another path than the one they were sent to, and are refused with 400; ${advice}`));
    }
    return refusal;
  }
}

/** A request as it is now: what is decided about later is what was given. */
function copyOf(request: RequestParts): NativeIncoming {
  checkObject('a request', request, 'write { method, target, fields }');
  checkTexts(request, ['fields']);
  const { method, target, path, peer, certificate, route } = request;
  checkStrings('a request', { method: method ?? null, target: target ?? null, path, peer, route });
  if (certificate !== undefined) checkBytes('certificate of a request', certificate);
  return { method, target, fields: [...request.fields], ...(peer !== undefined && { peer }), ...(certificate && { certificate: certificate.slice() }) };
}

/** The mistake of two protections around one handler: the proof is used up by the first, and the second refuses it. @internal */
export function twice(): Error {
  return misuse('protected_twice', 'a protection is laid around this already, so that no request could pass both; call protect once for each path, and for more scope use requireScopes');
}

/** Refuses anything but a protection. `what` names the argument. @throws Misuse @internal */
export function checkProtection(what: string, protection: unknown): void {
  checkInstance(what, protection, Protection, 'make one with new Protection(options), and give it to protect as well');
}

/** @throws Misuse */
function checkCors(cors: Cors): void {
  if (typeof cors !== 'object' || cors === null || Array.isArray(cors) || cors.origins === undefined) {
    throw misuse('wrong_type', "cors names the origins of pages: write cors: { origins: ['https://app.example.com'] }");
  }
  checkTexts(cors, ['origins', 'methods', 'allowedHeaders', 'exposedHeaders']);
}

/** A path with its percent-encoding undone. */
function decodedPath(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const escaped = /^%[0-9a-f]{2}$/i.exec(String.fromCharCode(...bytes.subarray(at, at + 3)));
    bytes[length] = escaped === null ? (bytes[at] as number) : Number.parseInt(escaped[0].slice(1), 16);
    at += escaped === null ? 0 : 2;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** An issuer as the core reads it; a source of the program's own goes into `sources`. */
function issuerOf(given: string | Issuer, sources: Map<string, KeySource>): string | Record<string, unknown> {
  if (typeof given === 'string') return given;
  const { issuer, keys, profile } = given ?? {};
  if (typeof issuer === 'string' && (keys === undefined || (typeof keys === 'object' && keys !== null))) {
    if (keys instanceof FetchedKeys) {
      if ('url' in keys._place) return { issuer, profile, jwks_uri: keys._place.url };
      if (keys._place.issuer === issuer) return { issuer, profile };
      throw misuse('wrong_type', `the keys of ${issuer} come from its own metadata: leave keys out, or write keys: FetchedKeys.at(url)`);
    }
    if (keys === undefined || !('fetch' in keys)) return { issuer, profile, keys };
    sources.set(issuer, keys);
    return { issuer, profile, keys: 'host' };
  }
  throw misuse('wrong_type', "each entry of issuers is a URL, or an object like { issuer: 'https://as.example.com', keys: { keys: [jwk] }, profile: 'keycloak' }");
}

/** Begins to protect a resource. */
export function protect(options: ProtectionOptions): Protection {
  return new Protection(options);
}

/** The fields of the answer with the metadata: public, and wanted by clients in browsers. */
const METADATA_FIELDS: Fields = [['Content-Type', 'application/json'], ['Access-Control-Allow-Origin', '*']];
