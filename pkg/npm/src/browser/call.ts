// The page's own request: sent as often as the core asks, with the core's token and proof, its answer untouched.

import type { Exchange, HostRequest, HostResponse } from '../drive.js';
import { HostFailed, misuse } from '../errors.js';
import { BrowserHost, statusOf, type Shared } from './host.js';

const REDIRECTS = [301, 302, 303, 307, 308];

/** A request as `fetch` takes it, and what came of it. */
export class Call implements Exchange {
  /** The host of this call's flow: it waits for locks as long as the page waits for the call. */
  readonly host: BrowserHost;
  /**
   * What the page asked for, as it was when it asked. What the core checks is read from here, and so is what each attempt sends: the
   * page may change its URL, fields or `init` meanwhile, and a token must not follow them to another origin.
   */
  readonly #given: Request;
  readonly #body: HostRequest['body'];
  readonly #cache: RequestCache;
  readonly #credentials: RequestCredentials;
  #response: Response | null = null;
  #sent: HostRequest | null = null;

  constructor(input: RequestInfo | URL, init: RequestInit | undefined, shared: Shared) {
    const asked = readOnce(init ?? {});
    this.#given = new Request(input, asked);
    if (this.#given.mode === 'no-cors') {
      throw misuse('no_cors', 'a request with mode no-cors cannot carry a token; have the server permit this origin by CORS');
    }
    this.#body = bodyOf(this.#given, asked.body);
    // An answer belongs to the token's account. The browser's cache and its cookies belong to the last user of this browser. A
    // `Request` does not show whether the page chose the defaults, so that only `init` can ask for them.
    const { cache, credentials } = this.#given;
    this.#cache = asked.cache === undefined && cache === 'default' ? 'no-store' : cache;
    this.#credentials = asked.credentials === undefined && credentials === 'same-origin' ? 'omit' : credentials;
    this.host = new BrowserHost(shared, this.signal);
  }

  /** Ends the call when it is aborted. */
  get signal(): AbortSignal {
    return this.#given.signal;
  }

  /** What the page gets. */
  get response(): Response | null {
    return this.#response;
  }

  /** The last attempt. */
  get sent(): HostRequest | null {
    return this.#sent;
  }

  /** The operation of the core. */
  operation(): string {
    const { method, url, headers } = this.#given;
    return JSON.stringify({ do: 'call', method, url: url.split('#')[0], headers: [...headers], body: this.#body });
  }

  async fetch(wanted: HostRequest): Promise<HostResponse> {
    this.signal.throwIfAborted();
    const request = this.#attempt(wanted);
    this.#sent = wanted;
    const response = await fetch(request);
    const isRedirect = response.type === 'opaqueredirect' || REDIRECTS.includes(response.status);
    if (isRedirect && this.#given.redirect !== 'manual') {
      const detail = 'the resource answers with a redirect, which a browser hides from scripts, and tokens do not follow it unseen; '
        + "call the URL that it leads to, or fetch with redirect: 'manual'";
      throw new HostFailed({ reason: 'redirected', detail });
    }
    this.#response = response;
    this.host.note(wanted, response);
    // Where a redirect leads is hidden by browsers, but not by every `fetch` that a page puts in its place. The core would follow it.
    const headers = [...response.headers].filter(([name]) => name !== 'location');
    return { status: statusOf(response), headers, body: new Uint8Array() };
  }

  #attempt(wanted: HostRequest): Request {
    // A body that can be sent once is sent itself; of any other, each attempt sends a copy.
    const base = this.#body === 'one_shot' ? this.#given : this.#given.clone();
    const headers = new Headers();
    for (const [name, value] of wanted.headers) headers.append(name, value);
    const { referrer, referrerPolicy } = this.#given;
    return new Request(base, {
      headers, redirect: 'manual', cache: this.#cache, credentials: this.#credentials, signal: this.signal,
      // A `Request` made of another one forgets these.
      referrer, referrerPolicy,
    });
  }
}

/** `init` with each member read once: a getter must not show one value to the check and another one to the network. */
function readOnce(init: RequestInit): RequestInit {
  const seen = new Map<PropertyKey, unknown>();
  return new Proxy(init, {
    get(target, name) {
      // The receiver is `init` itself: a `Request` is an `init`, too, and its members are getters of the platform.
      if (!seen.has(name)) seen.set(name, Reflect.get(target, name, target));
      return seen.get(name);
    },
  });
}

/** A body that the page gave as a value can be sent again; a stream, and that of a `Request`, only once. */
function bodyOf(request: Request, given: RequestInit['body']): HostRequest['body'] {
  const isStream = typeof ReadableStream !== 'undefined' && given instanceof ReadableStream;
  if (given !== undefined && given !== null) return isStream ? 'one_shot' : 'repeatable';
  return request.body === null && !hasHiddenBody(request) ? 'empty' : 'one_shot';
}

/** Browsers without `Request.body` (Firefox) do not show whether there is one. */
function hasHiddenBody(request: Request): boolean {
  return request.body === undefined && request.method !== 'GET' && request.method !== 'HEAD';
}
