/** One tree of errors, by whose fault it is: the peer's, a flow's end, the caller's, the host's. */

import type {
  CoreFlowReason, CoreHostReason, CoreMisuseReason, IntentRejection, OtherRejection, RedisFaultName, Rejection, TokenRejection,
} from './reasons.js';

/** Why a request is refused: the reason of a {@link Refusal}. */
export type RefusalReason = Rejection | TokenRejection | IntentRejection | OtherRejection;

/** Why a flow of the client ended: the reason of {@link FlowFailed} and {@link LoginRequired}. */
export type FlowReason = CoreFlowReason | 'login_abandoned' | 'resend';

/** What the calling program got wrong: the reason of {@link Misuse}. */
export type MisuseReason =
  | CoreMisuseReason
  | RedisFaultName
  | 'key_not_extractable'
  | 'memory_store'
  | 'no_client'
  | 'no_cors'
  | 'no_file_locks'
  | 'no_session'
  | 'no_storage'
  | 'no_store'
  | 'not_admitted'
  | 'not_an_entry'
  | 'not_an_insertion'
  | 'not_ready'
  | 'other_copy'
  | 'pem_unavailable'
  | 'popup_blocked'
  | 'protected_twice'
  | 'redirect_uri_origin'
  | 'several_workers'
  | 'store_option'
  | 'unprotected';

/** What failed around the calling program: the reason of {@link HostFailed}. */
export type HostReason =
  | CoreHostReason
  | OtherRejection
  | 'answer_too_long'
  | 'before_store_floor'
  | 'key_changed'
  | 'key_missing'
  | 'key_protection'
  | 'key_unreadable'
  | 'lock_timeout'
  | 'network'
  | 'redirected'
  | 'wasm_forbidden'
  | 'wasm_missing';

/** Every reason of an error of this package. docs/reasons.md explains each. */
export type Reason = RefusalReason | FlowReason | MisuseReason | HostReason;

/** An answer to send instead of what was asked for. */
export interface Refusal {
  /** The HTTP status. */
  readonly status: number;
  /** Why, for logs. Not for the peer. */
  readonly reason: RefusalReason;
  /** The error code on the wire, for example `use_dpop_nonce`. */
  readonly error?: string;
  /** All fields to send, as pairs of name and value. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body. */
  readonly body: string;
}

/** The members of an error that programs may look at. */
export interface Details {
  readonly reason: Reason;
  readonly detail: string;
  readonly code?: string;
  readonly status?: number;
  readonly section?: string;
  readonly refusal?: Refusal;
}

/** The root of all errors of this package. `reason` is stable, `message` is for people. */
export class KeyboundError extends Error {
  /** The stable name, to switch on. */
  readonly reason: Reason;
  /** The OAuth error code, if there is one. */
  readonly code: string | undefined;
  /** The HTTP status: to answer with, or the one that was received. */
  readonly status: number | undefined;
  /** Where the rule is written, for example `RFC 9449 section 4.3 check 8`. */
  readonly section: string | undefined;
  /** The answer to send, where a request was refused. */
  readonly refusal: Refusal | undefined;

  constructor(details: Details, options?: ErrorOptions) {
    super(details.detail, options);
    this.name = new.target.name;
    this.reason = details.reason;
    this.code = details.code;
    this.status = details.status;
    this.section = details.section;
    this.refusal = details.refusal;
  }
}

/** The peer's proof, token or intent was refused. Send {@link KeyboundError.refusal}. */
export class ProofRejected extends KeyboundError {
  declare readonly reason: RefusalReason;
}

/** A proof without a nonce, or with an old one (RFC 9449 section 8): the peer tries again with {@link nonce}. */
export class NonceRequired extends ProofRejected {
  /** The nonce that the refusal carries. */
  get nonce(): string | undefined {
    return this.refusal?.headers.find(([name]) => name.toLowerCase() === 'dpop-nonce')?.[1];
  }
}

/** The proof was used before (RFC 9449 section 11.1). */
export class ReplayDetected extends ProofRejected {}

/** The proof is by another key than the token or code is bound to. */
export class BindingMismatch extends ProofRejected {}

/** A flow of the client ended without its result. */
export class FlowFailed extends KeyboundError {
  declare readonly reason: FlowReason;
}

/** Only a new login helps: the session ended, or its key is lost or another one. */
export class LoginRequired extends FlowFailed {}

/** The calling program is wrong. */
export class Misuse extends KeyboundError {
  declare readonly reason: MisuseReason;
}

/** The host failed: a store, the network, a key that cannot be used now. Its own error is the `cause`, where there is one. */
export class HostFailed extends KeyboundError {
  declare readonly reason: HostReason;
}

function classOf(
  kind: unknown, { reason, code }: Details, needsLogin: boolean,
): new (details: Details, options?: ErrorOptions) => KeyboundError {
  switch (kind) {
    case 'rejected':
      if (code === 'use_dpop_nonce') return NonceRequired;
      if (reason === 'replayed') return ReplayDetected;
      return reason === 'binding_mismatch' ? BindingMismatch : ProofRejected;
    case 'flow':
      return needsLogin ? LoginRequired : FlowFailed;
    case 'host':
      return HostFailed;
    default:
      return Misuse;
  }
}

/** The caller's mistake, to be thrown. */
export function misuse(reason: MisuseReason, detail: string, options?: ErrorOptions): Misuse {
  return new Misuse({ reason, detail }, options);
}

/** The error that the core threw as JSON text; anything else as it is. `where` names the function for values of another type. */
export function decoded(thrown: unknown, where?: string): unknown {
  const text = typeof thrown === 'string' ? thrown : thrown instanceof Error ? thrown.message : '';
  if (!text.startsWith('{"kind":')) return thrown;
  const { kind, needs_login: needsLogin = false, ...details } = JSON.parse(text) as Details & { kind: string; needs_login?: boolean };
  const told = where === undefined || details.reason !== 'wrong_type' ? details : { ...details, detail: `${where}: ${details.detail}` };
  const error = new (classOf(kind, details, needsLogin))(told);
  if (Error.captureStackTrace) Error.captureStackTrace(error, decoded);
  return error;
}

/**
 * Calls the core, and throws what it throws as one of the classes here. `call` does nothing else: what is thrown by the layer that converts
 * values for the core is told as {@link Misuse} without its text, because that may hold the value. `where` names the function that the program
 * called.
 */
export function guarded<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    const error = decoded(thrown, where);
    // A core that ran out of memory, or failed, is no mistake of the caller's.
    if (error instanceof KeyboundError || ['RangeError', 'RuntimeError'].includes((error as Error).name)) throw error;
    throw misuse('wrong_type', `${where}: a value of another type was given than is wanted here, such as an object or a promise for a string`);
  }
}

/** The kind of a class of this package, the same in every copy of it, or nothing. */
export const KIND = Symbol.for('keybound.kind');

/** The kind of an object or class of this package, of any copy. @internal */
export function kindOf(value: object): string | undefined {
  const kind = (value as { readonly [KIND]?: unknown })[KIND];
  return typeof kind === 'string' ? kind : undefined;
}

/** What was given, in words, for the text of a {@link Misuse}; never its content. */
export function named(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  if (isPromise(value)) return 'a promise that was not awaited; await it';
  if (Array.isArray(value)) return 'an array';
  if (ArrayBuffer.isView(value)) return 'a Uint8Array or Buffer';
  const kind = kindOf(value);
  if (kind !== undefined) return typeof value === 'object' ? `a ${kind}` : `the class ${kind} itself`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Whether an `await` was forgotten. */
export function isPromise(value: unknown): boolean {
  return typeof (value as { readonly then?: unknown } | null | undefined)?.then === 'function';
}
