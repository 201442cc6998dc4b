/** What a refused response says, over any build of the core. */

import { toByteString } from './drive.js';
import { guarded } from './errors.js';
import type { NativeClientParts } from './native.js';

/** A response that refused a request, and what the client knows besides. */
export interface ResponseToExplain {
  /** 0 where the host was shown no response at all. */
  readonly status: number;
  readonly headers: Iterable<readonly [name: string, value: string]>;
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
  readonly nonce: string | null;
  readonly nonceState: string;
  /** Fields that a browser hides for want of `Access-Control-Expose-Headers`. */
  readonly hidden: readonly string[];
  /** Seconds that the server's clock is ahead. */
  readonly clockOffset: number | null;
  readonly proofAge: number | null;
  readonly challenges: readonly Readonly<Record<string, unknown>>[];
}

/** Asks the core. @internal */
export function explained(core: Pick<NativeClientParts, 'explainResponse'>, response: ResponseToExplain): Advice {
  const { status, headers, text, crossOrigin, now, proofIat } = response;
  const question = {
    status,
    headers: [...headers],
    body: typeof text === 'string' ? toByteString(new TextEncoder().encode(text)) : undefined,
    cross_origin: crossOrigin,
    now,
    proof_iat: proofIat,
  };
  const { nonce_state, clock_offset, proof_age, ...rest } = JSON.parse(
    guarded(() => core.explainResponse(JSON.stringify(question))),
  ) as Advice & { nonce_state: string; clock_offset: number | null; proof_age: number | null };
  return { ...rest, nonceState: nonce_state, clockOffset: clock_offset, proofAge: proof_age };
}
