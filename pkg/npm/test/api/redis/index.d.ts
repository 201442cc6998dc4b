export type { RedisClientLike, RedisReplayOptions } from './options.js';
export { RedisReplayStore } from './store.js';
export type { RedisFault, RedisStatus } from './store.js';
