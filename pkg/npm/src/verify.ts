/** Judging proofs: in one call, or in two with a store of your own between them. */

import { native, ready } from '#native';
import type { Algorithm } from './drive.js';
import { KeyboundError, decoded, guarded, isPromise, misuse, named } from './errors.js';
import type { Refusal } from './errors.js';
import { systemNow } from './http.js';
import type { NativePending, NativePresented, NativeVerifier } from './native.js';
import { checkFunctions, checkLists, checkNames, checkNumbers, checkObject, checkStrings, checkTexts, jsonOf, urlOf } from './options.js';
import type { Policy } from './policy.js';
import { policyJson } from './policy.js';
import type { Role } from './proof.js';
import type { Check, Rejection } from './reasons.js';
import type { Inserted, Insertion, ReplayEntry, ReplayStore } from './replay.js';
import { MemoryReplayStore, askStore, checkStore, entryOf, insertedOf } from './replay.js';

/** A request as far as its proof is concerned, wherever it is presented. */
export interface PresentedProof {
  /** The method, as received. */
  readonly method: string;
  /** The target URI, from configuration and the raw path: never from a decoded path or an unchecked `Host`. */
  readonly url: string | URL;
  /** The values of all `DPoP` fields; one, if there is one. */
  readonly proof: string | readonly string[] | null | undefined;
  /** The one nonce this client was given, where the host remembers it itself. */
  readonly expectedNonce?: string | undefined;
  /** Whole seconds since 1970; the system's clock by default. */
  readonly now?: number | undefined;
}

/** A proof that is presented at a resource, with an access token. */
export interface PresentedAtResource extends PresentedProof {
  /** The access token without scheme. Its digest has to be in the proof (`ath`). */
  readonly accessToken: string;
  /** The thumbprint that the token is bound to: its `cnf.jkt`. */
  readonly boundTo: string;
  readonly atAuthorizationServer?: false | undefined;
}

/** A proof that is presented at an authorization server, such as at its token endpoint, where there is no access token yet. */
export interface PresentedAtAuthorizationServer extends PresentedProof {
  /** No access token is looked at: a proof made for any token, or for none, passes. */
  readonly atAuthorizationServer: true;
  /** The thumbprint that the code or refresh token is bound to, if it is. */
  readonly boundTo?: string | undefined;
  readonly accessToken?: undefined;
}

/**
 * A proof as it comes with a request. A resource server gives `accessToken` and `boundTo`, a token endpoint `atAuthorizationServer: true`.
 * Both, or neither, is {@link Misuse}.
 */
export type Presented = PresentedAtResource | PresentedAtAuthorizationServer;

/** A proof to be explained. Without `accessToken`, the check of a token endpoint is explained: `ath` and the token are not looked at. */
export interface ProofToExplain extends PresentedProof {
  readonly accessToken?: string | undefined;
  readonly boundTo?: string | undefined;
  readonly atAuthorizationServer?: boolean | undefined;
}

/** What a verified proof says. */
export interface Verified {
  /** The thumbprint of the key that made it. */
  readonly thumbprint: string;
  readonly algorithm: Algorithm;
  /** Its `iat`. */
  readonly issuedAt: number;
  /** The nonce to hand out with the answer, when the present one ends soon. */
  readonly nextNonce: string | undefined;
}

/** What came of every check, for the developer whose proof was refused. Not for the peer. */
export interface Explanation {
  /** Whether every check but replay was passed. */
  readonly accepted: boolean;
  readonly reason: Rejection | null;
  readonly section: string | null;
  /** Each check, in order. One is made unless it depends on a failed one. */
  readonly checks: readonly {
    readonly check: Check;
    readonly outcome: 'passed' | 'failed' | 'not_judged';
    /** Why it failed. That of the first failed check is the verdict; verification does not get to the others. */
    readonly reason?: Rejection;
    /** Where that is required. */
    readonly section?: string;
    /** The failed check for which this one could not be made. */
    readonly because?: Check;
    readonly expected?: string;
    readonly found?: string;
    readonly cause?: string;
    readonly fix?: string;
    readonly note?: string;
  }[];
}

/** Options of a {@link Verifier}. */
export interface VerifierOptions extends Policy {
  /** Where proofs are remembered. */
  readonly store?: ReplayStore;
  /** Whole seconds since 1970, for tests; the system's clock by default. */
  readonly now?: () => number;
}

/** A verified proof from the core's text. */
function verified(text: string): Verified {
  const given = JSON.parse(text) as Record<string, unknown>;
  return {
    thumbprint: given['thumbprint'] as string,
    algorithm: given['algorithm'] as string,
    issuedAt: given['issued_at'] as number,
    nextNonce: given['next_nonce'] as string | undefined,
  };
}

/** A proof that passed every check but replay: it says nothing before it is settled. */
export class PendingProof {
  readonly #native: NativePending;
  readonly #entry: ReplayEntry;

  /** @internal */
  constructor(pending: NativePending, now: number) {
    this.#native = pending;
    this.#entry = entryOf(pending.entry(), now);
  }

  /** What goes into the replay store. */
  get entry(): ReplayEntry {
    return this.#entry;
  }

  /**
   * Accepts or refuses the proof by the store's answer.
   *
   * @throws ProofRejected; HostFailed for `unavailable` and `full`; Misuse for anything but an {@link Insertion}, above all booleans and
   * promises, and on second use
   */
  settle(answer: Insertion | Inserted, now: number = systemNow()): Verified {
    const { insertion, epoch } = insertedOf(answer);
    checkNumbers('settle', { now });
    return verified(guarded('settle', () => this.#native.settle(insertion, epoch, now)));
  }

  /** Accepts the proof without a replay store: whoever sees the request can repeat it until the proof is too old. */
  dangerSkipReplayCheck(): Verified {
    return verified(guarded('dangerSkipReplayCheck', () => this.#native.dangerSkipReplayCheck()));
  }
}

/** What was presented, as the core takes it, and when. */
interface Read {
  readonly presented: NativePresented;
  readonly now: number;
}

/** What is taken with a proof; `store` and `policy` by the functions that make the verifier. */
const PRESENTED = ['method', 'url', 'proof', 'accessToken', 'boundTo', 'atAuthorizationServer', 'expectedNonce', 'now', 'store', 'policy'];

/** What to write in each of the two places where proofs are verified. */
const WAYS = 'a resource server writes { method, url, proof, accessToken, boundTo }, and a token endpoint, where there is no access token yet, { method, url, proof, atAuthorizationServer: true }';

/** @throws Misuse */
function checkPresented(given: unknown): void {
  checkObject('what is verified', given, WAYS);
}

/** Refuses a proof that does not say where it is presented: a forgotten token would be checked as at a token endpoint, without `ath`. @throws Misuse */
function checkWay({ accessToken, atAuthorizationServer }: ProofToExplain, explains: boolean): void {
  if (atAuthorizationServer !== undefined && typeof atAuthorizationServer !== 'boolean') {
    throw misuse('wrong_type', `atAuthorizationServer of what is verified is true or left out, and this was ${named(atAuthorizationServer)}`);
  }
  if (atAuthorizationServer === true && accessToken !== undefined) throw misuse('options_exclude', `accessToken and atAuthorizationServer exclude each other; ${WAYS}`);
  if (atAuthorizationServer === true || accessToken !== undefined || explains) return;
  throw misuse('missing_option', `accessToken is missing: a proof is checked against the access token it came with; ${WAYS}`);
}

/** A request to verify, or to explain. @throws Misuse */
function read(given: ProofToExplain, clock: () => number = systemNow, explains = false): Read {
  checkPresented(given);
  checkNames('what is verified', given, PRESENTED, { dpop: 'proof', token: 'accessToken', jkt: 'boundTo', nonce: 'expectedNonce', htm: 'method', htu: 'url' });
  const { method, url, proof, accessToken, boundTo, expectedNonce, now = clock() } = given;
  if (typeof now !== 'number') throw misuse('wrong_type', `now is a number of seconds, and this was ${named(now)}`);
  if (isPromise(proof)) throw misuse('wrong_type', `proof is a string, and this was ${named(proof)}`);
  const proofs = proof === null || proof === undefined ? [] : typeof proof === 'string' ? [proof] : proof;
  checkTexts({ proof: proofs }, ['proof']);
  checkStrings('what is verified', { method: method ?? null, accessToken, expectedNonce });
  checkStrings('what is verified', { boundTo }, "give the thumbprint, the token's cnf.jkt or key.thumbprint");
  checkWay(given, explains);
  const presented: NativePresented = { method, url: urlOf('what is verified', url), proofs: [...proofs] };
  if (accessToken !== undefined) presented.accessToken = accessToken;
  if (boundTo !== undefined) presented.boundTo = boundTo;
  if (expectedNonce !== undefined) presented.expectedNonce = expectedNonce;
  return { presented, now };
}

/** Judges proofs by one policy. */
export class Verifier {
  readonly #policy: { readonly verifier: string; readonly terms: string };
  readonly #store: ReplayStore | undefined;
  readonly #now: () => number;
  #native: NativeVerifier | undefined;

  /**
   * Elsewhere than on Node the options are looked at when the core is loaded: `await ready()` first to have mistakes shown here.
   *
   * @throws Misuse, if an option cannot be used, or the store is one in Redis that is opened with another policy
   */
  constructor(options: VerifierOptions = {}) {
    checkObject('what a Verifier is made of', options, 'write new Verifier({ store: new MemoryReplayStore(), nonces: true })');
    checkFunctions(options, ['now']);
    const { store, now = systemNow, ...policy } = options;
    this.#policy = policyJson(policy);
    this.#now = now;
    this.#store = store;
    checkStore(store, policy);
    try {
      this.#open(this.#now());
    } catch (error) {
      if (!(error instanceof KeyboundError && error.reason === 'not_ready')) throw error;
    }
  }

  /** The verifier, once the core is loaded. */
  #open(now: number): NativeVerifier {
    if (this.#store instanceof MemoryReplayStore) this.#store._open(this.#policy.terms, now);
    return (this.#native ??= guarded('new Verifier', () => new (native().Verifier)(this.#policy.verifier)));
  }

  /** The verifier, and a request in the store's present life, whose nonces vouch for it. */
  #ask<T>(where: string, { presented, now }: Read, call: (verifier: NativeVerifier, presented: NativePresented, now: number) => T): T {
    const verifier = this.#open(now);
    const epoch = this.#store?.epoch?.();
    return guarded(where, () => call(verifier, epoch === undefined ? presented : { ...presented, epoch }, now));
  }

  /** Makes every check but replay. Elsewhere than on Node, `await ready()` first. */
  check(presented: Presented): PendingProof {
    const request = read(presented, this.#now);
    return new PendingProof(this.#ask('check', request, (verifier, shown, now) => verifier.check(shown, now)), request.now);
  }

  /**
   * Checks a proof and consumes it in the store.
   *
   * @throws ProofRejected with the refusal to send; HostFailed, if the store failed; Misuse
   */
  async verify(presented: Presented): Promise<Verified> {
    // Read before anything is waited for: what is verified is what was given.
    const request = read(presented, this.#now);
    const { now } = presented;
    await ready();
    return this.#consume(request, now);
  }

  async #consume(request: Read, now: number | undefined): Promise<Verified> {
    const store = this.#store;
    if (store === undefined || store instanceof MemoryReplayStore) return this.#consumeSync(request);
    const pending = this.#ask('verify', request, (verifier, shown, at) => verifier.check(shown, at));
    let fault: unknown;
    const { insertion, epoch } = await askStore(store, pending.entry(), request.now, (thrown) => (fault = thrown));
    try {
      return verified(guarded('verify', () => pending.settle(insertion, epoch, now ?? this.#now())));
    } catch (error) {
      if (fault !== undefined && error instanceof KeyboundError) error.cause = fault;
      throw error;
    }
  }

  /** The same at once, with a {@link MemoryReplayStore}. Elsewhere than on Node, `await ready()` first. */
  verifySync(presented: Presented): Verified {
    return this.#consumeSync(read(presented, this.#now));
  }

  #consumeSync(request: Read): Verified {
    const store = this.#store;
    if (!(store instanceof MemoryReplayStore)) {
      const detail = store === undefined ? 'a verifier needs a replay store for this; give it one, or check and settle' : 'this store answers later; await verify';
      throw misuse('no_store', detail);
    }
    const inner = store._open(this.#policy.terms, request.now);
    return verified(this.#ask('verify', request, (verifier, shown, now) => verifier.verify(shown, now, inner)));
  }

  /** Judges many at a time, on other threads where the platform has them. Each result is a {@link Verified} or the error. */
  async verifyMany(all: readonly Presented[], now: number = this.#now()): Promise<(Verified | KeyboundError)[]> {
    checkLists({ all: all ?? null }, ['all']);
    const store = this.#store;
    const given = all.map((presented) => read({ now, ...presented }));
    await ready();
    const verifier = this.#open(now);
    if (!(store instanceof MemoryReplayStore) || verifier.verifyMany === undefined) {
      return Promise.all(given.map((request) => this.#consume(request, request.now).catch(ours)));
    }
    const [inner, epoch] = [store._open(this.#policy.terms, now), store.epoch()];
    const size = Math.max(16, Math.ceil(given.length / 4));
    const batches: Promise<string[]>[] = [];
    for (let at = 0; at < given.length; at += size) {
      const requests = given.slice(at, at + size).map(({ presented }) => ({ ...presented, epoch }));
      batches.push(guarded('verifyMany', () => verifier.verifyMany?.(requests, now, inner)) as Promise<string[]>);
    }
    return (await Promise.all(batches)).flat().map((text) => (text.startsWith('{"kind":') ? ours(decoded(text)) : verified(text)));
  }

  /**
   * What came of every check. It consumes nothing, and is for developers: not for the peer. With a {@link MemoryReplayStore} it also tells
   * whether the store was made too late to know of the proof (`before_store_floor`).
   */
  async explain(presented: ProofToExplain): Promise<Explanation> {
    const request = read(presented, this.#now, true);
    const store = this.#store;
    await ready();
    const inner = store instanceof MemoryReplayStore ? store._open(this.#policy.terms, request.now) : undefined;
    const told = this.#ask('explain', request, (verifier, shown, now) =>
      inner === undefined ? verifier.explain(shown, now) : verifier.explainWithStore(shown, now, inner));
    return JSON.parse(told) as Explanation;
  }

  /** The answer to a request that the host refuses for a reason of its own choosing, for example `replayed`. */
  refuse(reason: Rejection, presented: Presented): Refusal {
    const request = read(presented, this.#now);
    checkStrings('refuse', { reason: reason ?? null });
    return JSON.parse(this.#ask('refuse', request, (verifier, shown, now) => verifier.refuse(shown, now, reason))) as Refusal;
  }

  /** A nonce for the next proof of any key; none without `nonces`. */
  freshNonce(role: Role = 'resource', now: number = this.#now()): string | undefined {
    checkStrings('freshNonce', { role });
    checkNumbers('freshNonce', { now });
    const verifier = this.#open(now);
    const epoch = this.#store?.epoch?.();
    return guarded('freshNonce', () => verifier.freshNonce(role, epoch, now)) ?? undefined;
  }

  /** The algorithms that are accepted. */
  get algorithms(): readonly Algorithm[] {
    const verifier = this.#open(this.#now());
    return guarded('algorithms', () => verifier.algorithms());
  }
}

/** An error that says something about one request; any other ends the call. */
function ours(error: unknown): KeyboundError {
  if (error instanceof KeyboundError && error.name !== 'Misuse') return error;
  throw error;
}

/** Verifiers of {@link verify}, by store and policy. */
const verifiers = new WeakMap<ReplayStore, Map<string, Verifier>>();
/** How many policies one store is used with; more would be a mistake, and forget the others. */
const MAX_POLICIES = 16;

function verifierOf(store: ReplayStore, policy: Policy): Verifier {
  checkStore(store ?? null, policy);
  const known = verifiers.get(store) ?? new Map<string, Verifier>();
  verifiers.set(store, known);
  const name = jsonOf('a policy', policy);
  let verifier = known.get(name);
  if (verifier === undefined) {
    if (known.size >= MAX_POLICIES) known.clear();
    verifier = new Verifier({ ...policy, store });
    known.set(name, verifier);
  }
  return verifier;
}

/**
 * Checks a proof and consumes it in `store`, in one call.
 *
 * @throws ProofRejected with the refusal to send; HostFailed, if the store failed; Misuse
 */
export async function verify(presented: Presented & { readonly store: ReplayStore; readonly policy?: Policy }): Promise<Verified> {
  checkPresented(presented);
  return verifierOf(presented.store, presented.policy ?? {}).verify(presented);
}

/** The same at once, with a {@link MemoryReplayStore}. Elsewhere than on Node, `await ready()` first. */
export function verifySync(presented: Presented & { readonly store: MemoryReplayStore; readonly policy?: Policy }): Verified {
  checkPresented(presented);
  return verifierOf(presented.store, presented.policy ?? {}).verifySync(presented);
}

/** Judges many proofs: see {@link Verifier.verifyMany}. */
export async function verifyMany(
  all: readonly Presented[],
  options: { readonly store: ReplayStore; readonly policy?: Policy; readonly now?: number },
): Promise<(Verified | KeyboundError)[]> {
  checkObject('the second argument of verifyMany', options, 'write { store }');
  return verifierOf(options.store, options.policy ?? {}).verifyMany(all, options.now);
}

/** What came of every check: see {@link Verifier.explain}. With the `store` of a server it also tells what that would refuse. */
export async function explain(presented: ProofToExplain & { readonly store?: ReplayStore; readonly policy?: Policy }): Promise<Explanation> {
  checkPresented(presented);
  const { store, policy = {} } = presented;
  return (store === undefined ? new Verifier(policy) : verifierOf(store, policy)).explain(presented);
}
