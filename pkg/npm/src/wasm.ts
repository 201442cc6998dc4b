/** What `wasm-bindgen` wrote beside these files, under one name. */

// @ts-ignore: the build puts it there, and its types are those of native.ts.
export * from './wasm/full.js';
// @ts-ignore
import * as full from './wasm/full.js';

type Source = string | URL | Response | BufferSource | WebAssembly.Module;
const module = full as unknown as {
  default: (options?: { module_or_path: Source }) => Promise<unknown>;
  initSync: (options: { module: BufferSource | WebAssembly.Module }) => unknown;
};

/** Instantiates it from its bytes or module. */
export const initSync = (options: { module: BufferSource | WebAssembly.Module }): unknown => module.initSync(options);
/** Fetches and instantiates it. */
export default (options?: { module_or_path: Source }): Promise<unknown> => module.default(options);
