/** `keybound` for pages, with WASM inside the JavaScript. */

import { inflated } from './load/inline.js';
import { embed } from './load/module.js';

embed({
  // @ts-ignore The build puts them there.
  advice: () => inflated(import('./wasm/advice.inline.js')),
  // @ts-ignore
  flows: () => inflated(import('./wasm/flows.inline.js')),
  // @ts-ignore
  full: () => inflated(import('./wasm/full.inline.js')),
});

export * from './index.js';
