/** What a refused response says, over any build of the core. */

import { toByteString } from './drive.js';
import { guarded, misuse } from './errors.js';
import type { NativeAdvice } from './native.js';
import { checkObject, jsonOf } from './options.js';

/** Header fields in any of their usual forms. */
export type HeadersLike = Iterable<readonly [name: string, value: string]> | Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** A response that refused a request, and what the client knows besides. */
export interface ResponseToExplain {
  /** 0 where the host was shown no response at all. */
  readonly status: number;
  /** `Headers`, pairs of name and value, or an object as Node has it; a field that an object has as an array is repeated. */
  readonly headers: HeadersLike;
  /** The body of an authorization server's answer, where somebody read it. */
  readonly text?: string;
  /** A browser received it from another origin than the page's, so that fields may be hidden. */
  readonly crossOrigin?: boolean;
  /** The client's clock when the response came. */
  readonly now?: number;
  /** The `iat` of the proof that was sent. */
  readonly proofIat?: number;
}

/** What is wrong with a request that was refused. Text of the server's in it is escaped and cut. */
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
  /** The stable name of the defect, where the server says it. */
  readonly reason: string | null;
  /** The server's nonce. */
  readonly nonce: string | null;
  /** `hidden`: the server sent one, and CORS keeps it from the page. `repeated`: there are several, of which none counts. */
  readonly nonceState: 'present' | 'absent' | 'repeated' | 'hidden';
  /** Fields that a browser hides for want of `Access-Control-Expose-Headers`. */
  readonly hidden: readonly string[];
  /** Seconds that the server's clock is ahead. */
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
  /** What it says. */
  readonly meaning: string;
  readonly cause: string;
  readonly next: string;
}

/** A pair for each field line. @internal */
export function fieldLines(headers: HeadersLike): (readonly [name: string, value: string])[] {
  if (typeof headers !== 'object' || headers === null) throw misuse('wrong_type', 'headers are Headers, pairs of name and value, or an object');
  if (Symbol.iterator in headers) return [...headers];
  return Object.entries(headers).flatMap(([name, value]) => [value ?? []].flat().map((one): [string, string] => [name, String(one)]));
}

/** Asks the core. @internal */
export function explained(core: NativeAdvice, response: ResponseToExplain): Advice {
  checkObject('what explainResponse takes', response, 'give the Response, or { status, headers }');
  const { status, headers, text, crossOrigin, now, proofIat } = response;
  const question = {
    status,
    headers: fieldLines(headers),
    body: typeof text === 'string' ? toByteString(new TextEncoder().encode(text)) : undefined,
    cross_origin: crossOrigin,
    now,
    proof_iat: proofIat,
  };
  const asked = jsonOf('what explainResponse takes', question);
  const { nonce_state, clock_offset, proof_age, ...rest } = JSON.parse(
    guarded('explainResponse', () => core.explainResponse(asked)),
  ) as Advice & { nonce_state: Advice['nonceState']; clock_offset: number | null; proof_age: number | null };
  return { ...rest, nonceState: nonce_state, clockOffset: clock_offset, proofAge: proof_age };
}
