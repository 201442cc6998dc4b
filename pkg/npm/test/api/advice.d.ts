import type { NativeAdvice } from './native.js';
export type HeadersLike = Iterable<readonly [name: string, value: string]> | Readonly<Record<string, string | number | readonly string[] | undefined>>;
export interface ResponseToExplain {
    readonly status: number;
    readonly headers: HeadersLike;
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
    readonly nonceState: 'present' | 'absent' | 'repeated' | 'hidden';
    readonly hidden: readonly string[];
    readonly clockOffset: number | null;
    readonly proofAge: number | null;
    readonly challenges: readonly ChallengeAdvice[];
}
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
