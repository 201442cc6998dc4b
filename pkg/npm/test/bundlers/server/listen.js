// Listens on a free port and says which, on Node, Bun and Deno.

import { app } from './app.js';

const { Bun, Deno } = globalThis;
const [hostname, port] = ['127.0.0.1', 0];
if (Deno !== undefined) Deno.serve({ hostname, port, onListen: (at) => console.log(`port ${at.port}`) }, app.fetch);
else if (Bun !== undefined) console.log(`port ${Bun.serve({ hostname, port, fetch: app.fetch }).port}`);
else (await import('@hono/node-server')).serve({ hostname, port, fetch: app.fetch }, (at) => console.log(`port ${at.port}`));
