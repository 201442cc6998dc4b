// Locks across the tabs of an origin: Web Locks, or turns within this tab where there are none.

import { HostFailed } from '../errors.js';
import { untilAborted } from './abort.js';

/** A lock that is held; calling it gives the lock back, and calling it again does nothing. */
export type Held = () => void;

/** Takes locks by name. */
export class Locks {
  readonly #prefix: string;
  readonly #turns = new Map<string, Promise<void>>();

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
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(timedOut(lease)), lease * 1000);
    const stop = () => waiting.abort(signal?.reason);
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await (this.kind === 'web' ? this.#web(name, waiting.signal) : this.#turn(name, waiting.signal));
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }

  #web(name: string, signal: AbortSignal): Promise<Held> {
    return new Promise((resolve, reject) => {
      const held = () => new Promise<void>((release) => resolve(() => release()));
      // Not every browser rejects with the signal's own reason.
      navigator.locks.request(this.#prefix + name, { signal }, held).catch((error: unknown) => {
        reject(signal.aborted ? signal.reason : error);
      });
    });
  }

  async #turn(name: string, signal: AbortSignal): Promise<Held> {
    const before = this.#turns.get(name);
    let end: Held = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    // Whoever comes next waits for both: a turn that was given up does not end the one before it.
    const mine = Promise.resolve(before).then(() => ended);
    this.#turns.set(name, mine);
    void mine.then(() => {
      if (this.#turns.get(name) === mine) this.#turns.delete(name);
    });
    try {
      await untilAborted(before, signal);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }
}

function timedOut(lease: number): HostFailed {
  const detail = `another tab or task has held the session's lock for ${lease} seconds: it may be waiting for a server; try again`;
  return new HostFailed({ reason: 'lock_timeout', detail });
}
