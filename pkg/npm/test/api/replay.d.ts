import type { NativeEntry, NativeMemoryStore } from './native.js';
import type { Policy } from './policy.js';
export type Insertion = 'fresh' | 'seen' | 'unavailable' | 'full' | 'share_full' | 'before_floor';
export interface Inserted {
    readonly insertion: Insertion;
    readonly epoch: string;
}
export interface ReplayEntry {
    readonly key: string;
    readonly thumbprint: string;
    readonly timedAt: number;
    readonly maxAhead: number;
    readonly expiresAt: number;
    readonly keepUntil: number;
    readonly lifetime: number;
    readonly agreement: string;
    readonly nonceEpoch: string | undefined;
}
export interface ReplayStore {
    insert(entry: ReplayEntry, now: number): Insertion | Inserted | Promise<Insertion | Inserted>;
    epoch?(): string;
}
export interface MemoryReplayOptions {
    readonly capacity?: number;
    readonly shares?: number;
    readonly workers?: number;
    readonly dangerOneOfSeveral?: boolean;
    readonly dangerFirstStart?: boolean;
}
export declare class MemoryReplayStore implements ReplayStore {
    #private;
    constructor(options?: MemoryReplayOptions);
    get held(): number;
    epoch(): string;
    insert(): Insertion;
        }
    readonly insertion: Insertion;
    readonly epoch: string | undefined;
};
