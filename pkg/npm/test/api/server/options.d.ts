import type { ReplayStore } from '../replay.js';
export interface ServerOptions {
    readonly store?: ReplayStore;
    readonly workers?: number;
    readonly dangerNoReplayStore?: boolean;
    readonly now?: () => number;
    readonly onFault?: (fault: unknown) => void;
}
