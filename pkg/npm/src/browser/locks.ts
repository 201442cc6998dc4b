// Locks across the tabs of an origin: Web Locks, or turns within this tab where there are none.

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

  /** Waits for the lock. It is given back by itself after `lease` seconds, and when the page is left. */
  async take(name: string, lease: number): Promise<Held> {
    const release = this.kind === 'web' ? await this.#web(name) : await this.#turn(name);
    const timer = setTimeout(release, lease * 1000);
    return () => {
      clearTimeout(timer);
      release();
    };
  }

  #web(name: string): Promise<Held> {
    return new Promise((resolve, reject) => {
      const held = () => new Promise<void>((release) => resolve(() => release()));
      navigator.locks.request(this.#prefix + name, held).catch(reject);
    });
  }

  async #turn(name: string): Promise<Held> {
    const before = this.#turns.get(name);
    let release: Held = () => undefined;
    const done = new Promise<void>((resolve) => (release = () => resolve()));
    const mine = Promise.resolve(before).then(() => done);
    this.#turns.set(name, mine);
    await before;
    return () => {
      release();
      if (this.#turns.get(name) === mine) this.#turns.delete(name);
    };
  }
}
