// What the core's flows ask of a browser: keys, storage, locks, requests that the page does not see, and time.

import type { ResponseToExplain } from '../advice.js';
import { KeyFault, type Algorithm, type CreatedKey, type Host, type HostRequest, type HostResponse, type Protection, type Signed,
  type Signing, type Stored } from '../drive.js';
import { HostFailed } from '../errors.js';
import type { Channel } from './channel.js';
import type { Keys } from './keys.js';
import type { Locks } from './locks.js';
import { Refusals } from './refused.js';
import type { Storage } from './storage.js';

const PLACE = 'browser_non_extractable';

/** What all flows of a client share. */
export interface Shared {
  readonly storage: Storage;
  readonly keys: Keys;
  readonly locks: Locks;
  readonly channel: Channel;
}

/** The host of one flow: it also remembers the last answer that refused something, so that it can be explained. */
export class BrowserHost implements Host {
  readonly #shared: Shared;
  readonly #signal: AbortSignal | undefined;
  readonly #refusals = new Refusals();

  /** @param signal ends the flow's waits for locks; what was begun under a lock goes on */
  constructor(shared: Shared, signal?: AbortSignal) {
    this.#shared = shared;
    this.#signal = signal;
  }

  /** The last answer with a status of 400 or more. */
  get refused(): ResponseToExplain | null {
    return this.#refusals.last;
  }

  /** Whether anything was refused on the way, a nonce asked for above all: then there is something new to be kept. */
  get learned(): boolean {
    return this.#refusals.any;
  }

  async createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey> {
    if (!protections.includes(PLACE)) {
      const detail = 'the level asks for a key in hardware, and a browser has non-extractable keys alone; take the level enhanced';
      throw new HostFailed({ reason: 'key_protection', detail });
    }
    const { publicJwk, algorithm } = await this.#shared.keys.create(algorithms);
    return { publicJwk, algorithm, protection: PLACE };
  }

  deleteKey(thumbprint: string): Promise<void> {
    return this.#shared.keys.delete(thumbprint);
  }

  async sign({ thumbprint, message }: Signing): Promise<Signed> {
    const signature = await this.#shared.keys.sign(thumbprint, new Uint8Array(message));
    if (signature === 'key_missing') throw new KeyFault('missing', 'the key is not in this browser any more');
    if (signature === 'key_changed') throw new KeyFault('changed', 'another key is stored under this name');
    return { bytes: signature, encoding: 'raw' };
  }

  async load(slot: string): Promise<Stored | undefined> {
    return (await this.#shared.storage.load(slot)) ?? undefined;
  }

  async save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean> {
    const saved = await this.#shared.storage.save({ slot, expected: expected ?? null, version, value: value ?? null });
    if (saved && slot.startsWith('session/')) this.#shared.channel.announce();
    return saved;
  }

  lock(name: string, lease: number): Promise<() => void> {
    return this.#shared.locks.take(name, lease, this.#signal);
  }

  /** Sends what the core reads itself: metadata, token requests, the question for a nonce. The page's signals do not end these. */
  async fetch(request: HostRequest): Promise<HostResponse> {
    const limit = request.maxBody ?? 0;
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers.map(([name, value]): [string, string] => [name, value]),
      body: request.body === 'bytes' && request.content !== undefined ? new Uint8Array(request.content) : null,
      redirect: 'manual',
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      signal: request.timeout === undefined ? null : AbortSignal.timeout(request.timeout * 1000),
    });
    const body = await read(response, limit);
    this.#refusals.note(request, response, body);
    return { status: statusOf(response), headers: response.headers, body };
  }

  /** Notes the answer to the page's own request. */
  note(request: HostRequest, response: Response): void {
    this.#refusals.note(request, response, new Uint8Array());
  }

  wait(seconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }

  now(): number {
    return Math.floor(Date.now() / 1000);
  }
}

/** The status for the core. A browser shows a redirect that it does not follow without status and fields. */
export function statusOf(response: Response): number {
  return response.type === 'opaqueredirect' ? 302 : response.status;
}

async function read(response: Response, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      if (limit === 0) return new Uint8Array();
      throw new HostFailed({ reason: 'answer_too_long', detail: `the answer is longer than ${limit} bytes` });
    }
    chunks.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
