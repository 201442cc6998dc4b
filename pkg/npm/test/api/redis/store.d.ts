import type { Policy } from '../policy.js';
import type { RedisFaultName } from '../reasons.js';
import type { Inserted, ReplayEntry, ReplayStore } from '../replay.js';
import type { RedisReplayOptions } from './options.js';
export interface RedisFault {
    readonly name: RedisFaultName;
    readonly message: string;
    readonly isConfiguration: boolean;
}
export interface RedisStatus {
    readonly isOpen: boolean;
    readonly epoch: string;
    readonly floor: number | undefined;
    readonly lives: number;
    readonly waiting: number;
    readonly fault: RedisFault | undefined;
}
export declare class RedisReplayStore implements ReplayStore {
    #private;
    private constructor();
    static open(options: RedisReplayOptions): Promise<RedisReplayStore>;
    insert(entry: ReplayEntry): Promise<Inserted>;
    epoch(): string;
    status(): RedisStatus;
    close(): void;
}
