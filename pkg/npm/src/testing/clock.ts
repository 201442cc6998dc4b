/** A clock that stands still until a test moves it. */

/** When a clock begins unless it is told: 14 November 2023, 22:13:20 UTC. */
const START = 1_700_000_000;

/** A clock that stands still until it is moved. Times are whole seconds since 1970. */
export class TestClock {
  #now = START;

  /** A clock that shows `time`. For tests beside code that reads the system's clock, give `Math.floor(Date.now() / 1000)`. */
  static at(time: number): TestClock {
    const clock = new TestClock();
    clock.set(time);
    return clock;
  }

  /** The time it shows. */
  now(): number {
    return this.#now;
  }

  /** Moves it to `time`, which may be in its past. */
  set(time: number): void {
    this.#now = time;
  }

  /** Moves it `seconds` ahead. */
  advance(seconds: number): void {
    this.#now += seconds;
  }

  /** The form in which a protection takes it: its option `now`. */
  get reader(): () => number {
    return () => this.#now;
  }
}
