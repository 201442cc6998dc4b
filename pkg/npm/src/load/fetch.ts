/** The compiled core as WASM, fetched from beside these files: browsers, web workers, Deno, Bun. */

import { misuse } from '../errors.js';
import type { Native } from '../native.js';
import init, * as wasm from '../wasm.js';

/** Which build this process uses. */
export const build: 'addon' | 'wasm' = 'wasm';

let loading: Promise<unknown> | undefined;
let loaded = false;

/** The core, after {@link ready}. */
export function native(): Native {
  if (!loaded) throw misuse('not_ready', 'the core is not loaded yet; await ready() first, or use the asynchronous call');
  return wasm as unknown as Native;
}

/**
 * Loads the core, once.
 *
 * @param source where the WASM is, if it is not beside these files: a URL, a `Response`, bytes or a compiled module
 */
export async function ready(source?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<void> {
  if (loaded) return;
  loading ??= init(source === undefined ? undefined : { module_or_path: source });
  try {
    await loading;
    loaded = true;
  } catch (error) {
    loading = undefined;
    throw error;
  }
}
