/** A client that signs requests and repeats them with the nonce that the server asks for. */

import { native } from '#native';
import { explained, fieldLines, type HeadersLike } from '../advice.js';
import { misuse } from '../errors.js';
import { Key } from '../key.js';
import { checkStrings } from '../options.js';
import type { Native, NativeAdvice } from '../native.js';
import { NonceCache, proofSync } from '../proof.js';
import type { TestIssuer } from './issuer.js';
import type { TestClock } from './clock.js';

/** What answers requests: a function, a Hono application, the default export of a worker. */
export type FetchHandler =
  | ((request: Request) => Response | Promise<Response>)
  | { fetch(request: Request, ...more: never[]): Response | Promise<Response> };

/** A request of `supertest` that was not sent yet. */
export interface SupertestRequest<R> extends PromiseLike<R> {
  readonly method: string;
  readonly url: string;
  set(name: string, value: string): unknown;
  on(event: 'response', listener: (response: R) => void): unknown;
}

/** An application with Fastify's `inject`. */
export interface Injected<R> {
  inject(options: { method: never; url: string; headers: Record<string, string> }): PromiseLike<R>;
}

/** A client with a key and an access token. It remembers the nonces it is given, as real clients do. */
export class TestClient {
  /** The access token it sends. */
  readonly token: string;
  readonly #origin: string;
  readonly #key: Key;
  readonly #clock: TestClock;
  readonly #nonces = new NonceCache();

  /** A client of the issuer's resource and clock, with any key and any token. {@link TestIssuer.client} makes one whose token fits. */
  constructor(issuer: Pick<TestIssuer, 'resource' | 'clock'>, key: Key, token: string) {
    this.token = token;
    this.#origin = new URL(issuer.resource).origin;
    this.#key = key;
    this.#clock = issuer.clock;
  }

  /** The thumbprint of its key. */
  get thumbprint(): string {
    return this.#key.thumbprint;
  }

  /** A thief: a client with this one's token, and a new key. */
  thief(): TestClient {
    return new TestClient({ resource: this.#origin, clock: this.#clock }, Key.generate(), this.token);
  }

  /**
   * The fields of a signed request: the token, and a new proof with the server's last nonce. A `url` that is a path belongs to the resource's
   * origin. `observe` tells the nonce of the answer.
   */
  sign({ method = 'GET', url }: { readonly method?: string; readonly url: string }): { authorization: string; dpop: string } {
    checkStrings('sign', { method, url: url ?? null });
    const target = url.startsWith('/') ? this.#origin + url : url;
    const nonce = this.#nonces.get(this.#at());
    const dpop = proofSync({ key: this.#key, method, url: target, accessToken: this.token, nonce, now: this.#clock.now() });
    return { authorization: `DPoP ${this.token}`, dpop };
  }

  /** Keeps the nonce of an answer with these fields, and says whether the request has to be repeated with it (RFC 9449 section 9). */
  observe(status: number, headers: Headers | Readonly<Record<string, unknown>>): boolean {
    const fields = new Headers(fieldLines(headers as HeadersLike).map(([name, value]): [string, string] => [name, value]));
    this.#nonces.observe({ headers: fields }, this.#at());
    return status === 401 && explained(native() as Native & NativeAdvice, { status, headers: fields, now: this.#clock.now() }).error === 'use_dpop_nonce';
  }

  /** Asks a fetch handler, such as a Hono application or a worker: `await client.fetch(app, '/items')`. A path belongs to the resource's origin. */
  async fetch(handler: FetchHandler, input: string | URL, init: RequestInit = {}): Promise<Response> {
    if (typeof (handler as { fetch?: unknown }).fetch !== 'function' && (typeof handler !== 'function' || 'handle' in handler)) {
      throw misuse('wrong_type', 'fetch asks what takes a Request, such as a Hono application; use supertest for Express, and inject for Fastify');
    }
    const url = new URL(input, this.#origin).href;
    const send = async (): Promise<Response> => {
      const request = new Request(url, init);
      for (const [name, value] of Object.entries(this.sign({ method: request.method, url }))) request.headers.set(name, value);
      return typeof handler === 'function' ? handler(request) : handler.fetch(request);
    };
    return this.#repeated(send, (response) => [response.status, response.headers]);
  }

  /** Asks an application of Fastify: `await client.inject(app, { method: 'POST', url: '/items', payload })`. */
  async inject<R extends { readonly statusCode: number; readonly headers: object }>(
    app: Injected<R>, options: string | { readonly method?: string; readonly url: string; readonly headers?: Readonly<Record<string, string>>; readonly payload?: unknown },
  ): Promise<R> {
    if (typeof app?.inject !== 'function') throw misuse('wrong_type', 'inject asks an application of Fastify; use supertest for Express, and fetch for Hono and workers');
    const { method = 'GET', url, headers = {}, ...rest } = typeof options === 'string' ? { url: options } : options;
    const send = async (): Promise<R> => app.inject({ ...rest, method: method as never, url, headers: { ...headers, ...this.sign({ method, url }) } });
    return this.#repeated(send, (response) => [response.statusCode, response.headers as Record<string, unknown>]);
  }

  /** Asks an application of Express by `supertest`: `await client.supertest(() => request(app).get('/items'))`. The function is called for each attempt. */
  async supertest<R extends { readonly status: number; readonly headers: object }>(make: () => SupertestRequest<R>): Promise<R> {
    if (typeof make !== 'function') throw misuse('wrong_type', "supertest takes a function, since a request may be sent twice; write alice.supertest(() => request(app).get('/items'))");
    const send = async (): Promise<R> => {
      const request = make();
      let seen: R | undefined;
      request.on('response', (response) => (seen = response));
      // It is sent to a port of this machine, and signed for the resource.
      const { pathname, search } = new URL(request.url, this.#origin);
      for (const [name, value] of Object.entries(this.sign({ method: request.method, url: pathname + search }))) request.set(name, value);
      try {
        return await request;
      } catch (failed) {
        // What `.expect(…)` asks is asked of the answer that counts.
        if (seen !== undefined && this.observe(seen.status, seen.headers as Record<string, unknown>)) return seen;
        throw failed;
      }
    };
    return this.#repeated(send, (response) => [response.status, response.headers as Record<string, unknown>]);
  }

  async #repeated<R>(send: () => Promise<R>, told: (response: R) => [number, Headers | Readonly<Record<string, unknown>>]): Promise<R> {
    const first = await send();
    if (!this.observe(...told(first))) return first;
    const second = await send();
    this.observe(...told(second));
    return second;
  }

  #at(): { readonly origin: string; readonly role: 'resource'; readonly thumbprint: string } {
    return { origin: this.#origin, role: 'resource', thumbprint: this.thumbprint };
  }
}
