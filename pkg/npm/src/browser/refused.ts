// Answers that refused something, kept for whoever asks what they mean.

import { toByteString, type HostRequest } from '../drive.js';

/** What the core is told about a refused response, to explain it. */
export interface Refused {
  /** 0 where the browser showed no response. */
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly cross_origin: boolean;
  /** The page's clock, in seconds since 1970. */
  readonly now: number;
  readonly proof_iat?: number;
}

/** Why a request was refused, what led to it and what to do. */
export interface Advice {
  readonly status: number;
  /** What is wrong, in a sentence. */
  readonly wrong: string;
  /** What most likely led to it. */
  readonly cause: string;
  /** What to do. */
  readonly next: string;
  /** The error on the wire, for example `use_dpop_nonce`. */
  readonly error: string | null;
  /** The stable name of the defect, where the server is one of Keybound's. */
  readonly reason: string | null;
  /** The server's nonce. */
  readonly nonce: string | null;
  /** `hidden`: the server sent one, and CORS keeps it from the page. */
  readonly nonceState: 'present' | 'absent' | 'repeated' | 'hidden';
  /** Fields that the server most likely sent and CORS keeps from the page. */
  readonly hidden: readonly string[];
  /** How far the server's clock is ahead of this machine's, in seconds. */
  readonly clockOffset: number | null;
  /** How old the proof was when it was refused, in seconds. */
  readonly proofAge: number | null;
  readonly challenges: readonly ChallengeAdvice[];
}

/** One challenge of the answer. */
export interface ChallengeAdvice {
  readonly scheme: string;
  readonly error: string | null;
  readonly algs: readonly string[];
  readonly scope: string | null;
  readonly reason: string | null;
  readonly meaning: string;
  readonly cause: string;
  readonly next: string;
}

/** The advice that the core gives as JSON. */
export function advice(json: string): Advice {
  const { nonce_state, clock_offset, proof_age, ...rest } = JSON.parse(json) as Omit<Advice, 'nonceState' | 'clockOffset' | 'proofAge'> & {
    readonly nonce_state: Advice['nonceState'];
    readonly clock_offset: number | null;
    readonly proof_age: number | null;
  };
  return { ...rest, nonceState: nonce_state, clockOffset: clock_offset, proofAge: proof_age };
}

/** The refused answers of one flow. */
export class Refusals {
  #last: Refused | null = null;
  #any = false;

  /** Whether any answer refused something, also where a second attempt was good. */
  get any(): boolean {
    return this.#any;
  }

  get last(): Refused | null {
    return this.#last;
  }

  note(request: HostRequest, response: Response, body: Uint8Array): void {
    const iat = proofTime(request.headers);
    this.#last = response.status < 400 ? null : describe(response, body, iat);
    this.#any ||= this.#last !== null;
  }
}

/** What is known about a response. */
export function describe(response: Response, body: Uint8Array, proofIat: number | undefined): Refused {
  return {
    status: response.status,
    headers: [...response.headers],
    body: toByteString(body),
    cross_origin: response.type === 'cors',
    now: now(),
    ...(proofIat === undefined ? {} : { proof_iat: proofIat }),
  };
}

/** What is known where the browser showed no response: the network or the preflight failed. */
export function unseen(): Refused {
  return { status: 0, headers: [], cross_origin: true, now: now() };
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
