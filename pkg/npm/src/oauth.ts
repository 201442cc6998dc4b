/** The OAuth client over a native core and a store: each operation of the core as a method. */

import type { Algorithm, Finished, Host, Protection, PublicJwk, Store } from './drive.js';
import { drive } from './drive.js';
import { FlowFailed, guarded, misuse, named } from './errors.js';
import type { Settings } from './http.js';
import { FetchExchange, hostOf } from './http.js';
import type { NativeClient, NativeClientParts, NativeFlow } from './native.js';
import { camelCase, checkLists, checkNames, checkObject, checkStrings, checkTexts, jsonOf, snakeCase, urlOf } from './options.js';
import { Discovered, Session, checkDiscovered, checkSession, type Level } from './session.js';

export { Discovered, Session, type Level, type Subject } from './session.js';

/** A client that one issuer knows. */
export interface Credentials {
  readonly issuer: string;
  readonly clientId: string;
  /** `none`, the default, for a public client. */
  readonly method?: 'none' | 'secret' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt';
  readonly secret?: string;
  /** For `private_key_jwt`: the public part of a key that the store holds, another than those of proofs. */
  readonly publicJwk?: Readonly<Record<string, unknown>>;
  readonly algorithm?: Algorithm;
  readonly keyId?: string;
}

/** How a client behaves. */
export interface ClientOptions {
  readonly level: Level;
  readonly redirectUri?: string;
  readonly credentials?: readonly Credentials[];
  /** The URL of this client's metadata document, which is its identifier too. */
  readonly metadataDocument?: string;
  /** Metadata to register with (RFC 7591), where no credentials are given. */
  readonly register?: Readonly<Record<string, unknown>>;
  /** The issuers that logins go to; without it, any that a resource names. */
  readonly acceptIssuers?: readonly string[];
  /** The tenant of Entra ID, a GUID, whose server is asked where Entra ID is named for many (`common`, `organizations`). */
  readonly entraTenant?: string;
  /** Metadata (RFC 8414) of servers that publish none. */
  readonly servers?: readonly Readonly<Record<string, unknown>>[];
  /** Origins that may have a session's token besides that of its resource. */
  readonly alsoOrigins?: readonly string[];
  readonly algorithms?: readonly Algorithm[];
  /** Take keys in hardware alone. */
  readonly hardwareKeys?: boolean;
  /** Permit `http` on loopback. */
  readonly allowLoopback?: boolean;
  readonly pushWithProof?: boolean;
  readonly dangerAssumePkce?: boolean;
  readonly dangerAssumeEndpoints?: boolean;
  readonly dangerAcceptBearer?: boolean;
}

/** What a new session is to be. */
export interface SessionRequest {
  /** Its name: sessions are stored and opened by it. Not with `again`. */
  readonly session?: string;
  /** What {@link OAuthClient.discover} found. Not with `again`. */
  readonly discovered?: Discovered;
  /** The session to log in again. */
  readonly again?: Session;
  readonly scope?: string;
  readonly resource?: string;
  readonly level?: Level;
  /** RFC 9396. */
  readonly authorizationDetails?: readonly Readonly<Record<string, unknown>>[];
  /** Details of an intent, which one fresh key may carry out, once. It asks for no scope but the one given here. */
  readonly intent?: readonly Readonly<Record<string, unknown>>[];
  /** For how many seconds the intent may be carried out, counted from its token: 1 to 3,600, and 300 otherwise. */
  readonly intentLifetime?: number;
  readonly offlineAccess?: boolean;
  /** Further parameters of the authorization or token request. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The `sub` that every token response must have: tokens of another account are refused, and nothing is stored. */
  readonly expectSubject?: string;
  /**
   * Store the session only when {@link OAuthClient.keep} says so, so that its {@link Session.subject} can be verified first;
   * {@link OAuthClient.end} gives it up.
   */
  readonly provisional?: boolean;
  /** Send the authorization request in the URL although the server takes pushed requests (RFC 9126). */
  readonly withoutPushedRequest?: boolean;
  /** Send no `resource` parameter (RFC 8707), for servers whose scopes name the resource. */
  readonly withoutResource?: boolean;
  /** Say the scope again at each refresh. */
  readonly scopeOnRefresh?: boolean;
  /** Take the server to support PKCE although it does not say so. If it does not, codes can be injected. */
  readonly dangerAssumePkce?: boolean;
}

/** A token to exchange (RFC 8693). */
export interface TokenExchange {
  readonly subjectToken: string;
  readonly subjectTokenType: string;
  readonly actorToken?: string;
  readonly actorTokenType?: string;
  readonly requestedTokenType?: string;
  readonly audience?: string;
}

/** A bound access token that was obtained elsewhere. */
export interface HeldToken {
  /** The name for its session. */
  readonly session: string;
  readonly token: string;
  /** Where it is good. */
  readonly resource: string;
  readonly publicJwk: PublicJwk;
  readonly algorithm: Algorithm;
  readonly protection?: Protection;
  readonly expiresAt?: number;
}

/** Where to send the user's browser. */
export interface Authorization {
  readonly url: string;
  readonly state: string;
  /** Whole seconds since 1970. */
  readonly expiresAt: number;
  /**
   * Whether the server has the request already and the URL refers to it (RFC 9126). If not, the user can read and change what the URL
   * says.
   */
  readonly pushed: boolean;
}

/** What to show the user who logs in on another device. */
export interface DevicePrompt {
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete?: string;
  readonly expiresAt: number;
}

/** A token that is no access token, from {@link OAuthClient.exchangeFor}. */
export interface IssuedToken {
  readonly token: string;
  readonly tokenType: string;
  readonly expiresAt?: number;
}

/** What a refused request needs: see {@link demandOf}. */
export type Demand = { readonly do: 'login' } | { readonly do: 'step_up'; readonly scope: string };

const demands = new WeakMap<Response, Demand>();

/** Whether a login or more scope would help against this refusal, which `client.fetch(session)` gave. */
export function demandOf(response: Response): Demand | undefined {
  return demands.get(response);
}

const ignored = new WeakMap<Response, string>();

/**
 * Why a malformed challenge of this answer, which `client.fetch(session)` gave, was ignored, if one was. `fetch` joins the lines of
 * `WWW-Authenticate`, so that a malformed one can spoil the others.
 */
export function ignoredChallengeOf(response: Response): string | undefined {
  return ignored.get(response);
}

/** An OAuth 2.1 client whose keys and sessions are in a store. */
export class OAuthClient {
  readonly #core: () => Core | Promise<Core>;
  readonly #settings: Settings;
  /** @internal */
  protected readonly host: Host;

  /**
   * @param native what the build exports, or what loads it; mistakes in the options are then shown by the first operation
   * @throws Misuse for options that cannot be used
   */
  constructor(
    native: NativeClientParts | (() => Promise<NativeClientParts>),
    options: ClientOptions,
    store: Store,
    settings: Settings = {},
  ) {
    checkObject('what a client is made of', options, "write new Client({ level: 'enhanced' }, store)");
    checkStorage(store);
    checkTexts(options, ['acceptIssuers', 'alsoOrigins', 'algorithms']);
    checkLists(options, ['credentials', 'servers']);
    const { credentials, ...rest } = options;
    for (const one of credentials ?? []) checkObject('each entry of credentials', one, "write { issuer: 'https://as.example.com', clientId: 'notes' }");
    const all = jsonOf('what a client is made of', { ...snakeCase(rest), ...(credentials && { credentials: credentials.map(snakeCase) }) });
    this.#settings = settings;
    this.host = hostOf(store, settings);
    const make = (native: NativeClientParts): Core => [native, guarded('new Client', () => new native.Client(all))];
    let core: Core | Promise<Core> | undefined = typeof native === 'function' ? undefined : make(native);
    this.#core = () => (core ??= (native as () => Promise<NativeClientParts>)().then(make));
  }

  /**
   * Finds out what protects `url`, from its answer to a request without a token. `issuer` is the authorization server's identifier, for
   * a resource that publishes none; one that is published goes before.
   */
  async discover(url: string, issuer?: string): Promise<Discovered> {
    checkStrings('discover', { issuer });
    return new Discovered(await this.#run({ do: 'discover', target: urlOf('discover', url), ...(issuer !== undefined && { issuer }) }));
  }

  /** Finds the authorization server with this issuer identifier, for resources that publish no metadata. */
  async discoverIssuer(issuer: string): Promise<Discovered> {
    checkStrings('discoverIssuer', { issuer: issuer ?? null });
    return new Discovered(await this.#run({ do: 'discover_issuer', issuer }));
  }

  /** Begins a login: bring the browser to the URL, and what it comes back to, to {@link exchange}. */
  async authorize(request: SessionRequest): Promise<Authorization> {
    return this.#authorization(await this.#request('authorize', request));
  }

  /** Begins a login for more scope. */
  async stepUp(session: Session, scope: string): Promise<Authorization> {
    checkSession('what stepUp takes', session);
    checkStrings('stepUp', { scope: scope ?? null }, SCOPE);
    return this.#authorization(await this.#run({ do: 'step_up', scope }, { session }));
  }

  #authorization({ result }: Finished): Authorization {
    const { url, state, expires_at: expiresAt, pushed } = result;
    return { url: url as string, state: state as string, expiresAt: expiresAt as number, pushed: pushed as boolean };
  }

  /** Completes a login with the URL that the browser came back to. */
  async exchange(callback: string): Promise<Session> {
    checkStrings('exchange', { callback: callback ?? null }, 'give the URL that the browser came back to');
    return session(await this.#run({ do: 'exchange', callback }));
  }

  /** Logs in on another device; `show` is given what the user has to see. */
  async device(request: SessionRequest, show: (prompt: DevicePrompt) => void): Promise<Session> {
    if (typeof show !== 'function') throw misuse('wrong_type', `device shows its code by a function, and this was ${named(show)}; write device(request, ({ userCode, verificationUri }) => …)`);
    const { result, device } = await this.#request('device', request);
    show({
      userCode: result['user_code'] as string,
      verificationUri: result['verification_uri'] as string,
      ...(result['verification_uri_complete'] !== undefined && {
        verificationUriComplete: result['verification_uri_complete'] as string,
      }),
      expiresAt: result['expires_at'] as number,
    });
    const [{ Handles }, client] = await this.#core();
    const handles = new Handles();
    if (device !== undefined) handles.device?.(device);
    const now = this.host.now();
    const flow = guarded('device', () => client.begin(JSON.stringify({ do: 'poll_device' }), handles, now));
    return session(await drive(flow, this.host));
  }

  /** A session in the client's own name. */
  async clientCredentials(request: SessionRequest): Promise<Session> {
    return session(await this.#request('client_credentials', request));
  }

  /** A session for a token of somebody else (RFC 8693). */
  async tokenExchange(request: SessionRequest, exchange: TokenExchange): Promise<Session> {
    checkExchange('tokenExchange', exchange);
    return session(await this.#request('token_exchange', request, snakeCase(exchange)));
  }

  /** A token of another type for a token, for example an assertion for another server. */
  async exchangeFor(request: SessionRequest, exchange: TokenExchange): Promise<IssuedToken> {
    checkExchange('exchangeFor', exchange);
    const { result } = await this.#request('exchange_for', request, snakeCase(exchange));
    const [token, tokenType, expiresAt] = [result['token'] as string, result['token_type'] as string, result['expires_at']];
    return { token, tokenType, ...(expiresAt !== undefined && { expiresAt: expiresAt as number }) };
  }

  /** A session for an assertion (RFC 7523). */
  async jwtBearer(request: SessionRequest, assertion: string): Promise<Session> {
    checkStrings('jwtBearer', { assertion: assertion ?? null });
    return session(await this.#request('jwt_bearer', request, { assertion }));
  }

  /** Opens a stored session. With `boundTo`, a thumbprint, only one that is bound to that key. */
  async open(name: string, boundTo?: string): Promise<Session> {
    checkStrings('open', { name: name ?? null, boundTo });
    return session(await this.#run({ do: 'open', session: name, ...(boundTo !== undefined && { bound_to: boundTo }) }));
  }

  /** A session of a token that was obtained elsewhere and is bound to a key of the store. */
  async adopt(token: HeldToken): Promise<Session> {
    checkObject('what adopt takes', token, 'write { session, token, resource, publicJwk, algorithm }');
    checkNames('adopt', token, ['session', 'token', 'resource', 'publicJwk', 'algorithm', 'protection', 'expiresAt'], { accessToken: 'token', name: 'session' });
    const { publicJwk, ...rest } = token;
    const { session: name = null, token: held = null, resource = null, algorithm = null, protection } = rest as Partial<HeldToken>;
    checkStrings('adopt', { session: name, token: held, resource, algorithm, protection });
    return session(await this.#run({ ...snakeCase(rest), public_jwk: publicJwk, do: 'adopt' }));
  }

  /** Stores a {@link SessionRequest.provisional} session, or the nonces that another one learned since it was stored. */
  async keep(session: Session): Promise<void> {
    checkSession('what keep takes', session);
    await this.#run({ do: 'keep' }, { session });
  }

  /** Renews the tokens now; `fetch` does so by itself when it is time. */
  async refresh(session: Session): Promise<void> {
    checkSession('what refresh takes', session);
    await this.#run({ do: 'refresh' }, { session });
  }

  /**
   * Binds the session's tokens to a new key, which the store is asked for, and deletes the old one unless it is shared. For client
   * credentials and for clients with a secret or key of their own. Does nothing if the store answers with the key that the session has.
   *
   * @throws Misuse for a public client: its refresh token works with its key alone (RFC 9449 section 5). Log in again for a new key.
   */
  async rekey(session: Session): Promise<void> {
    checkSession('what rekey takes', session);
    await this.#run({ do: 'rekey' }, { session });
  }

  /** Revokes the session's tokens (RFC 7009). */
  async revoke(session: Session): Promise<void> {
    checkSession('what revoke takes', session);
    await this.#run({ do: 'revoke' }, { session });
  }

  /** Revokes the session's tokens and deletes it and its key. False where the server has no revocation: its tokens last until they end. */
  async end(session: Session): Promise<boolean> {
    checkSession('what end takes', session);
    return (await this.#run({ do: 'end' }, { session })).result['revoked'] as boolean;
  }

  /** What the authorization server says of a token (RFC 7662). */
  async introspect(discovered: Discovered, token: string): Promise<Record<string, unknown>> {
    checkDiscovered('discovered of introspect', discovered);
    checkStrings('introspect', { token: token ?? null });
    const { result } = await this.#run({ do: 'introspect', token }, { discovered });
    return result['claims'] as Record<string, unknown>;
  }

  /**
   * A `fetch` that sends the session's token with a fresh proof: nonces, one retry and refresh included.
   *
   * The token goes to the origin of the session's resource and those listed in `alsoOrigins`; redirects within the origin are followed
   * with a new proof, others are the answer, and with `redirect: 'manual'` or `'error'` none is followed. What the host's `fetch` takes besides,
   * such as undici's `dispatcher`, is passed on. A body that is a stream is primed by a `HEAD` request where its server's nonce is not known.
   * A request that was not sent (no connection) is sent up to twice more; one whose answer was lost is not, whatever its method.
   *
   * An `AbortSignal` ends the call at once, also while it waits for a lock or a refresh; a refresh that has begun is completed for the next.
   *
   * @throws LoginRequired, where only a new login helps; see {@link demandOf} for refusals; for the request itself what `fetch` throws, and
   * `AbortSignal`'s own errors; HostFailed with the reason `network` for a question to the authorization server, and `lock_timeout`, where
   * another task or process holds the session for too long
   */
  fetch(session: Session): typeof globalThis.fetch {
    checkSession('what client.fetch takes', session);
    return async (input, init) => {
      const exchange = await FetchExchange.of(input as RequestInfo | URL, init, this.#settings.fetch);
      return exchange.unlessAborted(() => this.#call(session, exchange));
    };
  }

  async #call(session: Session, exchange: FetchExchange): Promise<Response> {
    const { result } = await drive(await this.#begin(exchange.operation(), { session }), this.host, exchange);
    const demand = result['demand'] as Demand | { readonly do: 'resend' } | undefined;
    const response = exchange.response;
    if (demand?.do === 'resend' || response === undefined) {
      await response?.body?.cancel();
      const detail = 'the server asks for the request once more, and its body was a stream; make it anew';
      throw new FlowFailed({ reason: 'resend', detail });
    }
    if (demand !== undefined) demands.set(response, demand);
    if (result['ignored_challenge'] !== undefined) ignored.set(response, result['ignored_challenge'] as string);
    return response;
  }

  async #request(operation: string, request: SessionRequest, more: Record<string, unknown> = {}): Promise<Finished> {
    checkObject('what a login is made of', request, "write { session: 'work', discovered }");
    checkNames('what a login is made of', request, REQUEST, { name: 'session', at: 'discovered', scopes: 'scope', target: 'discovered', issuer: 'discovered' });
    checkLists(request, ['authorizationDetails', 'intent']);
    const { session: name, scope, resource: target, level, expectSubject } = request;
    checkStrings('what a login is made of', { session: name, resource: target, level, expectSubject });
    checkStrings('what a login is made of', { scope }, SCOPE);
    if (request.discovered !== undefined) checkDiscovered('discovered', request.discovered);
    if (request.again !== undefined) checkSession('again', request.again);
    const { discovered, again, authorizationDetails, intent, parameters, ...rest } = request;
    const members = {
      ...snakeCase(rest),
      ...(authorizationDetails && { authorization_details: authorizationDetails }),
      ...(intent && { intent }),
      ...(parameters && { parameters }),
      ...(again && { again: true }),
    };
    return this.#run({ ...members, ...more, do: operation }, { ...(discovered && { discovered }), ...(again && { session: again }) });
  }

  async #run(operation: Record<string, unknown>, refers: Refers = {}): Promise<Finished> {
    return drive(await this.#begin(operation, refers), this.host);
  }

  async #begin(operation: Record<string, unknown>, { discovered, session }: Refers = {}): Promise<NativeFlow> {
    // Written down before anything is waited for: what the caller changes later is not part of it.
    const begun = jsonOf('what is asked of a client', operation);
    const [{ Handles }, client] = await this.#core();
    const handles = new Handles();
    if (discovered !== undefined) handles.discovered(discovered._native);
    if (session !== undefined) handles.session(session._native);
    const now = this.host.now();
    return guarded(methodOf(operation), () => client.begin(begun, handles, now));
  }
}

/** The method that asks for an operation. */
function methodOf({ do: name }: Record<string, unknown>): string {
  return name === 'call' ? 'fetch' : camelCase(String(name));
}

const SCOPE = "scopes are one string, separated by spaces: 'read write'";
/** The members of a {@link SessionRequest}. */
const REQUEST: readonly (keyof SessionRequest)[] = [
  'session', 'discovered', 'again', 'scope', 'resource', 'level', 'authorizationDetails', 'intent', 'intentLifetime', 'offlineAccess', 'parameters',
  'expectSubject', 'provisional', 'withoutPushedRequest', 'withoutResource', 'scopeOnRefresh', 'dangerAssumePkce',
];

/** @throws Misuse */
function checkExchange(where: string, exchange: unknown): void {
  checkObject(`the second argument of ${where}`, exchange, 'write { subjectToken, subjectTokenType }');
  const names = ['subjectToken', 'subjectTokenType', 'actorToken', 'actorTokenType', 'requestedTokenType', 'audience'];
  checkNames(where, exchange, names);
  const { subjectToken = null, subjectTokenType = null, ...rest } = exchange as Record<string, unknown>;
  checkStrings(where, { subjectToken, subjectTokenType, ...rest });
}

/** Refuses anything that is not a store of sessions. @throws Misuse */
function checkStorage(store: unknown): void {
  const missing = ['createKey', 'deleteKey', 'sign', 'load', 'save', 'lock'].filter((name) => typeof (store as Record<string, unknown> | null | undefined)?.[name] !== 'function');
  if (missing.length === 0) return;
  throw misuse('wrong_type', `the store of a client keeps keys and sessions, and this was ${named(store)}; give await FileStore.open('./sessions') or new MemoryStore()`);
}

/** What a build exports, and the client made of it. */
type Core = readonly [native: NativeClientParts, client: NativeClient];

interface Refers {
  readonly discovered?: Discovered;
  readonly session?: Session;
}

function session(finished: Finished): Session {
  if (finished.session === undefined) throw misuse('no_session', 'the flow gave no session');
  return new Session(finished.session);
}
