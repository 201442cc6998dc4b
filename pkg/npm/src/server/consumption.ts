/** Where a server's proofs are used up, its clock and who hears of its faults; it carries out the server's flows. */

import { drive } from '../drive.js';
import type { Finished, Surroundings } from '../drive.js';
import { guarded, misuse } from '../errors.js';
import { surroundings, systemNow } from '../http.js';
import type { NativeEntry, NativeFlow, NativeMemoryStore } from '../native.js';
import type { Policy } from '../policy.js';
import { MemoryReplayStore, askStore, checkStore } from '../replay.js';
import type { Inserted, ReplayStore } from '../replay.js';
import type { Audit, Counters, ServerOptions } from './options.js';

/** What a server's flows run over. @internal */
export class Consumption {
  readonly onFault: (fault: unknown) => void;
  readonly #store: ReplayStore | undefined;
  readonly #timed: boolean;
  readonly #host: Surroundings;
  readonly #audit: Audit | undefined;
  #lost = 0;

  /** @throws Misuse for a memory store where several workers run, and for a store in Redis that is opened with another policy */
  constructor(options: ServerOptions, proofs: Policy, ask?: Surroundings['ask']) {
    const { store, workers, dangerNoReplayStore = false, dangerFirstStart = false, now = systemNow, onFault = warn, audit } = options;
    if (audit !== undefined && typeof audit?.to !== 'function') {
      throw misuse('wrong_type', 'audit names a function that takes records: write audit: { key, to: (record) => log(record) }');
    }
    this.#audit = audit;
    if (store !== undefined && dangerFirstStart) throw misuse('store_option', 'a store was given: say dangerFirstStart where it is made');
    const own = { ...(workers !== undefined && { workers }), dangerFirstStart };
    this.#store = dangerNoReplayStore ? undefined : (store ?? new MemoryReplayStore(own));
    checkStore(this.#store, proofs);
    this.onFault = onFault;
    // Where the program gives the time, limits go by that; a system's clock can be set, so they do not go by one.
    this.#timed = options.now !== undefined;
    this.#host = {
      ...surroundings({ now }),
      ...(ask && { ask }),
      onFault,
      insert: (entry) => this.#insert(entry),
    };
  }

  /** Whether proofs are remembered at all. */
  get remembers(): boolean {
    return this.#store !== undefined;
  }

  /** Whole seconds since 1970. */
  now(): number {
    return this.#host.now();
  }

  /** The store for the core to use by itself, if it is one of this process. */
  memory(terms: string): NativeMemoryStore | undefined {
    return this.#store instanceof MemoryReplayStore ? this.#store._open(terms, this.now()) : undefined;
  }

  /** How a request arrives: in which life of the program's own store, and when. */
  arrival(): { readonly epoch?: string; readonly ticks?: number } {
    const epoch = this.#store instanceof MemoryReplayStore ? undefined : this.#store?.epoch?.();
    return { ...(epoch !== undefined && { epoch }), ...(!this.#timed && { ticks: Math.floor(performance.now()) }) };
  }

  async #insert(entry: NativeEntry): Promise<Inserted> {
    const store = this.#store as ReplayStore;
    try {
      return await askStore(store, entry, this.now(), this.onFault);
    } catch (fault) {
      // A store that answers with something else than an insertion has not answered.
      this.onFault(fault);
      return { insertion: 'unavailable', epoch: store.epoch?.() ?? '0' };
    }
  }

  /** What was counted, with the records that were lost. */
  counters(told: string): Counters {
    return { ...(JSON.parse(told) as Counters), keybound_audit_dropped_total: this.#lost };
  }

  /** What the core keeps for records. */
  get audit(): { readonly key: string } | undefined {
    return this.#audit === undefined ? undefined : { key: this.#audit.key };
  }

  #record(flow: NativeFlow, route: string | undefined, begun: number): void {
    if (this.#audit === undefined) return;
    try {
      const record = flow.record?.(route, Math.round((performance.now() - begun) * 1000), this.now());
      if (record !== undefined && record !== null) this.#audit.to(record);
    } catch (fault) {
      this.#lost += 1;
      this.onFault(fault);
    }
  }

  /** Carries out one flow, and records its decision. `where` names the method for mistakes, and `route` is the template of its route. */
  async run(where: string, begin: (now: number) => NativeFlow, route?: string | undefined): Promise<Finished> {
    const begun = performance.now();
    const now = this.now();
    const flow = guarded(where, () => begin(now));
    try {
      const finished = await drive(flow, this.#host);
      this.#record(flow, route, begun);
      return finished;
    } finally {
      flow.free?.();
    }
  }
}

function warn(fault: unknown): void {
  const text = fault instanceof Error ? fault.message : String(fault);
  console.warn(`keybound: ${text}`);
}
