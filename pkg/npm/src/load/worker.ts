/** The compiled core as WASM, imported as a module: for workers at the edge, which cannot compile at run time. */

import type { Native } from '../native.js';
import { initSync } from '../wasm.js';
import * as wasm from '../wasm.js';
import module from '../wasm/full_bg.wasm';

/** Which build this process uses. */
export const build: 'addon' | 'wasm' = 'wasm';

let loaded = false;

/** The core. */
export function native(): Native {
  if (!loaded) {
    initSync({ module });
    loaded = true;
  }
  return wasm as unknown as Native;
}

/** Loads the core. Here it is there at once. */
export async function ready(): Promise<void> {
  native();
}
