/** `keybound` on Node, Deno and Bun: everything, and what needs files and a listener. */

export * from './index.js';
export { Client } from './client.node.js';
export { FileStore } from './files.js';
export { Loopback } from './loopback.js';
