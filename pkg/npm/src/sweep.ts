/** What stores delete by themselves: abandoned logins with their keys, and keys that nothing stored names. The core says which. */

import { flows } from '#native';
import type { NativeClientParts, NativeSweep, Swept } from './native.js';
import { systemNow } from './http.js';

/** How long a store waits between two sweeps, and how old a broken-off write is before it is removed, in seconds. */
export const SWEEP_EVERY = 3_600;

/** Lets `tell` name everything that is stored, and gives what has ended. What `tell` does at once is not interrupted by other tasks. */
export async function swept(tell: (sweep: NativeSweep) => void | Promise<void>): Promise<Swept> {
  const parts = flows() as NativeClientParts | (() => Promise<NativeClientParts>);
  const { Sweep } = typeof parts === 'function' ? await parts() : parts;
  const sweep = new Sweep(systemNow());
  try {
    await tell(sweep);
    return JSON.parse(sweep.finish()) as Swept;
  } finally {
    sweep.free?.();
  }
}
