/** Drives a flow of the core to its end over a host: keys, storage, locks, HTTP and time. The same in Node and in browsers. */

import { HostFailed, KeyboundError, LoginRequired, decoded } from './errors.js';
import type { NativeDevice, NativeDiscovered, NativeEntry, NativeFlow, NativePrincipal, NativeSession } from './native.js';

/** An algorithm's name as JOSE has it, for example `ES256`. */
export type Algorithm = 'ES256' | 'ES384' | 'ES512' | 'Ed25519' | 'EdDSA' | 'PS256' | 'PS384' | 'PS512' | 'RS256' | 'RS384' | 'RS512' | (string & {});

/** Where a key lives, as its host claims. */
export type Protection =
  | 'software' | 'os_store' | 'browser_non_extractable' | 'tee' | 'strong_box' | 'secure_enclave' | 'hsm' | 'remote_kms';

/** A public key as a JWK (RFC 7517) with its required members. */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key that a host made. */
export interface CreatedKey {
  readonly publicJwk: PublicJwk;
  /** One of those that were asked for. */
  readonly algorithm: Algorithm;
  readonly protection: Protection;
  /** Whether it belongs to the host, as the active key of a key ring does: other sessions may use it, and no flow asks for its deletion. */
  readonly shared?: boolean;
}

/** What is to be signed. */
export interface Signing {
  /** Which key: its SHA-256 thumbprint (RFC 7638). */
  readonly thumbprint: string;
  readonly for: 'proof' | 'client_assertion';
  readonly algorithm: Algorithm;
  readonly message: Uint8Array;
  /** The message's digest by the algorithm's own hash, for signers that want that; none for Ed25519. */
  readonly digest: Uint8Array | undefined;
}

/** A signature and how it is written: `raw` as JOSE has it (R and S side by side), or `der`. */
export interface Signed {
  readonly bytes: Uint8Array;
  readonly encoding: 'raw' | 'der';
}

/** A request to send exactly as it is, without following redirects. */
export interface HostRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** `bytes`: in `content`. `repeatable` and `one_shot`: the caller's own body, which {@link Exchange} holds. */
  readonly body: 'empty' | 'bytes' | 'repeatable' | 'one_shot';
  readonly content: Uint8Array | undefined;
  /** How many bytes of the answer are read; a longer one is an error. 0: the body is not read. None: it is the caller's to read. */
  readonly maxBody: number | undefined;
  /** For how many seconds the whole answer is waited for. */
  readonly timeout: number | undefined;
}

/** What came back. */
export interface HostResponse {
  readonly status: number;
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** At most `maxBody` bytes, or empty where the body is the caller's. */
  readonly body: Uint8Array;
}

/** A stored value: a secret. */
export interface Stored {
  /** The number it was saved with, at most 2^53. */
  readonly version: number;
  readonly value: string;
}

/** Why a host cannot use a key. The reason is `key_missing`, `key_changed` or `key_unreadable`. */
export class KeyFault extends HostFailed {
  /** `missing`: there is none any more. `changed`: there is another under its name. `unreadable`: not now. */
  readonly fault: 'missing' | 'changed' | 'unreadable';

  constructor(fault: 'missing' | 'changed' | 'unreadable', message: string = fault, options?: ErrorOptions) {
    super({ reason: `key_${fault}`, detail: message }, options);
    this.fault = fault;
  }
}

/**
 * Thrown by a host's or a caller's `fetch`: the network failed, and no byte of the request left (no such name, connection refused). The
 * core sends it again then. What it was thrown for, `cause`, is what reaches the caller in the end.
 *
 * A request that may have arrived must not be called so: a server would carry it out twice. Any other error leaves that open.
 */
export class NotSent extends Error {
  /** @param cause the error of the library that sends */
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = 'NotSent';
  }
}

/** Where a client keeps keys and sessions, and how its tasks and processes take turns. */
export interface Store {
  /** Makes a key for one of `algorithms`, best first, in one of the places `protections`, and keeps it under its thumbprint. */
  createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey>;
  /** Deletes a key. One that is gone already is no error. */
  deleteKey(thumbprint: string): Promise<void>;
  /** Signs. Throws {@link KeyFault} where the key cannot be used. */
  sign(signing: Signing): Promise<Signed>;
  /** What is stored in a slot: `session/…`, `login/…` or `registration/…`, up to 2,048 bytes with arbitrary characters. */
  load(slot: string): Promise<Stored | undefined>;
  /** Stores `value`, or deletes what is there, if the stored version is `expected`; false if it is not. Durable when it answers. */
  save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean>;
  /**
   * Takes a lock, waiting for other tasks and processes; gives what releases it. After `lease` seconds the wait ends with an error: a
   * task never goes on beside the holder. Where `signal` is given, its abort ends the wait with its reason.
   */
  lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void | Promise<void>>;
}

/** HTTP and time, and what servers have besides: what a flow asks for that keeps nothing. */
export interface Surroundings {
  /** Sends a request. Throws {@link NotSent} where it is certain that nothing left. */
  fetch(request: HostRequest): Promise<HostResponse>;
  /** Waits, also for parts of a second. */
  wait(seconds: number): Promise<void>;
  /** Whole seconds since 1970. */
  now(): number;
  /** Asks a source of the program's own: for the `keys` of an issuer, or what a `token` is. */
  ask?(question: 'keys' | 'token', subject: string): Promise<string | Uint8Array>;
  /** Inserts into the program's own replay store. Never fails: a store that does is `unavailable`. */
  insert?(entry: NativeEntry): Promise<{ readonly insertion: string; readonly epoch: string }>;
  /** Told why work failed that belongs to no flow. */
  onFault?(fault: unknown): void;
}

/** A store with HTTP and time: all that a client's flow asks for. */
export interface Host extends Store, Surroundings {}

/** Sends the caller's own request, as often as the core asks, and keeps the answer for the caller. */
export interface Exchange {
  fetch(request: HostRequest): Promise<HostResponse>;
  /** The caller's: ends the wait for a lock. A refresh that has begun goes on, or its token would be lost. */
  readonly signal?: AbortSignal;
}

/** What a flow came to, as `Flow.step` of the core says it, with its handles. */
export type Result = Readonly<Record<string, unknown>> & { readonly kind: string };

/** A finished flow. */
export interface Finished {
  readonly result: Result;
  readonly discovered: NativeDiscovered | undefined;
  readonly session: NativeSession | undefined;
  readonly device: NativeDevice | undefined;
  readonly principal: NativePrincipal | undefined;
}

interface Step {
  step: string;
  [member: string]: unknown;
}

/** The byte string of bytes: one character for each. */
export function toByteString(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** The bytes of a byte string. */
export function fromByteString(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/**
 * Runs `flow` to its end.
 *
 * What the host throws ends the flow as the core decides, and if the flow ends because of it, that very error is thrown. Locks are
 * given back whatever happens.
 *
 * @param exchange sends the caller's own request, in flows of `call`
 * @throws KeyboundError, or the host's own error
 */
export async function drive(flow: NativeFlow, host: Host | Surroundings, exchange?: Exchange): Promise<Finished> {
  const held = new Map<string, () => void | Promise<void>>();
  let fault: unknown;
  try {
    let step = JSON.parse(flow.step()) as Step;
    while (step.step !== 'done') {
      let reply: Record<string, unknown>;
      try {
        reply = await answer(flow, step, host as Host, held, exchange);
      } catch (thrown) {
        fault = thrown instanceof NotSent ? thrown.cause : thrown;
        reply = failure(step, thrown);
      }
      step = JSON.parse(flow.resume(JSON.stringify(reply), host.now())) as Step;
    }
    return {
      result: step['result'] as Result,
      discovered: flow.discovered?.() ?? undefined,
      session: flow.session?.() ?? undefined,
      device: flow.device?.() ?? undefined,
      principal: flow.principal?.() ?? undefined,
    };
  } catch (thrown) {
    const error = decoded(thrown);
    const hosts = error instanceof HostFailed || (error instanceof KeyboundError && error.reason === 'key_unreadable');
    if (hosts && fault !== undefined) throw fault;
    if (error instanceof LoginRequired && fault instanceof KeyFault) error.cause = fault;
    throw error;
  } finally {
    for (const release of held.values()) await release();
  }
}

type Locks = Map<string, () => void | Promise<void>>;

async function answer(flow: NativeFlow, step: Step, host: Host, held: Locks, exchange?: Exchange): Promise<Record<string, unknown>> {
  switch (step.step) {
    case 'create_key': {
      const key = await host.createKey(step['algorithms'] as Algorithm[], step['protections'] as Protection[]);
      return { key: { public_jwk: key.publicJwk, algorithm: key.algorithm, protection: key.protection, shared: key.shared === true } };
    }
    case 'delete_key':
      await host.deleteKey(step['thumbprint'] as string);
      return { ok: true };
    case 'sign': {
      const digest = step['digest'] as string | undefined;
      const { bytes, encoding } = await host.sign({
        thumbprint: step['thumbprint'] as string,
        for: step['for'] as Signing['for'],
        algorithm: step['algorithm'] as string,
        message: fromByteString(step['message'] as string),
        digest: digest === undefined ? undefined : fromByteString(digest),
      });
      return { signature: toByteString(bytes), encoding };
    }
    case 'fetch': {
      const { status, headers, body } = await send(step, host, exchange);
      return { response: { status, headers: [...headers], body: toByteString(body) } };
    }
    case 'lock': {
      const name = step['lock'] as string;
      held.set(name, await host.lock(name, step['lease'] as number, exchange?.signal));
      // A store may know nothing of signals. Nothing has begun under the lock yet.
      exchange?.signal?.throwIfAborted();
      return { ok: true };
    }
    case 'unlock': {
      const name = step['lock'] as string;
      const release = held.get(name);
      held.delete(name);
      await release?.();
      return { ok: true };
    }
    case 'load': {
      const stored = await host.load(step['slot'] as string);
      return { stored: stored === undefined ? null : { version: stored.version, value: stored.value } };
    }
    case 'save': {
      const [expected, value] = [step['expected'] as number | undefined, step['value'] as string | undefined];
      return { saved: await host.save(step['slot'] as string, expected, step['version'] as number, value) };
    }
    case 'wait':
      await host.wait((step['milliseconds'] as number) / 1000);
      return { ok: true };
    case 'share':
      await shared(flow, step, host);
      return { ok: true };
    case 'ask': {
      const asked = host.ask?.(step['question'] as 'keys' | 'token', step['subject'] as string);
      const told = await within(asked, step['timeout'] as number);
      if (typeof told === 'string' || told instanceof Uint8Array) return { told: toByteString(typeof told === 'string' ? new TextEncoder().encode(told) : told) };
      throw new TypeError('a source of keys, or of what tokens are, answers with a text or bytes');
    }
    case 'insert':
      return { inserted: await host.insert?.(flow.entry?.() as NativeEntry) };
    default:
      throw new TypeError(`the core asks for ${step.step}, which this version does not know`);
  }
}

/** Work under way that flows of one host share, by name. It belongs to none of them: one that is given up leaves it running. */
const underway = new WeakMap<Surroundings, Map<string, Promise<void>>>();

/** Waits for the end of shared work, which is begun if that is this flow's turn. It ends by its own time-out at the latest. */
async function shared(flow: NativeFlow, step: Step, host: Host): Promise<void> {
  const works = underway.get(host) ?? new Map<string, Promise<void>>();
  underway.set(host, works);
  const name = step['name'] as string;
  const work = begun(flow, step['timeout'] as number, host);
  if (work !== undefined) {
    works.set(name, work);
    // Another task of this name may have begun since this one's end.
    void work.then(() => works.get(name) === work && works.delete(name));
  }
  await (works.get(name) ?? host.wait(0.005));
}

/** The end of this flow's task, if it has one; it does not fail. */
function begun(flow: NativeFlow, timeout: number, host: Host): Promise<void> | undefined {
  const told = (fault: unknown): void => host.onFault?.(decoded(fault));
  try {
    const task = flow.task(host.now());
    if (task === undefined || task === null) return undefined;
    // One that ends by an error of the driver's own would keep its turn, and all that wait, until it is collected.
    const driven = drive(task, host).finally(() => {
      task.abandon();
      task.free?.();
    });
    return within(driven, timeout, () => task.abandon()).then(() => undefined, told);
  } catch (fault) {
    told(fault);
    return undefined;
  }
}

/** What `work` comes to within so many seconds. */
function within<T>(work: Promise<T> | undefined, seconds: number, late: () => void = () => undefined): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late();
      reject(new Error(`there was no answer in ${seconds} seconds`));
    }, seconds * 1000);
    Promise.resolve(work).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function send(step: Step, host: Host, exchange: Exchange | undefined): Promise<HostResponse> {
  const content = step['content'] as string | undefined;
  const request: HostRequest = {
    method: step['method'] as string,
    url: step['url'] as string,
    headers: step['headers'] as [string, string][],
    body: step['body'] as HostRequest['body'],
    content: content === undefined ? undefined : fromByteString(content),
    maxBody: step['max_body'] as number | undefined,
    timeout: step['timeout'] as number | undefined,
  };
  // What the core reads itself is sent by the host; the caller's own request by whoever has its body.
  return exchange !== undefined && request.maxBody === undefined ? exchange.fetch(request) : host.fetch(request);
}

function failure(step: Step, thrown: unknown): Record<string, unknown> {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  if (step.step === 'fetch' && thrown instanceof NotSent) return { not_sent: text };
  if (step.step !== 'sign' || !(thrown instanceof KeyFault)) return { failed: text };
  if (thrown.fault === 'missing') return { key_missing: true };
  return thrown.fault === 'changed' ? { key_changed: true } : { key_unreadable: text };
}
