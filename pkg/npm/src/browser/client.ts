// The client of a page: logs in, holds the session, and sends requests with it.

import { explained, type Advice, type ResponseToExplain } from '../advice.js';
import { drive, type Finished } from '../drive.js';
import { KeyboundError, LoginRequired, guarded, misuse } from '../errors.js';
import type { NativeAdvice, NativeClient, NativeDiscovered, NativeSession, NativeSweep } from '../native.js';
import { untilAborted } from './abort.js';
import { Call } from './call.js';
import { Channel } from './channel.js';
import { confirmed } from './confirm.js';
import { BrowserHost, type Shared } from './host.js';
import { Keys } from './keys.js';
import { Locks, type Held } from './locks.js';
import { coreOptions, sessionOptions, type ClientOptions } from './options.js';
import { isPopup, openPopup, type Destination } from './popup.js';
import { describe, ofThisPage, proofTime, unexplained, unseen } from './refused.js';
import { keyLost, sessionInfo, type Need, type SessionInfo, type SessionState } from './session.js';
import { Storage } from './storage.js';
import { loadCore, loadAdvice, type Core } from './wasm.js';

/** What a login asks for besides the client's options. */
export interface LoginOptions {
  /** The scope; with a session that is active, what it has is kept (step-up). The client's otherwise. */
  readonly scope?: string;
  /** Permissions in detail (RFC 9396). */
  readonly authorizationDetails?: readonly Readonly<Record<string, unknown>>[];
  /** More parameters of the authorization request, for example `{ prompt: 'login' }`. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** The `sub` that every token response must have: tokens of another account are refused, and nothing is stored. */
  readonly expectSubject?: string;
  /** `redirect` leaves the page; `popup` opens a window (call it in a click) and works without IndexedDB, too. */
  readonly mode?: 'redirect' | 'popup';
}

/** What became of a logout. Key and session are deleted in any case. */
export interface LogoutResult {
  /** Whether the server revoked the tokens. */
  readonly revoked: boolean;
  /** Why it did not, if it was asked. */
  readonly error: unknown;
}

/** For how many seconds a logout waits for the session's lock: as long as a refresh does. */
const LEASE = 90;
const DAY = 86_400;

/** Called with each new state. */
export type Listener = (state: SessionState) => void;

/**
 * A client for one resource or issuer. Make it once, by `createClient`; tabs of one origin share key, session and nonces.
 *
 * Its tokens are bound to a key that no script can export. A script injected into this page can still use the key here and now.
 */
export class Client {
  readonly #options: ClientOptions;
  readonly #coreOptions: string;
  readonly #name: string;
  readonly #shared: Shared;
  readonly #listeners = new Set<Listener>();
  readonly #answers = new WeakMap<Response, { readonly refused: ResponseToExplain; readonly need: Need | null }>();
  readonly #failures = new WeakMap<object, ResponseToExplain>();
  #state: SessionState = { state: 'opening' };
  #native: Promise<NativeClient> | null = null;
  #session: NativeSession | null = null;
  #discovered: Promise<NativeDiscovered> | null = null;
  #opened: Promise<void> | null = null;
  #swept: Promise<void> | null = null;

  constructor(options: ClientOptions) {
    // The page's object may change; what was checked is what is used.
    this.#options = { ...options };
    this.#coreOptions = coreOptions(this.#options);
    this.#name = this.#options.session ?? 'default';
    const database = this.#options.database ?? 'keybound';
    const storage = new Storage(database, () => this.#tell());
    const channel = new Channel(database, () => void this.#reopen().catch(() => undefined));
    this.#shared = { storage, channel, keys: new Keys(storage), locks: new Locks(database) };
  }

  /** Where the client stands. `open()` waits until what is stored was read. */
  get session(): SessionState {
    return this.#state;
  }

  /** Where key and session are kept: with `memory` they end with this page. Known after `open()`. */
  get storage(): 'indexeddb' | 'memory' {
    return this.#shared.storage.kind;
  }

  /** Why there is no IndexedDB; null if there is. */
  get storageReason(): string | null {
    return this.#shared.storage.reason;
  }

  /** `web`: tabs refresh one at a time (Web Locks). `tab`: only this one takes turns. */
  get locks(): 'web' | 'tab' {
    return this.#shared.locks.kind;
  }

  /** Calls `listener` with each new state, from this tab or another; what it gives ends that. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads what is stored. All methods do that by themselves. */
  async open(): Promise<SessionState> {
    await this.#ready();
    this.#swept ??= this.#sweep();
    await this.#swept;
    return this.#state;
  }

  /**
   * Logs in: by redirect the page is left, and the promise never settles; by popup it resolves with the session.
   *
   * @throws KeyboundError
   */
  async login(options: LoginOptions = {}): Promise<SessionInfo> {
    // As it is now, whatever the page does with the object while this waits.
    const asked = JSON.parse(JSON.stringify(options)) as LoginOptions;
    // The window has to be opened in the user's click, before anything is awaited.
    const popup = asked.mode === 'popup' ? openPopup(this.#options.redirectUri) : null;
    try {
      await this.open();
      await this.#sweep();
      if (popup === null) this.#mayLeave();
      const destination = await this.#authorize(asked);
      if (popup !== null) return await this.#exchange(await popup.callback(destination));
      // Only now is it known whether the database holds keys.
      this.#mayLeave();
      location.assign(destination.url);
      return await new Promise<never>(() => undefined);
    } finally {
      popup?.close();
    }
  }

  /**
   * Completes a login on the page of `redirectUri`, and does nothing on other pages. In the popup of a login it never settles: the
   * page that opened it completes the login and closes it.
   *
   * @param url where the browser came back to
   * @returns the session; null if this is no answer to a login
   * @throws KeyboundError; the login is used up then
   */
  async handleRedirect(url: string = location.href): Promise<SessionInfo | null> {
    if (!isCallback(url, this.#options.redirectUri)) return null;
    if (await isPopup(url)) return new Promise<never>(() => undefined);
    // A code is good once; nobody finds it in the history.
    if (url === location.href) history.replaceState(history.state, '', url.split('?')[0] ?? url);
    // Not swept before: a login that waited for too long is to be told so.
    await this.#ready();
    return this.#exchange(url);
  }

  /**
   * `fetch` with the session's token and a proof: nonces, one retry, refresh and the server's clock are taken care of.
   *
   * A body that is a stream, or that of a `Request`, is sent once: what the server wants is asked for before, by `HEAD`. Redirects
   * are not followed. An answer with any status is no error; `needs` says whether a login helps.
   *
   * What is sent is what `input` and `init` were when this was called. The browser's cache and its cookies take no part unless `init`
   * says otherwise in `cache` and `credentials`: an answer must not reach another account.
   *
   * @throws LoginRequired, KeyLost, FlowFailed; HostFailed (`lock_timeout`, `redirected`); Misuse for a URL outside the resource; what
   * `fetch` throws
   */
  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const call = new Call(input, init, this.#shared);
    call.signal.throwIfAborted();
    return untilAborted(this.#call(call), call.signal);
  };

  /** What a refused response of `fetch` needs; null if nothing that this client could get. */
  needs(response: Response): Need | null {
    return this.#answers.get(response)?.need ?? null;
  }

  /**
   * Says what is wrong with a refused response, or with a request that failed: CORS and clocks included. What explains is loaded when it is
   * first needed; where it cannot be, as on a device that is offline, the answer says that and what is known without it.
   *
   * @param subject a response of any `fetch`, or an error that `login`, `handleRedirect` or `fetch` threw
   */
  async explain(subject: Response | Error): Promise<Advice> {
    if (subject instanceof Response) return this.#explained(await this.#refused(subject));
    const refused = this.#failures.get(subject) ?? (subject instanceof TypeError ? unseen() : null);
    return refused === null ? ofThisPage(subject) : this.#explained(refused);
  }

  /** Gets a new token now. `fetch` does that by itself. */
  async refresh(): Promise<SessionInfo> {
    await this.open();
    await this.#run({ do: 'refresh' }, { session: this.#needed });
    return this.#show(this.#needed());
  }

  /**
   * Ends the session: the server revokes its tokens, and key, session, nonces and pending logins are deleted.
   *
   * @throws HostFailed with the reason `lock_timeout` if another tab holds the session for longer than a refresh may take: nothing was
   * deleted then
   */
  async logout(): Promise<LogoutResult> {
    await this.open();
    const release = await this.#take();
    try {
      const ended = [await this.#end(), await this.#endLeft()].filter((result) => result !== null);
      await this.#wipe(this.#shared.storage);
      return { revoked: ended.length > 0 && ended.every((result) => result.revoked), error: ended.find((result) => result.error)?.error ?? null };
    } finally {
      release();
      // Nonces live in the core's client.
      this.#native = null;
      this.#discovered = null;
      this.#hold(null);
      this.#set({ state: 'none' });
      this.#shared.channel.announce();
    }
  }

  /** Lets go of the line to other tabs; the client must not be used any more. */
  close(): void {
    this.#shared.channel.close();
    this.#listeners.clear();
  }

  async #ready(): Promise<void> {
    this.#opened ??= this.#reopen().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    await this.#opened;
  }

  /** Deletes what was forgotten. That it cannot be deleted now is no reason to do nothing else. */
  async #sweep(): Promise<void> {
    try {
      await this.#shared.storage.sweep(await this.#sweepAt(0));
    } catch {
      // The next page tries again.
    }
  }

  /** The core's sweep, with a clock that is `ahead` seconds ahead. */
  async #sweepAt(ahead: number): Promise<NativeSweep> {
    const core = await loadCore(this.#options.wasm?.client);
    return new core.Sweep(Math.floor(Date.now() / 1000) + ahead);
  }

  /** Deletes the session, and logins that are under way, too: none of them is younger than a day, seen from tomorrow. */
  async #wipe(storage: Storage): Promise<void> {
    await storage.wipe(this.#name, await this.#sweepAt(DAY));
  }

  async #explained(refused: ResponseToExplain): Promise<Advice> {
    let core: NativeAdvice;
    try {
      core = await loadAdvice(this.#options.wasm?.advice);
    } catch (fault) {
      return unexplained(refused, fault);
    }
    return explained(core, refused);
  }

  async #core(): Promise<NativeClient> {
    this.#native ??= loadCore(this.#options.wasm?.client).then((core: Core) => guarded('createClient', () => new core.Client(this.#coreOptions)));
    return this.#native;
  }

  /** Runs a flow to its end. What it wants to know of handles it asks when it begins: a session may be replaced before. */
  async #flow(operation: object | string, handles: Handles, host: BrowserHost, call?: Call): Promise<Finished> {
    const core = await loadCore(this.#options.wasm?.client);
    const native = await this.#core();
    const given = new core.Handles();
    try {
      if (handles.discovered !== undefined) given.discovered(handles.discovered);
      if (handles.session !== undefined) given.session(handles.session());
      const text = typeof operation === 'string' ? operation : JSON.stringify(operation);
      const flow = guarded('a method of this client', () => native.begin(text, given, host.now()));
      try {
        return await drive(flow, host, call);
      } finally {
        flow.free?.();
      }
    } finally {
      // Tokens do not wait in WebAssembly's memory until the garbage is collected.
      given.free?.();
    }
  }

  async #run(operation: object | string, handles: Handles = {}, call?: Call): Promise<Finished> {
    const host = call?.host ?? new BrowserHost(this.#shared);
    try {
      return await this.#flow(operation, handles, host, call);
    } catch (thrown) {
      const error = keyLost(thrown);
      if (error instanceof Error && host.refused !== null) this.#failures.set(error, host.refused);
      if (error instanceof LoginRequired && error.reason !== 'no_session') this.#set({ state: 'login_required', reason: error.reason });
      throw error;
    }
  }

  async #reopen(): Promise<void> {
    await this.#shared.storage.open();
    try {
      const { session } = await this.#run({ do: 'open', session: this.#name });
      this.#hold(session ?? null);
      if (session !== undefined) this.#show(session);
    } catch (error) {
      this.#hold(null);
      if (!(error instanceof LoginRequired)) throw error;
      if (error.reason === 'no_session') this.#set({ state: 'none' });
    }
  }

  /** Keeps the session's handle, and overwrites the tokens of the one before. */
  #hold(session: NativeSession | null): void {
    if (this.#session !== session) this.#session?.free?.();
    this.#session = session;
  }

  /** Takes the session's lock: a refresh in any tab would store the session anew. */
  #take(): Promise<Held> {
    return this.#shared.locks.take(`session/${this.#name}`, LEASE);
  }

  /** Ends the session; null where there is none. */
  async #end(): Promise<LogoutResult | null> {
    if (this.#session === null) return null;
    return revoked(this.#run({ do: 'end' }, { session: this.#needed }));
  }

  /** Ends the session in the database that was left for memory, where there is one. Null where there is none. */
  async #endLeft(): Promise<LogoutResult | null> {
    const left = await this.#shared.storage.left();
    if (left === null) return null;
    const host = new BrowserHost({ ...this.#shared, storage: left, keys: new Keys(left) });
    try {
      const { session } = await this.#flow({ do: 'open', session: this.#name }, {}, host);
      const result = await revoked(this.#flow({ do: 'end' }, { session: () => needed(session) }, host));
      session?.free?.();
      return result;
    } catch (error) {
      return error instanceof LoginRequired && error.reason === 'no_session' ? null : { revoked: false, error };
    } finally {
      await this.#wipe(left);
    }
  }

  async #discover(): Promise<NativeDiscovered> {
    const { resource, issuer } = this.#options;
    const operation = resource === undefined ? { do: 'discover_issuer', issuer } : { do: 'discover', target: resource, challenges: [], issuer };
    this.#discovered ??= this.#run(operation).then(({ discovered }) => needed(discovered));
    try {
      return await this.#discovered;
    } catch (error) {
      this.#discovered = null;
      throw error;
    }
  }

  async #authorize(options: LoginOptions): Promise<Destination> {
    const { authorizationDetails, parameters } = options;
    if (options.scope !== undefined && this.#session !== null && authorizationDetails === undefined && parameters === undefined) {
      try {
        return destinationOf(await this.#run({ do: 'step_up', scope: options.scope }, { session: this.#needed }));
      } catch (error) {
        // All of it was asked for before: then this is an ordinary login.
        if (!(error instanceof KeyboundError) || error.reason !== 'step_up_exhausted') throw error;
      }
    }
    const request = {
      do: 'authorize',
      session: this.#name,
      scope: options.scope ?? this.#options.scope,
      authorization_details: authorizationDetails,
      parameters,
      expect_subject: options.expectSubject,
      ...sessionOptions(this.#options),
    };
    return destinationOf(await this.#run(request, { discovered: await this.#discover() }));
  }

  #mayLeave(): void {
    if (this.storage === 'indexeddb') return;
    throw misuse('no_storage', "without IndexedDB a login by redirect loses its key with the page; use login({ mode: 'popup' })");
  }

  async #exchange(callback: string): Promise<SessionInfo> {
    const made = needed((await this.#run({ do: 'exchange', callback }).finally(() => this.#session && this.#show(this.#session))).session);
    const { confirmSubject } = this.#options;
    if (confirmSubject !== undefined) {
      const { subject } = sessionInfo(made.info()).info;
      await confirmed(subject, confirmSubject, (what) => this.#run({ do: what }, { session: () => made }));
    }
    this.#hold(made);
    if (this.storage === 'memory') await this.#replaceLeft().catch(() => undefined);
    return this.#show(this.#needed());
  }

  /** A session that a login replaces ends. In a database that was left for memory nothing else sees to that; logout tries again. */
  async #replaceLeft(): Promise<void> {
    const release = await this.#take();
    try {
      await this.#endLeft();
    } finally {
      release();
    }
  }

  async #call(call: Call): Promise<Response> {
    await this.open();
    const { result } = await this.#run(call.operation(), { session: this.#needed }, call);
    // The page need not wait until other tabs can begin with this nonce, nor fail if they cannot.
    if (call.host.learned) this.#run({ do: 'keep' }, { session: this.#needed }).catch(() => undefined);
    const demand = result['demand'] as { do: string; scope?: string } | undefined;
    if (demand?.do === 'resend') {
      const detail = 'the body could be sent only once, and the server asks for it again; send the request again with its body';
      throw new KeyboundError({ reason: 'resend', detail });
    }
    const response = needed(call.response);
    if (this.#session !== null) this.#show(this.#session);
    const sent = call.sent;
    const refused = describe(response, new Uint8Array(), sent === null ? undefined : proofTime(sent.headers));
    this.#answers.set(response, { refused, need: needOf(demand) });
    return response;
  }

  async #refused(response: Response): Promise<ResponseToExplain> {
    const known = this.#answers.get(response)?.refused ?? describe(response, new Uint8Array(), undefined);
    const isError = response.status >= 400 && (response.headers.get('content-type') ?? '').includes('json');
    if (!isError || response.bodyUsed) return known;
    const body = new Uint8Array(await response.clone().arrayBuffer());
    return describe(response, body, known.proofIat);
  }

  /** The session of now. */
  readonly #needed = (): NativeSession => {
    if (this.#session !== null) return this.#session;
    const reason = this.#state.state === 'login_required' ? this.#state.reason : 'no_session';
    const detail = reason === 'no_session' ? 'nobody is logged in; call login()' : 'the session cannot be used any more; call login()';
    throw keyLost(new LoginRequired({ reason, detail }));
  };

  #show(session: NativeSession): SessionInfo {
    const { info, ended } = sessionInfo(session.info());
    const state: SessionState = ended ? { state: 'login_required', reason: 'login_required' } : { state: 'active', session: info };
    this.#set(state);
    return info;
  }

  #set(state: SessionState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.#state);
  }
}

interface Handles {
  readonly discovered?: NativeDiscovered;
  readonly session?: () => NativeSession;
}

async function revoked(ending: Promise<Finished>): Promise<LogoutResult> {
  try {
    return { revoked: (await ending).result['revoked'] === true, error: null };
  } catch (error) {
    return { revoked: false, error };
  }
}

function needOf(demand: { do: string; scope?: string } | undefined): Need | null {
  if (demand?.do === 'login') return { need: 'login' };
  return demand?.do === 'step_up' ? { need: 'scope', scope: demand.scope ?? '' } : null;
}

function destinationOf({ result }: Finished): Destination {
  return { url: String(result['url']), state: String(result['state']) };
}

/** Whether a URL is an authorization response: that of the redirect URI, with a `state`. */
function isCallback(url: string, redirectUri: string): boolean {
  const [place, query] = [url.split(/[?#]/)[0], new URL(url).searchParams];
  return place === redirectUri.split('?')[0] && query.has('state') && (query.has('code') || query.has('error'));
}

/** A flow gives what it was asked for. */
function needed<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new TypeError('the core finished without its result; please report this');
  return value;
}
