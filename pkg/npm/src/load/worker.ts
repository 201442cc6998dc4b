/** The compiled core as WASM, imported as modules: for workers at the edge, which cannot compile at run time. */

import type { Native, NativeClientParts } from '../native.js';
import { full, grants } from '../wasm.js';
import type { Glue } from '../wasm.js';
import grantsModule from '../wasm/flows_bg.wasm';
import fullModule from '../wasm/full_bg.wasm';

/** Which build this process uses. */
export function build(): 'addon' | 'wasm' {
  return 'wasm';
}

const loaded = new Set<Glue>();

/** The core. */
export function native(): Native {
  return instantiate<Native>(full, fullModule);
}

/** The OAuth client of the core. */
export function flows(): NativeClientParts {
  return instantiate<NativeClientParts>(grants, grantsModule);
}

/** Loads the core. Here it is there at once. */
export async function ready(): Promise<void> {
  native();
}

function instantiate<T>(glue: Glue, module: WebAssembly.Module): T {
  if (!loaded.has(glue)) {
    glue.initSync({ module });
    loaded.add(glue);
  }
  return glue as unknown as T;
}
