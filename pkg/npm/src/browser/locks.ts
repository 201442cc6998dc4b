// Locks across the tabs of an origin: Web Locks, or turns within this tab where there are none.

import { Patience, Turns } from '../turns.js';

/** A lock that is held; calling it gives the lock back, and calling it again does nothing. */
export type Held = () => void;

/** Takes locks by name. */
export class Locks {
  readonly #prefix: string;
  readonly #turns = new Turns();

  constructor(database: string) {
    this.#prefix = `keybound:${database}:`;
  }

  /** `web` if other tabs take part; `tab` if a refresh in another tab may meet one here. */
  get kind(): 'web' | 'tab' {
    return typeof navigator !== 'undefined' && navigator.locks !== undefined ? 'web' : 'tab';
  }

  /**
   * Waits for the lock, `lease` seconds at most. It is given back when the page is left, and never taken away from a page that is
   * merely slow: two refreshes at once would end the session.
   *
   * @param signal ends the wait, and only that
   * @throws HostFailed with the reason `lock_timeout`; the signal's reason
   */
  async take(name: string, lease: number, signal?: AbortSignal): Promise<Held> {
    const patience = new Patience(name, lease, signal);
    return this.kind === 'web' ? this.#web(name, patience) : this.#turns.take(name, patience);
  }

  async #web(name: string, patience: Patience): Promise<Held> {
    const waiting = new AbortController();
    const granted = new Promise<Held>((resolve, reject) => {
      const held = () => new Promise<void>((release) => resolve(() => release()));
      navigator.locks.request(this.#prefix + name, { signal: waiting.signal }, held).catch(reject);
    });
    try {
      await patience.wait(granted.then(() => undefined));
    } catch (error) {
      waiting.abort();
      // It may have been granted in this very moment.
      granted.then((release) => release(), () => undefined);
      throw error;
    }
    return granted;
  }
}
