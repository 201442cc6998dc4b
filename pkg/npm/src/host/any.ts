/** What this package asks of hosts other than Node. */

/** Why a store in the memory of this process cannot see all requests; none, if it can as far as one can tell. */
export function otherWorkers(): string | undefined {
  return undefined;
}
