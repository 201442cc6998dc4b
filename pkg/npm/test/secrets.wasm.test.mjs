// The WASM builds repeat no value either.
process.env.KEYBOUND_NATIVE = 'wasm';
await import('./secrets.test.mjs');
