/** What stores delete by themselves: abandoned logins with their keys, and keys that nothing stored names. The core says which, and when. */

import { flows } from '#native';
import type { NativeClientParts, NativeSweep, Swept } from './native.js';
import { systemNow } from './http.js';

/** The client of the core, once it is loaded. */
export async function clientParts(): Promise<NativeClientParts> {
  const parts = flows() as NativeClientParts | (() => Promise<NativeClientParts>);
  return typeof parts === 'function' ? parts() : parts;
}

/**
 * Lets `tell` name everything that is stored, and gives what has ended; none if the last sweep, at `last`, is not long ago. What `tell` does
 * at once is not interrupted by other tasks.
 */
export async function swept(last: number, tell: (sweep: NativeSweep) => void): Promise<Swept | undefined> {
  const { Sweep, isSweepDue } = await clientParts();
  if (!isSweepDue(last, systemNow())) return undefined;
  const sweep = new Sweep(systemNow());
  try {
    tell(sweep);
    return JSON.parse(sweep.finish()) as Swept;
  } finally {
    sweep.free?.();
  }
}
