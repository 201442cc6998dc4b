/** What stores delete by themselves: abandoned logins with their keys, and keys that nothing stored names. The core says which. */

import { flows } from '#native';
import type { NativeClientParts, NativeSweep } from './native.js';
import { systemNow } from './http.js';

/** How long a store waits between two sweeps, and how old a broken-off write is before it is removed, in seconds. */
export const SWEEP_EVERY = 3_600;

/** What can be deleted: a slot if it still has this version, and keys by their thumbprints. */
export interface Swept {
  readonly slots: readonly { readonly slot: string; readonly version: number }[];
  readonly keys: readonly string[];
}

/** Lets `tell` name everything that is stored, and gives what has ended. What `tell` does at once is not interrupted by other tasks. */
export async function swept(tell: (sweep: NativeSweep) => void | Promise<void>): Promise<Swept> {
  const parts = flows() as NativeClientParts | (() => Promise<NativeClientParts>);
  const { Sweep } = typeof parts === 'function' ? await parts() : parts;
  // Builds for pages have none; their keys are not in these stores.
  if (Sweep === undefined) return { slots: [], keys: [] };
  const sweep = new Sweep(systemNow());
  await tell(sweep);
  return JSON.parse(sweep.finish()) as Swept;
}
