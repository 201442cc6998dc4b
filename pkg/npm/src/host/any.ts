/** What this package asks of hosts that are neither Node nor isolates at the edge: Deno, Bun, and whatever fetches. */

import { environment, type OtherWorkers } from './workers.js';

/** What these hosts have beyond the language. */
interface Globals {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
  readonly Deno?: {
    readonly env: { get(name: string): string | undefined };
    readonly permissions: { querySync(wanted: { name: 'env'; variable: string }): { readonly state: string } };
  };
  readonly Bun?: { readonly isMainThread?: boolean };
  readonly WorkerGlobalScope?: unknown;
}

/** None of them tells a program how many of it run: one that does not say so itself may have others beside it. */
export function otherWorkers(): OtherWorkers {
  const { Deno, Bun, WorkerGlobalScope, process } = globalThis as Globals;
  if (Deno !== undefined && isDeployed(Deno)) {
    return { what: 'Deno Deploy runs a program in several isolates, none of which sees the others', certain: true };
  }
  // Deno asks its user before a variable is read.
  const declared = Deno === undefined ? environment(process?.env ?? {}) : undefined;
  if (declared !== undefined) return declared;
  if (WorkerGlobalScope !== undefined || Bun?.isMainThread === false) {
    return { what: 'this is a worker thread, and others may run beside it', certain: false };
  }
  if (Deno !== undefined) return { what: 'Deno does not tell whether others run beside this process (`deno serve --parallel`)', certain: false };
  if (Bun !== undefined) return { what: 'Bun does not tell whether others listen on this port (`reusePort`, cluster)', certain: false };
  return { what: 'this host does not tell whether other workers run', certain: false };
}

function isDeployed({ env, permissions }: NonNullable<Globals['Deno']>): boolean {
  const variable = 'DENO_DEPLOYMENT_ID';
  return permissions.querySync({ name: 'env', variable }).state === 'granted' && env.get(variable) !== undefined;
}
