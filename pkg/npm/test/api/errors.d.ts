import type { Rejection, TokenRejection } from './reasons.js';
export interface Refusal {
    readonly status: number;
    readonly reason: string;
    readonly error?: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly body: string;
}
export interface Details {
    readonly reason: string;
    readonly detail: string;
    readonly code?: string;
    readonly status?: number;
    readonly section?: string;
    readonly refusal?: Refusal;
}
export declare class KeyboundError extends Error {
    readonly reason: string;
    readonly code: string | undefined;
    readonly status: number | undefined;
    readonly section: string | undefined;
    readonly refusal: Refusal | undefined;
    constructor(details: Details, options?: ErrorOptions);
}
export declare class ProofRejected extends KeyboundError {
    readonly reason: Rejection | TokenRejection | (string & {});
}
export declare class NonceRequired extends ProofRejected {
    get nonce(): string | undefined;
}
export declare class ReplayDetected extends ProofRejected {
}
export declare class BindingMismatch extends ProofRejected {
}
export declare class FlowFailed extends KeyboundError {
}
export declare class LoginRequired extends FlowFailed {
}
export declare class Misuse extends KeyboundError {
}
export declare class HostFailed extends KeyboundError {
}
export declare function misuse(reason: string, detail: string, options?: ErrorOptions): Misuse;
export declare function decoded(thrown: unknown): unknown;
export declare function guarded<T>(call: () => T): T;
export declare function named(value: unknown): string;
