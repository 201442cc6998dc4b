import type { ReplayStore } from '../replay.js';
export interface Limit {
    readonly rate: number;
    readonly burst: number;
}
export interface Breaker {
    readonly faults?: number;
    readonly pause?: number;
}
export interface ServerOptions {
    readonly store?: ReplayStore;
    readonly workers?: number;
    readonly dangerNoReplayStore?: boolean;
    readonly limitAddresses?: Limit;
    readonly limitKeys?: Limit;
    readonly breaker?: Breaker;
    readonly now?: () => number;
    readonly onFault?: (fault: unknown) => void;
}
