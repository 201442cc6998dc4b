/** An authorization server's endpoints, as far as proofs are concerned. */

import { native } from '#native';
import { toByteString } from '../drive.js';
import { guarded } from '../errors.js';
import { systemNow } from '../http.js';
import type { NativeAdmission, NativeAuthorizationServer } from '../native.js';
import { checkTexts, snakeCase } from '../options.js';
import type { Policy } from '../policy.js';
import { policyJson } from '../policy.js';
import { entryOf, insertionOf } from '../replay.js';
import type { Insertion, ReplayEntry } from '../replay.js';

/** Options of an {@link AuthorizationServer}. */
export interface AuthorizationServerOptions extends Omit<Policy, 'headerMemory'> {
  readonly noncesForPublicClients?: boolean;
  /** Some access tokens are issued without a key. */
  readonly unboundAccessTokens?: boolean;
}

/** What a request asks for. `boundTo` is the thumbprint stored with the code or token. */
export type Grant =
  | { readonly type: 'authorization_code' | 'device_code' | 'refresh_token'; readonly boundTo?: string }
  | { readonly type: 'client_credentials' }
  /** Token exchange and assertions: `confirmed` are the thumbprints of the tokens shown. */
  | { readonly type: 'derived'; readonly confirmed?: readonly string[]; readonly mayRebind?: boolean }
  /** Pushed and device authorization requests, with their body. */
  | { readonly type: 'announcement'; readonly form: string };

/** A request to an endpoint, its client authenticated. */
export interface EndpointRequest {
  readonly method: string;
  /** The endpoint's own URL. */
  readonly url: string;
  /** The values of all `DPoP` fields. */
  readonly proofs: readonly string[];
  readonly client: 'public' | 'confidential';
  readonly grant: Grant;
  readonly mustBind?: boolean;
  readonly now?: number;
}

/** What the tokens get. Only now may code, refresh token or assertion be used up. */
export interface Admitted {
  /** `cnf.jkt` of the access token. */
  readonly accessBinding: string | undefined;
  /** To store with the refresh token. */
  readonly refreshBinding: string | undefined;
  /** To store with a pushed or device request. */
  readonly announced: string | undefined;
  readonly tokenType: 'DPoP' | 'Bearer';
  readonly nextNonce: string | undefined;
}

/** Judges the proofs that come with requests to an authorization server. It holds no clients and no grants. */
export class AuthorizationServer {
  readonly #native: NativeAuthorizationServer;

  /** @throws Misuse, if an option cannot be used */
  constructor(options: AuthorizationServerOptions = {}, epoch?: string) {
    const { noncesForPublicClients, unboundAccessTokens, ...policy } = options;
    const { header_memory, ...verifier } = JSON.parse(policyJson(policy).verifier) as Record<string, unknown>;
    const all = JSON.stringify({ ...verifier, ...snakeCase({ noncesForPublicClients, unboundAccessTokens }) });
    this.#native = guarded(() => new (native().AuthorizationServer)(all, epoch));
  }

  /** Makes every check but replay. @throws ProofRejected with the refusal to send; Misuse */
  check(request: EndpointRequest): Admission {
    const { method, url, client, mustBind = false, grant, now = systemNow() } = request;
    checkTexts(request, ['proofs']);
    checkTexts(grant, ['confirmed']);
    const form = grant.type === 'announcement' ? { form: toByteString(new TextEncoder().encode(grant.form)) } : {};
    const asked = JSON.stringify({ method, url, client, must_bind: mustBind, grant: { ...snakeCase(grant), ...form } });
    return new Admission(guarded(() => this.#native.check(asked, [...request.proofs], now)), now);
  }

  /** A nonce for the next proof; none without `nonces`. */
  freshNonce(now: number = systemNow()): string | undefined {
    return this.#native.freshNonce(now) ?? undefined;
  }

  /** The members that the server's metadata gets for DPoP (RFC 9449 section 5.1). */
  metadata(issuer: string): Record<string, unknown> {
    return JSON.parse(this.#native.metadata(issuer)) as Record<string, unknown>;
  }
}

/** A request on its way: to be settled if it has an entry, then to be read. */
export class Admission {
  readonly #native: NativeAdmission;
  readonly #now: number;

  /** @internal */
  constructor(admission: NativeAdmission, now: number) {
    this.#native = admission;
    this.#now = now;
  }

  /** What goes into the replay store, after client authentication and the lookup of the grant; none if there is nothing to insert. */
  get entry(): ReplayEntry | undefined {
    const entry = this.#native.entry();
    return entry === undefined || entry === null ? undefined : entryOf(entry, this.#now);
  }

  /** Goes on with the store's answer. @throws ProofRejected with the refusal to send; Misuse for anything but an {@link Insertion} */
  settle(insertion: Insertion, now: number = systemNow()): void {
    const word = insertionOf(insertion);
    guarded(() => this.#native.settle(word, now));
  }

  /** What the tokens get. @throws Misuse, if it is not settled or was refused */
  admitted(): Admitted {
    const given = JSON.parse(guarded(() => this.#native.admitted())) as Record<string, string | undefined>;
    return {
      accessBinding: given['access_binding'],
      refreshBinding: given['refresh_binding'],
      announced: given['announced'],
      tokenType: given['token_type'] as 'DPoP' | 'Bearer',
      nextNonce: given['next_nonce'],
    };
  }
}

