/** WASM builds fetched from beside these files: one that judges, and the client when it is needed. */

import { misuse } from '../errors.js';
import type { Native, NativeAdvice, NativeClientParts } from '../native.js';
// @ts-ignore: the build puts it there, and its types are those of native.ts.
import * as grants from '../wasm/flows.js';

/** Where WASM comes from, if not from beside these files: a URL, a `Response`, bytes or a compiled module. */
export type Source = string | URL | Response | BufferSource | WebAssembly.Module;

/** What `wasm-bindgen` writes beside a module. */
export interface Glue {
  default(options?: { module_or_path: Source }): Promise<unknown>;
  initSync(options: { module: BufferSource | WebAssembly.Module }): unknown;
}

/** What each platform's loader gives. */
export interface Loader {
  /** The core, after {@link ready}. */
  native(): Native;
  /** The OAuth client of the core, when it is first needed. */
  flows(): NativeClientParts | (() => Promise<NativeClientParts>);
  /** What explains refused responses. */
  advice(): Promise<NativeAdvice>;
  /** Loads the core, once. `source` is for hosts that keep the WASM elsewhere. */
  ready(source?: Source): Promise<void>;
  /** Which build this process uses. */
  build(): 'addon' | 'wasm';
}

/** A loader of `judging` and, when they are needed, the client and `advising`, where that is a build of its own. */
export function loader(judging: Glue, advising: Glue = judging): Loader {
  let loaded = false;
  const loading = new Map<Glue, Promise<unknown>>();
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
  return {
    native() {
      if (!loaded) throw misuse('not_ready', 'the core is not loaded yet; await ready() first, or use the asynchronous call');
      return judging as unknown as Native;
    },
    flows: () => async () => {
      await load(grants as unknown as Glue);
      return grants as unknown as NativeClientParts;
    },
    async advice() {
      await load(advising);
      loaded ||= advising === judging;
      return advising as unknown as NativeAdvice;
    },
    async ready(source) {
      if (loaded) return;
      await load(judging, source);
      loaded = true;
    },
    build: () => 'wasm',
  };
}
