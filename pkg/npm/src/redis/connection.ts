/** The connection of a store: made when it is needed, and given up for another as soon as a reply is late. */

import { KeyboundError } from '../errors.js';
import type { Line, Source } from './clients.js';

interface Held {
  readonly line: Line;
  /** How many pipelines wait for replies. */
  pending: number;
  isRetired: boolean;
}

/** At most one connection for new pipelines. One that is given up is closed, so that late replies reach no one. */
export class Connection {
  readonly #source: Source;
  readonly #connectWithin: number;
  #held: Held | undefined;
  #connecting: Promise<Held> | undefined;
  #address: string | undefined;
  #isClosed = false;
  #fault: string | undefined;

  constructor(source: Source, connectWithin: number) {
    this.#source = source;
    this.#connectWithin = connectWithin;
  }

  /** Whether a node that a namespace moved to can be found. */
  get isCluster(): boolean {
    return this.#source.isCluster;
  }

  /** Why there is no connection or the last one broke, in the words of the client library. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Sends commands in one pipeline and gives their replies; none if they were not all there within `milliseconds`, or the connection broke.
   *
   * @throws Misuse, if the client's options cannot be used
   */
  async exchange(commands: readonly (readonly string[])[], milliseconds: number): Promise<string[] | undefined> {
    if (milliseconds <= 0) return undefined;
    let isLate = false;
    let isDone = false;
    let held: Held | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = lateAfter(milliseconds, () => {
        if (isDone) return;
        isLate = true;
        if (held !== undefined) this.#drop(held);
        resolve(undefined);
      });
    });
    const sent = async (): Promise<string[] | undefined> => {
      const connected = await this.#ready();
      // What is late is not sent any more.
      if (isLate) return undefined;
      held = connected;
      held.pending += 1;
      try {
        const replies = await held.line.send(commands);
        this.#fault = undefined;
        return replies;
      } finally {
        held.pending -= 1;
        if (!held.line.isOpen) this.#drop(held);
        else if (held.isRetired && held.pending === 0) held.line.close();
      }
    };
    try {
      return await Promise.race([sent().catch((fault: unknown) => this.#answered(fault, commands.length)), late]);
    } finally {
      isDone = true;
      clearTimeout(timer);
    }
  }

  /** Takes another connection for what comes next: to a node of the cluster at `address`, if there is one. */
  renew(address?: string): void {
    this.#address = address;
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    held.isRetired = true;
    if (held.pending === 0) held.line.close();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#held !== undefined) this.#drop(this.#held);
  }

  async #ready(): Promise<Held> {
    if (this.#isClosed) throw new Error('the store is closed');
    if (this.#held?.line.isOpen) return this.#held;
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #connect(): Promise<Held> {
    const address = this.#address;
    let begun: Line | undefined;
    let isLate = false;
    const connected = async (): Promise<Line> => {
      const { line, ready } = await this.#source.begin(address);
      begun = line;
      if (isLate) line.close();
      await ready;
      return line;
    };
    try {
      const line = await inTime(connected(), this.#connectWithin, () => {
        isLate = true;
        begun?.close();
      });
      const held = { line, pending: 0, isRetired: false };
      if (this.#isClosed) this.#drop(held);
      else this.#held = held;
      return held;
    } catch (fault) {
      // Another node may be the primary by now.
      if (this.#address === address) this.#address = undefined;
      throw fault;
    }
  }

  /** What a server answers to the greeting of a connection, such as `WRONGPASS`, stands for its replies. Anything else is none. */
  #answered(fault: unknown, count: number): string[] | undefined {
    if (fault instanceof KeyboundError) throw fault;
    // The text alone: errors of the libraries hold commands, that with the password among them.
    const { message, code } = (fault ?? {}) as { message?: unknown; code?: unknown };
    const text = String(message || code);
    this.#fault = text.slice(0, 200);
    return /^[A-Z]+ /.test(text) ? Array<string>(count).fill(`-${text}`) : undefined;
  }

  #drop(held: Held): void {
    if (this.#held === held) this.#held = undefined;
    held.line.close();
  }
}

/** Calls `late` after so many milliseconds, but not before what had arrived by then was read: the event loop may have been held up. */
export function lateAfter(milliseconds: number, late: () => void): ReturnType<typeof setTimeout> {
  return setTimeout(() => setImmediate(late), milliseconds);
}

function inTime<T>(work: Promise<T>, milliseconds: number, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late();
      reject(new Error(`no connection within ${milliseconds} ms`));
    }, milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
