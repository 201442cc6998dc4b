import type { CoreFlowReason, CoreHostReason, CoreMisuseReason, IntentRejection, OtherRejection, RedisFaultName, Rejection, TokenRejection } from './reasons.js';
export type RefusalReason = Rejection | TokenRejection | IntentRejection | OtherRejection;
export type FlowReason = CoreFlowReason | 'login_abandoned' | 'resend';
export type MisuseReason = CoreMisuseReason | RedisFaultName | 'key_not_extractable' | 'memory_store' | 'no_client' | 'no_cors' | 'no_file_locks' | 'no_session' | 'no_storage' | 'no_store' | 'not_admitted' | 'not_an_entry' | 'not_an_insertion' | 'not_ready' | 'other_copy' | 'pem_unavailable' | 'popup_blocked' | 'protected_twice' | 'redirect_uri_origin' | 'several_workers' | 'store_option' | 'unprotected';
export type HostReason = CoreHostReason | OtherRejection | 'answer_too_long' | 'before_store_floor' | 'key_changed' | 'key_missing' | 'key_protection' | 'key_unreadable' | 'lock_timeout' | 'network' | 'redirected' | 'wasm_forbidden' | 'wasm_missing';
export type Reason = RefusalReason | FlowReason | MisuseReason | HostReason;
export interface Refusal {
    readonly status: number;
    readonly reason: RefusalReason;
    readonly error?: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly body: string;
}
export interface Details {
    readonly reason: Reason;
    readonly detail: string;
    readonly code?: string;
    readonly status?: number;
    readonly section?: string;
    readonly refusal?: Refusal;
}
export declare class KeyboundError extends Error {
    readonly reason: Reason;
    readonly code: string | undefined;
    readonly status: number | undefined;
    readonly section: string | undefined;
    readonly refusal: Refusal | undefined;
    constructor(details: Details, options?: ErrorOptions);
}
export declare class ProofRejected extends KeyboundError {
    readonly reason: RefusalReason;
}
export declare class NonceRequired extends ProofRejected {
    get nonce(): string | undefined;
}
export declare class ReplayDetected extends ProofRejected {
}
export declare class BindingMismatch extends ProofRejected {
}
export declare class FlowFailed extends KeyboundError {
    readonly reason: FlowReason;
}
export declare class LoginRequired extends FlowFailed {
}
export declare class Misuse extends KeyboundError {
    readonly reason: MisuseReason;
}
export declare class HostFailed extends KeyboundError {
    readonly reason: HostReason;
}
export declare function misuse(reason: MisuseReason, detail: string, options?: ErrorOptions): Misuse;
export declare function decoded(thrown: unknown, where?: string): unknown;
export declare function guarded<T>(where: string, call: () => T): T;
export declare const KIND: unique symbol;
export declare function named(value: unknown): string;
export declare function isPromise(value: unknown): boolean;
