// The store in Redis over WASM passes what it passes over the addon.
process.env.KEYBOUND_NATIVE = 'wasm';
await import('./redis.test.mjs');
