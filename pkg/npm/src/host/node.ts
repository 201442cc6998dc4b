/** What this package asks of Node besides the language. */

import cluster from 'node:cluster';
import { isMainThread } from 'node:worker_threads';

/** Why a store in the memory of this process cannot see all requests; none, if it can as far as one can tell. */
export function otherWorkers(): string | undefined {
  if (cluster.isWorker) return 'this process is one worker of a cluster';
  if (!isMainThread) return 'this is a worker thread, and others may run beside it';
  for (const name of ['WEB_CONCURRENCY', 'instances', 'PM2_INSTANCES']) {
    const value = process.env[name];
    if (value !== undefined && (value === 'max' || Number(value) > 1 || Number(value) < 0)) return `${name}=${value} declares several workers`;
  }
  // PM2 numbers the processes of one program: a second one exists if this is not the first.
  const instance = process.env['NODE_APP_INSTANCE'];
  if (instance !== undefined && Number(instance) > 0) return `NODE_APP_INSTANCE=${instance} says that this is one of several processes`;
  return undefined;
}
