/** What this package asks of runtimes at the edge, which spread requests over isolates. */

import type { OtherWorkers } from './workers.js';

/** Isolates are started, and thrown away, without the program's knowing. */
export function otherWorkers(): OtherWorkers {
  return { what: 'this runtime spreads requests over isolates, none of which sees the others', certain: true };
}
