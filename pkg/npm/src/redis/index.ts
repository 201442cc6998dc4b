/** One replay store for all processes of a service, in Redis or Valkey: `keybound/redis`. */

export type { RedisClientLike, RedisReplayOptions } from './options.js';
export { RedisReplayStore } from './store.js';
export type { RedisFault, RedisStatus } from './store.js';
