// The page's own request: sent as often as the core asks, with the core's token and proof, its answer untouched.

import type { Exchange, HostRequest, HostResponse } from '../drive.js';
import { HostFailed, misuse } from '../errors.js';
import { statusOf, type BrowserHost } from './host.js';

/** A request as `fetch` takes it, and what came of it. */
export class Call implements Exchange {
  readonly #input: RequestInfo | URL;
  readonly #init: RequestInit | undefined;
  readonly #first: Request;
  readonly #host: BrowserHost;
  #unsent: Request | null;
  #response: Response | null = null;
  #sent: HostRequest | null = null;

  constructor(input: RequestInfo | URL, init: RequestInit | undefined, host: BrowserHost) {
    this.#input = input;
    this.#init = init;
    this.#host = host;
    this.#first = new Request(input, init);
    this.#unsent = this.#first;
    if (this.#first.mode === 'no-cors') {
      throw misuse('no_cors', 'a request with mode no-cors cannot carry a token; have the server permit this origin by CORS');
    }
  }

  /** Ends the call when it is aborted. */
  get signal(): AbortSignal {
    return this.#first.signal;
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
    const { method, url, headers } = this.#first;
    return JSON.stringify({ do: 'call', method, url: url.split('#')[0], headers: [...headers], body: this.#body() });
  }

  /** A body that the page gave as a value can be sent again; a stream, and that of a `Request`, only once. */
  #body(): HostRequest['body'] {
    const given = this.#init?.body;
    const isStream = typeof ReadableStream !== 'undefined' && given instanceof ReadableStream;
    if (given !== undefined && given !== null) return isStream ? 'one_shot' : 'repeatable';
    return this.#first.body === null && !hasHiddenBody(this.#first) ? 'empty' : 'one_shot';
  }

  async fetch(wanted: HostRequest): Promise<HostResponse> {
    this.signal.throwIfAborted();
    const request = this.#attempt(wanted);
    this.#sent = wanted;
    const response = await fetch(request);
    if (response.type === 'opaqueredirect' && this.#first.redirect !== 'manual') {
      const detail = 'the resource answers with a redirect, which a browser hides from scripts, and tokens do not follow it unseen; '
        + "call the URL that it leads to, or fetch with redirect: 'manual'";
      throw new HostFailed({ reason: 'redirected', detail });
    }
    this.#response = response;
    this.#host.note(wanted, response);
    return { status: statusOf(response), headers: response.headers, body: new Uint8Array() };
  }

  #attempt(wanted: HostRequest): Request {
    // The first request is made already; another attempt is made of the same values.
    const base = this.#unsent ?? new Request(this.#input, this.#init);
    this.#unsent = null;
    const headers = new Headers();
    for (const [name, value] of wanted.headers) headers.append(name, value);
    // The boundary of a form is another for each request that is made of it.
    const type = base.headers.get('content-type');
    if (type !== null && headers.has('content-type')) headers.set('content-type', type);
    return new Request(base, { headers, redirect: 'manual', signal: this.signal });
  }
}

/** Browsers without `Request.body` (Firefox) do not show whether there is one. */
function hasHiddenBody(request: Request): boolean {
  return request.body === undefined && request.method !== 'GET' && request.method !== 'HEAD';
}
