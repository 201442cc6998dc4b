/** WASM builds that are fetched: one that judges, and the client when it is needed. */

import { misuse } from '../errors.js';
import type { Native, NativeAdvice, NativeClientParts } from '../native.js';
// @ts-ignore: the build puts it there, and its types are those of native.ts.
import * as grants from '../wasm/flows.js';
import { load } from './module.js';
import type { Glue, Name, Source } from './module.js';

export type { Glue, Source } from './module.js';

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

/** A module by its name. */
type Module = readonly [name: Name, glue: Glue];

/** A loader of `judging` and, when they are needed, the client and `advising`, where that is a build of its own. */
export function loader(judging: Module, advising: Module = judging): Loader {
  let loaded = false;
  const loading = new Map<Name, Promise<void>>();
  async function once([name, glue]: Module, source?: Source): Promise<void> {
    const underway = loading.get(name) ?? load(name, glue, source);
    loading.set(name, underway);
    try {
      await underway;
    } catch (error) {
      loading.delete(name);
      throw error;
    }
  }
  return {
    native() {
      if (!loaded) throw notReady();
      return judging[1] as unknown as Native;
    },
    flows: () => async () => {
      await once(['flows', grants as unknown as Glue]);
      return grants as unknown as NativeClientParts;
    },
    async advice() {
      await once(advising);
      loaded ||= advising === judging;
      return advising[1] as unknown as NativeAdvice;
    },
    async ready(source) {
      if (loaded) return;
      await once(judging, source);
      loaded = true;
    },
    build: () => 'wasm',
  };
}

/** The mistake of a call that answers at once, before the core is there. */
export function notReady(): Error {
  return misuse('not_ready', "the core is not loaded yet; import { ready } from 'keybound' and await ready() first, or use the asynchronous call");
}
