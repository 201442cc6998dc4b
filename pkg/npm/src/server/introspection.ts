/** Introspection (RFC 7662): tokens that only the authorization server understands. */

import { fetched } from './fetched.js';

/** Asks the authorization server about a token. */
export interface Introspection {
  /**
   * The body of the answer, whose status must have been 200. The token is a secret: it belongs into the body of a request over TLS,
   * and into no log. Requests about one token that come at the same time share an answer.
   */
  introspect(token: string): Promise<string | Uint8Array>;
}

/** The longest answer, in bytes. */
const MAX_LEN = 64 * 1024;
/** For how long a token that is not active is remembered, in seconds. */
const NEGATIVE_AGE = 10;
/** How many such tokens are remembered. */
const NEGATIVE_CAPACITY = 4096;
/** How many questions are asked at a time. */
const AT_A_TIME = 64;
/** How many requests wait for an answer, those about one token included. More are refused with 503: their senders have shown nothing yet. */
const MAX_WAITING = 1024;

/** The introspection endpoint of an authorization server, which knows this resource by an identifier and a secret. */
export class IntrospectionEndpoint implements Introspection {
  readonly #url: string;
  readonly #authorization: string;

  constructor(url: string, clientId: string, secret: string) {
    this.#url = url;
    // RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
    const encoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);
    this.#authorization = `Basic ${btoa(`${encoded(clientId)}:${encoded(secret)}`)}`;
  }

  async introspect(token: string): Promise<Uint8Array> {
    const body = new URLSearchParams({ token, token_type_hint: 'access_token' });
    const headers = { authorization: this.#authorization, 'content-type': 'application/x-www-form-urlencoded' };
    return fetched(this.#url, MAX_LEN, { method: 'POST', headers, body: body.toString() });
  }
}

/**
 * Shares answers that are on their way and remembers for a short while which tokens are not active. Active tokens are asked about
 * each time, so that a revocation counts at once. @internal
 */
export class Introspector {
  readonly #source: Introspection;
  readonly #onFault: (fault: unknown) => void;
  readonly #underway = new Map<string, Promise<Uint8Array | undefined>>();
  readonly #inactive = new Map<string, { readonly answer: Uint8Array; readonly until: number }>();
  readonly #waiting: (() => void)[] = [];
  #asking = 0;
  #waitingRequests = 0;

  constructor(source: Introspection, onFault: (fault: unknown) => void) {
    this.#source = source;
    this.#onFault = onFault;
  }

  /** The answer about `token`; none if it cannot be had. */
  async answer(token: string, now: number): Promise<Uint8Array | undefined> {
    const digest = await digestOf(token);
    const known = this.#inactive.get(digest);
    if (known !== undefined && now < known.until) return known.answer;
    if (this.#waitingRequests >= MAX_WAITING) return undefined;
    const underway = this.#underway.get(digest) ?? this.#ask(token).finally(() => this.#underway.delete(digest));
    this.#underway.set(digest, underway);
    this.#waitingRequests += 1;
    const answer = await underway.finally(() => (this.#waitingRequests -= 1));
    if (answer !== undefined && !isActive(answer)) this.#remember(digest, answer, now);
    return answer;
  }

  async #ask(token: string): Promise<Uint8Array | undefined> {
    while (this.#asking >= AT_A_TIME) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#asking += 1;
    try {
      const answer = await this.#source.introspect(token);
      return typeof answer === 'string' ? new TextEncoder().encode(answer) : answer;
    } catch (fault) {
      this.#onFault(fault);
      return undefined;
    } finally {
      this.#asking -= 1;
      this.#waiting.shift()?.();
    }
  }

  #remember(digest: string, answer: Uint8Array, now: number): void {
    if (this.#inactive.size >= NEGATIVE_CAPACITY) {
      for (const [known, { until }] of this.#inactive) if (until <= now) this.#inactive.delete(known);
    }
    // Full of tokens sent a moment ago: forgetting costs a question, no more.
    if (this.#inactive.size < NEGATIVE_CAPACITY && answer.length <= 1024) this.#inactive.set(digest, { answer, until: now + NEGATIVE_AGE });
  }
}

// Tokens are secrets: none is kept.
async function digestOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token));
  return String.fromCharCode(...new Uint8Array(digest));
}

function isActive(answer: Uint8Array): boolean {
  try {
    return (JSON.parse(new TextDecoder().decode(answer)) as { active?: unknown }).active === true;
  } catch {
    return false;
  }
}
