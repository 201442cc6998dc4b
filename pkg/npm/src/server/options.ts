/** Options that all servers share. */

import type { ReplayStore } from '../replay.js';

/** What every server takes. */
export interface ServerOptions {
  /** Where proofs are remembered: in the memory of this process, unless a store is given. Refused where several workers run. */
  readonly store?: ReplayStore;
  /** In how many processes or isolates the service runs, where that cannot be seen: without a store, `1` or refused. */
  readonly workers?: number;
  /** Remembers no proofs: anyone who sees a request can repeat it until its proof is too old. */
  readonly dangerNoReplayStore?: boolean;
  /** Whole seconds since 1970, for tests. */
  readonly now?: () => number;
  /** Told of faults of the host: keys that cannot be fetched, a store that fails. By default a warning of the process or console. */
  readonly onFault?: (fault: unknown) => void;
}
