/** Locks within this process, and how long anyone waits for one. */

import { HostFailed } from './errors.js';

/** How long a task waits for a lock: for its lease, in seconds, unless its caller's signal ends it before. */
export class Patience {
  readonly #name: string;
  readonly #lease: number;
  readonly #signal: AbortSignal | undefined;
  readonly #end: number;

  constructor(name: string, lease: number, signal: AbortSignal | undefined) {
    this.#name = name;
    this.#lease = lease;
    this.#signal = signal;
    this.#end = performance.now() + lease * 1000;
  }

  /** Waits for `turn`. @throws HostFailed, if the lease is over first; the signal's own reason */
  async wait(turn: Promise<void>): Promise<void> {
    this.#signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => settle(() => reject(this.#signal?.reason as Error));
      const timer = setTimeout(() => settle(() => reject(this.#timeout())), Math.max(0, this.#end - performance.now()));
      const settle = (how: () => void): void => {
        clearTimeout(timer);
        this.#signal?.removeEventListener('abort', abort);
        how();
      };
      this.#signal?.addEventListener('abort', abort, { once: true });
      turn.then(() => settle(resolve), (error: unknown) => settle(() => reject(error as Error)));
    });
  }

  /** Waits a moment before another try. */
  async pause(milliseconds: number): Promise<void> {
    if (performance.now() >= this.#end) throw this.#timeout();
    await this.wait(new Promise((resolve) => setTimeout(resolve, milliseconds)));
  }

  // A task that goes on without the lock would redeem the refresh token that the slow holder is redeeming, which ends the session.
  #timeout(): HostFailed {
    const detail = `the lock ${this.#name} was held by another task or process for all of ${this.#lease} s; try again later`;
    return new HostFailed({ reason: 'lock_timeout', detail });
  }
}

/** Turns for a name, in the order they were asked for. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Waits for its turn; gives what ends it. @throws what ends the patience */
  async take(name: string, patience: Patience): Promise<() => void> {
    const before = this.#last.get(name);
    let end: () => void = () => undefined;
    const mine = new Promise<void>((resolve) => (end = resolve));
    this.#last.set(name, mine);
    const release = (): void => {
      if (this.#last.get(name) === mine) this.#last.delete(name);
      end();
    };
    try {
      if (before !== undefined) await patience.wait(before);
    } catch (error) {
      // Those behind wait for the holder in front.
      void before?.then(release);
      throw error;
    }
    return release;
  }
}
