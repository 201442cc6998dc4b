/** Intents: what a user agreed to, for one key (RFC 9396 bound by RFC 9449). */

import { native } from '#native';
import { guarded } from '../errors.js';
import { systemNow } from '../http.js';
import type { NativeIntent } from '../native.js';
import { carried, checkBytes, checkLists, checkNumbers, checkStrings, jsonOf, urlOf } from '../options.js';

type Detail = Readonly<Record<string, unknown>>;

/** Details, the key that may carry them out, and until when. */
export class Intent {
  readonly #native: NativeIntent;

  private constructor(intent: NativeIntent) {
    this.#native = intent;
  }

  /**
   * Declares an intent at the authorization server: `key` is a thumbprint, `lifetime` seconds up to 3,600.
   *
   * @throws ProofRejected, if details or lifetime are none; Misuse
   */
  static declare(details: readonly Detail[], key: string, lifetime: number, now: number = systemNow()): Intent {
    checkLists({ details: details ?? null }, ['details']);
    checkStrings('declare', { key: key ?? null }, 'give a thumbprint');
    checkNumbers('declare', { lifetime: lifetime ?? null, now });
    const json = jsonOf('details', details);
    return new Intent(guarded('declare', () => native().Intent.declare(json, key, lifetime, now)));
  }

  /** The intent with the details that are granted. @throws ProofRejected, if they are not within the declared ones or it is too late */
  grant(granted: readonly Detail[], now: number = systemNow()): Intent {
    checkLists({ granted: granted ?? null }, ['granted']);
    checkNumbers('grant', { now });
    const json = jsonOf('granted', granted);
    return new Intent(guarded('grant', () => this.#native.grant(json, now)));
  }

  /** Throws, unless one of the details names this request, body included, for the key of its proof. @throws ProofRejected */
  permits(request: { readonly method: string; readonly url: string; readonly body: Uint8Array }, key: string, now: number = systemNow()): void {
    const { method, url, body } = carried('permits', request);
    checkStrings('permits', { key: key ?? null }, 'give the thumbprint of the proof');
    checkNumbers('permits', { now });
    guarded('permits', () => this.#native.permits(method, url, body, key, now));
  }

  get details(): readonly Detail[] {
    return JSON.parse(this.#native.details()) as Detail[];
  }
  /** The thumbprint of the key that may carry it out. */
  get key(): string {
    return this.#native.key();
  }
  get expiresAt(): number {
    return this.#native.expiresAt();
  }

  /** @internal */
  static _of(intent: NativeIntent): Intent {
    return new Intent(intent);
  }
}

/** The detail for one request: its method, its URL and its body, or any body without one. */
export function requestDetail(method: string, url: string, body?: Uint8Array): Detail {
  checkStrings('requestDetail', { method: method ?? null });
  const target = urlOf('requestDetail', url);
  if (body !== undefined) checkBytes('requestDetail', body);
  return JSON.parse(guarded('requestDetail', () => native().requestDetail(method, target, body))) as Detail;
}
