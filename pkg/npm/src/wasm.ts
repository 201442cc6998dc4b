/** What `wasm-bindgen` wrote beside these files: the full build, and the client with every grant. */

// @ts-ignore: the build puts them there, and their types are those of native.ts.
import * as fullGlue from './wasm/full.js';
// @ts-ignore
import * as grantsGlue from './wasm/flows.js';

/** Where the WASM itself comes from. */
export type Source = string | URL | Response | BufferSource | WebAssembly.Module;

/** A build before it is instantiated. */
export interface Glue {
  /** Fetches and instantiates it: by default from beside these files. */
  default(options?: { module_or_path: Source }): Promise<unknown>;
  /** Instantiates it from its bytes or module. */
  initSync(options: { module: BufferSource | WebAssembly.Module }): unknown;
}

/** Keys, proofs, judging, servers. */
export const full = fullGlue as unknown as Glue;
/** The OAuth client. */
export const grants = grantsGlue as unknown as Glue;
