// Answers that refused something, kept for whoever asks what they mean.

import { fieldLines, type Advice, type ResponseToExplain } from '../advice.js';
import type { HostRequest } from '../drive.js';
import { KeyboundError, LoginRequired } from '../errors.js';

/** The refused answers of one flow. */
export class Refusals {
  #last: ResponseToExplain | null = null;
  #any = false;

  /** Whether any answer refused something, also where a second attempt was good. */
  get any(): boolean {
    return this.#any;
  }

  get last(): ResponseToExplain | null {
    return this.#last;
  }

  note(request: HostRequest, response: Response, body: Uint8Array): void {
    const iat = proofTime(request.headers);
    this.#last = response.status < 400 ? null : describe(response, body, iat);
    this.#any ||= this.#last !== null;
  }
}

/** What is known about a response. Its body may hold the error of an authorization server. */
export function describe(response: Response, body: Uint8Array, proofIat: number | undefined): ResponseToExplain {
  return {
    status: response.status,
    headers: [...response.headers],
    text: new TextDecoder().decode(body),
    crossOrigin: response.type === 'cors',
    now: now(),
    ...(proofIat === undefined ? {} : { proofIat }),
  };
}

/** What is known where the browser showed no response: the network or the preflight failed. */
export function unseen(): ResponseToExplain {
  return { status: 0, headers: [], crossOrigin: true, now: now() };
}

/** An error that no server's answer led to: it says itself what is wrong. */
export function ofThisPage(error: Error): Advice {
  const next = error instanceof LoginRequired ? 'call login()' : 'do what the message says; if it does not say, see where it was thrown';
  return {
    status: 0, wrong: error.message, cause: 'no server refused anything: this was found out in the page', next, error: null,
    reason: error instanceof KeyboundError ? error.reason : null, nonce: null, nonceState: 'absent', hidden: [], clockOffset: null,
    proofAge: null, challenges: [],
  };
}

/** What is known without the build that explains: it is loaded when it is first needed, and the network may be what failed. */
export function unexplained({ status, headers }: ResponseToExplain, fault: unknown): Advice {
  const nonces = fieldLines(headers).filter(([name]) => name.toLowerCase() === 'dpop-nonce').map(([, value]) => value);
  const isOffline = globalThis.navigator?.onLine === false;
  const why = fault instanceof Error ? fault.message : String(fault);
  return {
    status, wrong: status === 0 ? 'no answer came' : `the server answered with status ${status}`,
    cause: isOffline ? 'this device is offline' : `unknown: what explains answers could not be loaded (${why})`,
    next: isOffline ? 'try again when there is a network' : 'explain it again when there is a network, or do what the cause says',
    error: null, reason: fault instanceof KeyboundError ? fault.reason : null, nonce: nonces.length === 1 ? (nonces[0] ?? null) : null,
    nonceState: nonces.length === 0 ? 'absent' : nonces.length === 1 ? 'present' : 'repeated', hidden: [], clockOffset: null, proofAge: null, challenges: [],
  };
}

/** The `iat` of the proof in a request. */
export function proofTime(headers: readonly (readonly [string, string])[]): number | undefined {
  const proof = headers.find(([name]) => name.toLowerCase() === 'dpop')?.[1];
  const payload = proof?.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/');
  if (payload === undefined) return undefined;
  const claims: unknown = JSON.parse(atob(payload));
  const iat = typeof claims === 'object' && claims !== null && 'iat' in claims ? claims.iat : undefined;
  return typeof iat === 'number' ? Math.floor(iat) : undefined;
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
