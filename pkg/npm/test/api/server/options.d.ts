import type { ReplayStore } from '../replay.js';
export interface Limit {
    readonly rate: number;
    readonly burst: number;
}
export interface Breaker {
    readonly faults?: number;
    readonly pause?: number;
}
export interface Audit {
    readonly key: string;
    readonly to: (record: string) => void;
}
export interface Counters {
    readonly keybound_requests_total: readonly {
        readonly verdict: string;
        readonly reason: string;
        readonly count: number;
    }[];
    readonly keybound_replays_total: number;
    readonly keybound_nonce_challenges_total: readonly {
        readonly reason: string;
        readonly count: number;
    }[];
    readonly keybound_audit_dropped_total: number;
}
export interface Cors {
    readonly origins: readonly string[];
    readonly methods?: readonly string[];
    readonly allowedHeaders?: readonly string[];
    readonly exposedHeaders?: readonly string[];
    readonly maxAge?: number;
}
export interface ServerOptions {
    readonly store?: ReplayStore;
    readonly workers?: number;
    readonly dangerNoReplayStore?: boolean;
    readonly dangerFirstStart?: boolean;
    readonly limitAddresses?: Limit;
    readonly limitKeys?: Limit;
    readonly breaker?: Breaker;
    readonly now?: () => number;
    readonly onFault?: (fault: unknown) => void;
    readonly audit?: Audit;
}
