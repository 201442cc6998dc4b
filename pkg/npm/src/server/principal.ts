/** Whom an admitted request is from, and what it may do. */

import { checkCopy, mark } from '../copies.js';
import type { Finished } from '../drive.js';
import type { Refusal } from '../errors.js';
import { decoded, guarded } from '../errors.js';
import type { NativeFlow, NativePrincipal } from '../native.js';
import { carried, checkScopes } from '../options.js';
import { Intent } from './intent.js';

/** The subject of an admitted request. */
export class Principal {
  static {
    mark(this, 'Principal');
  }

  readonly subject: string | undefined;
  readonly clientId: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  readonly scopes: readonly string[];
  /** When its token ends. */
  readonly expiresAt: number | undefined;
  /** The thumbprint of the key that made the proof; none for an unbound token. */
  readonly thumbprint: string | undefined;
  /** All claims of the token. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** RFC 9396. */
  readonly authorizationDetails: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly #headers: readonly (readonly [name: string, value: string])[];
  readonly #native: NativePrincipal;
  readonly #run: (begin: (now: number) => NativeFlow) => Promise<Finished>;
  readonly #told: (refusal: Refusal) => void;

  /** @internal */
  constructor(
    described: Record<string, unknown>, principal: NativePrincipal, run: (begin: (now: number) => NativeFlow) => Promise<Finished>,
    told: (refusal: Refusal) => void,
  ) {
    this.subject = described['subject'] as string | undefined;
    this.clientId = described['client_id'] as string | undefined;
    this.issuer = described['issuer'] as string | undefined;
    this.audience = described['audience'] as string[];
    this.scopes = described['scopes'] as string[];
    this.expiresAt = described['expires_at'] as number | undefined;
    this.thumbprint = described['thumbprint'] as string | undefined;
    this.claims = described['claims'] as Record<string, unknown>;
    this.authorizationDetails = described['authorization_details'] as Record<string, unknown>[] | undefined;
    this.#headers = described['headers'] as [string, string][];
    this.#native = principal;
    this.#run = run;
    this.#told = told;
  }

  /** A principal that a protection of this package made, or nothing: other packages set members of requests of the same name. @internal */
  static _of(value: unknown): Principal | undefined {
    checkCopy(value, Principal);
    return typeof value === 'object' && value !== null && #native in value ? value : undefined;
  }

  /** Fields that the answer to this request carries besides its own: the next nonce, and what scripts may read. */
  get headers(): readonly (readonly [name: string, value: string])[] {
    return this.#headers;
  }

  /** The answer to send, if the token lacks one of `scopes`: 403 with what is needed. None, if it has them all. @throws Misuse without a scope */
  requireScopes(...scopes: string[]): Refusal | undefined {
    checkScopes(scopes);
    const refusal = guarded('requireScopes', () => this.#native.requireScopes(scopes));
    return refusal === undefined || refusal === null ? undefined : this.#refused(refusal);
  }

  /** The answer to send, where you know the token to be revoked: 401. */
  refuseRevoked(): Refusal {
    return this.#refused(guarded('refuseRevoked', () => this.#native.refuseRevoked()));
  }

  #refused(json: string): Refusal {
    const refusal = JSON.parse(json) as Refusal;
    this.#told(refusal);
    return refusal;
  }

  /**
   * The intent that the token carries (RFC 9396).
   *
   * @throws ProofRejected, if it carries none
   */
  intent(): Intent {
    return Intent._of(guarded('intent', () => this.#native.intent()));
  }

  /**
   * Carries out the intent that the token carries, once: compares the request with its details, body included, and uses the token
   * up in the protection's replay store. `url` is the whole URL, query included. For a handler at one of the protection's
   * `intentsAt`: elsewhere no such token comes.
   *
   * @throws ProofRejected with the answer to send, if the request is another one or the intent was carried out before;
   * HostFailed with the answer to send, if the store cannot tell
   */
  async carryOut(request: { readonly method: string; readonly url: string; readonly body: Uint8Array }): Promise<Intent> {
    const { method, url, body } = carried('carryOut', request);
    const { result } = await this.#run((now) => this.#native.carryOut(method, url, body, now));
    if (result.kind !== 'carried_out') {
      this.#told(result['refusal'] as Refusal);
      throw decoded(result['error']);
    }
    return this.intent();
  }

  /** The principal without what belongs to this process. */
  toJSON(): Record<string, unknown> {
    const { subject, clientId, issuer, audience, scopes, expiresAt, thumbprint } = this;
    return { subject, clientId, issuer, audience, scopes, expiresAt, thumbprint };
  }
}
