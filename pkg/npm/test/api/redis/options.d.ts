import type { Policy } from '../policy.js';
export interface RedisClientLike {
    duplicate(...options: any[]): any;
}
export interface RedisReplayOptions {
    readonly client: RedisClientLike;
    readonly namespace: string;
    readonly policy?: Policy;
    readonly clocksWithin?: number;
    readonly waitForReplicas?: number;
    readonly replicasWithinMs?: number;
    readonly dangerAcceptSplitBrain?: boolean;
    readonly dangerIgnoreServerClock?: boolean;
    readonly dangerPlaintext?: boolean;
    readonly now?: () => number;
}
