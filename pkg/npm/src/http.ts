/** HTTP by `fetch`: what flows ask for, and the caller's own requests with a token. */

import { NotSent, type Exchange, type Host, type HostRequest, type HostResponse, type Store, type Surroundings } from './drive.js';
import { HostFailed } from './errors.js';

/** How a client reaches servers and the clock. */
export interface Settings {
  /**
   * Another `fetch`. Redirects have to stay visible to it: it is called with `redirect: 'manual'`. Where it throws `NotSent`, or an error of
   * Node's with a code like `ECONNREFUSED`, the request is sent again. What it throws reaches the caller as it is; without it, `HostFailed`
   * with the reason `network` names the URL and has what was thrown as its `cause`.
   */
  readonly fetch?: typeof globalThis.fetch;
  /** Whole seconds since 1970; the system's clock by default. */
  readonly now?: () => number;
  /** For how many seconds an answer of an authorization server is waited for: 60 by default. */
  readonly timeout?: number;
}

/** The system's clock in whole seconds. */
export function systemNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** HTTP by `fetch` and the clock. `more` is said with every request. */
export function surroundings(settings: Settings, more: RequestInit = {}): Surroundings {
  const send = settings.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return {
    wait: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
    now: settings.now ?? systemNow,
    async fetch(request) {
      const signal = AbortSignal.timeout((request.timeout ?? settings.timeout ?? 60) * 1000);
      try {
        const response = visible(await send(request.url, init(request, request.content, { signal, ...more })));
        return { status: response.status, headers: fields(response), body: await read(response, request.maxBody ?? 0) };
      } catch (thrown) {
        throw failed(thrown, settings.fetch === undefined ? network(request, thrown) : thrown);
      }
    },
  };
}

/** A store with HTTP by `fetch` and the clock. */
export function hostOf(store: Store, settings: Settings): Host {
  return {
    createKey: (algorithms, protections) => store.createKey(algorithms, protections),
    deleteKey: (thumbprint) => store.deleteKey(thumbprint),
    sign: (signing) => store.sign(signing),
    load: (slot) => store.load(slot),
    save: (slot, expected, version, value) => store.save(slot, expected, version, value),
    lock: (name, lease, signal) => store.lock(name, lease, signal),
    ...surroundings(settings, { credentials: 'omit' }),
  };
}

/** What `fetch` takes for a request of the core. */
function init(request: HostRequest, body: BodyInit | Uint8Array | null | undefined, more: RequestInit): RequestInit {
  const streamed = body instanceof ReadableStream ? { duplex: 'half' } : {};
  const headers = request.headers.map(([name, value]): [string, string] => [name, value]);
  return { ...more, ...streamed, method: request.method, headers, body: (body ?? null) as BodyInit | null, redirect: 'manual' };
}

/** The response, unless a browser hides a redirect: nobody may follow that with a token. */
function visible(response: Response): Response {
  if (response.type === 'opaqueredirect') throw new TypeError('the server redirects, which a browser does not let this client look at');
  return response;
}

function fields(response: Response): [string, string][] {
  return [...response.headers];
}

/** At most `limit` bytes of the body. */
async function read(response: Response, limit: number): Promise<Uint8Array> {
  if (limit === 0 || response.body === null) {
    await response.body?.cancel();
    return new Uint8Array();
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of iterate(response.body)) {
    length += chunk.length;
    if (length > limit) throw new RangeError(`the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

// Not every browser iterates streams.
async function* iterate(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** How connections fail before anything is sent, as Node and Bun call it. Browsers and Deno do not tell. */
const UNSENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'ConnectionRefused'];

/** What `fetch` threw, for the core: whether the request left. */
function failed(thrown: unknown, told: unknown = thrown): unknown {
  return causes(thrown).some(({ code }) => UNSENT.includes(code as string)) ? new NotSent(told) : told;
}

/** What is thrown where the host's own `fetch` threw: it names the URL, without its query. */
function network({ method, url }: HostRequest, thrown: unknown): HostFailed {
  const texts = causes(thrown).flatMap(({ code, message }) => [code, message]);
  const known = texts.filter((text) => typeof text === 'string' && text !== '' && !text.includes('?'));
  const detail = [`${method} ${url.split(/[?#]/, 1)[0]} failed`, ...new Set(known)].join(': ');
  return new HostFailed({ reason: 'network', detail }, { cause: thrown });
}

function causes(thrown: unknown): { readonly code?: unknown; readonly message?: unknown }[] {
  return [thrown, (thrown as Error | undefined)?.cause].filter((error): error is object => typeof error === 'object' && error !== null);
}

const REDIRECTS = [301, 302, 303, 307, 308];

/** The caller's request, sent by `fetch` as often as the core asks. */
export class FetchExchange implements Exchange {
  /** The last answer, its body unread. */
  response: Response | undefined;
  readonly #request: Request;
  readonly #send: typeof globalThis.fetch;
  readonly #again: Uint8Array | undefined;
  /** What the host's own `fetch` takes besides: `dispatcher` of undici, `cf` of Cloudflare, `next` of Next.js. */
  readonly #own: object;
  #once: ReadableStream<Uint8Array> | null;

  private constructor(request: Request, own: object, again: Uint8Array | undefined, send: typeof globalThis.fetch) {
    this.#request = request;
    this.#own = own;
    this.#again = again;
    this.#once = again === undefined ? request.body : null;
    this.#send = send;
  }

  /** Takes what `fetch` takes. A body in memory can be sent again; a stream, or the body of a `Request`, once. */
  static async of(input: RequestInfo | URL, init: RequestInit | undefined, send?: typeof globalThis.fetch): Promise<FetchExchange> {
    const given = init?.body;
    const isStream = given instanceof ReadableStream;
    const request = new Request(input, isStream ? ({ duplex: 'half', ...init } as RequestInit) : init);
    const inMemory = given !== undefined && given !== null && !isStream;
    const again = inMemory ? new Uint8Array(await request.clone().arrayBuffer()) : undefined;
    const own = Object.fromEntries(Object.entries(init ?? {}).filter(([name]) => !(name in request) && name !== 'window'));
    return new FetchExchange(request, own, again, send ?? globalThis.fetch.bind(globalThis));
  }

  get #kind(): 'empty' | 'repeatable' | 'one_shot' {
    if (this.#again !== undefined) return 'repeatable';
    return this.#request.body === null ? 'empty' : 'one_shot';
  }

  /** The operation `call` of the core for this request. */
  operation(): Record<string, unknown> {
    const { method, url, headers } = this.#request;
    return { do: 'call', method, url: url.split('#', 1)[0], headers: [...headers], body: this.#kind };
  }

  /** Throws the caller's reason, if the request was aborted. */
  throwIfAborted(): void {
    this.signal.throwIfAborted();
  }

  /** The caller's. */
  get signal(): AbortSignal {
    return this.#request.signal;
  }

  /** What `work` comes to, or the caller's reason as soon as the request is aborted: what cannot be interrupted then goes on by itself. */
  async unlessAborted<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this;
    signal.throwIfAborted();
    let abort: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => (abort = () => reject(signal.reason as Error)));
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([work(), aborted]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async fetch(wanted: HostRequest): Promise<HostResponse> {
    this.throwIfAborted();
    await this.response?.body?.cancel();
    this.response = undefined;
    const { signal, credentials, mode, cache, keepalive, referrerPolicy, integrity } = this.#request;
    const kept = { ...this.#own, signal, credentials, cache, keepalive, referrerPolicy, integrity, ...(mode === 'navigate' ? {} : { mode }) };
    let answered: Response;
    try {
      answered = await this.#send(wanted.url, init(wanted, this.#body(wanted.body), kept));
    } catch (thrown) {
      throw signal.aborted ? thrown : failed(thrown);
    }
    this.response = visible(answered);
    return { status: answered.status, headers: this.#shown(answered), body: new Uint8Array() };
  }

  /** The fields that the core goes by. What it cannot follow is the answer, or the error that the caller asked for. */
  #shown(answered: Response): [string, string][] {
    const { redirect } = this.#request;
    if (redirect === 'follow' || !REDIRECTS.includes(answered.status)) return fields(answered);
    if (redirect === 'error') throw new TypeError("the server redirects, and this request was made with redirect: 'error'");
    return fields(answered).filter(([name]) => name.toLowerCase() !== 'location');
  }

  #body(kind: HostRequest['body']): BodyInit | Uint8Array | null {
    if (kind === 'empty') return null;
    if (kind === 'repeatable' && this.#again !== undefined) return this.#again;
    const stream = this.#once;
    this.#once = null;
    if (stream === null) throw new TypeError('the body was sent already');
    return stream;
  }
}
