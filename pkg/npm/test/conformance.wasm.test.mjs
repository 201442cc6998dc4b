// The full WASM build, which browsers and other hosts get.
process.env.KEYBOUND_NATIVE = 'wasm';
await import('./conformance.mjs');
await import('./recorded.mjs');
