/** What this package asks of Node besides the language. */

import cluster from 'node:cluster';
import { isMainThread } from 'node:worker_threads';

import { environment, type OtherWorkers } from './workers.js';

/** Whether other workers share the requests of this one, as far as it can be seen; none, if nothing says so. */
export function otherWorkers(): OtherWorkers | undefined {
  const declared = environment(process.env);
  if (declared?.certain === true) return declared;
  if (cluster.isWorker) return { what: 'this process is one worker of a cluster', certain: false };
  if (!isMainThread) return { what: 'this is a worker thread, and others may run beside it', certain: false };
  if (declared !== undefined) return declared;
  // `node --watch` talks to the one process that it starts anew; any other parent may have handed its listener to several.
  if (process.channel !== undefined && process.channel !== null && process.env['WATCH_REPORT_DEPENDENCIES'] === undefined) {
    return { what: 'another process forked this one, and may have forked others', certain: false };
  }
  return undefined;
}
