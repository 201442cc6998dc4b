/** `keybound/browser`, with WASM inside the JavaScript. */

import { inflated } from '../load/inline.js';
import { embed } from '../load/module.js';

embed({
  // @ts-ignore The build puts them there.
  advice: () => inflated(import('../wasm/advice.inline.js')),
  // @ts-ignore
  client: () => inflated(import('../wasm/client.inline.js')),
});

export * from './index.js';
