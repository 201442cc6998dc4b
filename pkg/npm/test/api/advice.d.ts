import type { Native } from './native.js';
export interface ResponseToExplain {
    readonly status: number;
    readonly headers: Iterable<readonly [name: string, value: string]>;
    readonly text?: string;
    readonly crossOrigin?: boolean;
    readonly now?: number;
    readonly proofIat?: number;
}
export interface Advice {
    readonly status: number;
    readonly wrong: string;
    readonly cause: string;
    readonly next: string;
    readonly error: string | null;
    readonly reason: string | null;
    readonly nonce: string | null;
    readonly nonceState: string;
    readonly hidden: readonly string[];
    readonly clockOffset: number | null;
    readonly proofAge: number | null;
    readonly challenges: readonly Readonly<Record<string, unknown>>[];
}
