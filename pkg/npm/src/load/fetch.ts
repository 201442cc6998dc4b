/** The compiled core as WASM, fetched from beside these files: browsers, web workers, Deno, Bun. */

import { misuse } from '../errors.js';
import type { Native, NativeClientParts } from '../native.js';
import { full, grants } from '../wasm.js';
import type { Glue, Source } from '../wasm.js';

/** Which build this process uses. */
export function build(): 'addon' | 'wasm' {
  return 'wasm';
}

let loaded = false;
const loading = new Map<Glue, Promise<unknown>>();

/** The core, after {@link ready}. */
export function native(): Native {
  if (!loaded) throw misuse('not_ready', 'the core is not loaded yet; await ready() first, or use the asynchronous call');
  return full as unknown as Native;
}

/** The OAuth client of the core, when it is first needed. */
export function flows(): () => Promise<NativeClientParts> {
  return async () => {
    await load(grants);
    return grants as unknown as NativeClientParts;
  };
}

/**
 * Loads the core, once.
 *
 * @param source where `full_bg.wasm` is, if it is not beside these files: a URL, a `Response`, bytes or a compiled module
 */
export async function ready(source?: Source): Promise<void> {
  await load(full, source);
  loaded = true;
}

async function load(glue: Glue, source?: Source): Promise<void> {
  const underway = loading.get(glue) ?? glue.default(source === undefined ? undefined : { module_or_path: source });
  loading.set(glue, underway);
  try {
    await underway;
  } catch (error) {
    loading.delete(glue);
    throw error;
  }
}
