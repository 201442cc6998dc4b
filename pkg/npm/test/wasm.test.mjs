// The WASM builds pass what the addon passes: proofs, servers, frameworks and the client, but for files.
process.env.KEYBOUND_NATIVE = 'wasm';
await import('./verify.test.mjs');
await import('./server.test.mjs');
await import('./frameworks.test.mjs');
await import('./client.test.mjs');
