/** The compiled core as WASM, imported as modules: for workers at the edge, which cannot compile at run time. */

import type { Native, NativeAdvice, NativeClientParts } from '../native.js';
// @ts-ignore: the build puts it there, and its types are those of native.ts.
import * as grants from '../wasm/flows.js';
import grantsModule from '../wasm/flows_bg.wasm';
// @ts-ignore
import * as judging from '../wasm/server.js';
import judgingModule from '../wasm/server_bg.wasm';
import { notReady } from './wasm.js';
import type { Glue } from './wasm.js';

const loaded = new Set<Glue>();
let isReady = false;

/** Which build this process uses. */
export function build(): 'addon' | 'wasm' {
  return 'wasm';
}

/**
 * The core, after {@link ready}: these hosts give no randomness outside of requests, so that what is made beside them waits for the first.
 */
export function native(): Native {
  if (!isReady) throw notReady();
  return instantiate<Native>(judging as unknown as Glue, judgingModule);
}

/** The OAuth client of the core. */
export function flows(): NativeClientParts {
  return instantiate<NativeClientParts>(grants as unknown as Glue, grantsModule);
}

/** What explains refused responses. */
export async function advice(): Promise<NativeAdvice> {
  await ready();
  return native() as Native & NativeAdvice;
}

/** Loads the core. Call it in a request. */
export async function ready(): Promise<void> {
  isReady = true;
  native();
}

function instantiate<T>(glue: Glue, module: WebAssembly.Module): T {
  if (!loaded.has(glue)) {
    glue.initSync({ module });
    loaded.add(glue);
  }
  return glue as unknown as T;
}
