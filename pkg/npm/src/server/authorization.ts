/** An authorization server's endpoints, as far as proofs are concerned. */

import { native, ready } from '#native';
import { toByteString } from '../drive.js';
import { KeyboundError, guarded } from '../errors.js';
import type { Refusal } from '../errors.js';
import type { NativeAuthorizationServer } from '../native.js';
import { checkNames, checkObject, checkStrings, checkTexts, jsonOf, snakeCase } from '../options.js';
import type { Policy } from '../policy.js';
import { policyJson } from '../policy.js';
import { Consumption } from './consumption.js';
import type { Counters, ServerOptions } from './options.js';

/** Options of an {@link AuthorizationServer}. */
export interface AuthorizationServerOptions extends ServerOptions {
  /** How proofs are judged. Nonces are issued if `nonces` says so. */
  readonly proofs?: Policy;
  /** Asks public clients alone for nonces: confidential ones authenticate with each request. */
  readonly noncesForPublicClients?: boolean;
  /** Access tokens are issued without a key, while refresh tokens of public clients are bound. */
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
  /** The client is registered with `dpop_bound_access_tokens`: without a proof it is refused. */
  readonly mustBind?: boolean;
  /** The address that the request came from, which `limitAddresses` counts by. */
  readonly peer?: string | undefined;
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

/** What became of a request to an endpoint. */
export type EndpointDecision =
  | { readonly verdict: 'granted'; readonly admitted: Admitted }
  | { readonly verdict: 'refused'; readonly refusal: Refusal };

/** Judges the proofs that come with requests to an authorization server, and uses them up. It holds no clients and no grants. */
export class AuthorizationServer {
  readonly #options: string;
  readonly #terms: string;
  readonly #consumption: Consumption;
  #server: NativeAuthorizationServer | undefined;

  /** @throws Misuse, if an option cannot be used, and for a memory store where several workers run */
  constructor(options: AuthorizationServerOptions = {}) {
    checkObject('what an AuthorizationServer is made of', options, 'write new AuthorizationServer({ proofs: { nonces: true } })');
    const { proofs = {}, noncesForPublicClients, unboundAccessTokens, dangerNoReplayStore, limitAddresses, limitKeys, breaker } = options;
    const { verifier, terms } = policyJson(proofs);
    this.#consumption = new Consumption(options, proofs);
    this.#options = jsonOf('what an AuthorizationServer is made of', {
      ...(JSON.parse(verifier) as object),
      ...snakeCase({
        noncesForPublicClients, unboundAccessTokens, dangerNoReplayStore, limitAddresses, limitKeys, breaker, audit: this.#consumption.audit,
      }),
    });
    this.#terms = terms;
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof KeyboundError && error.reason === 'not_ready')) throw error;
    }
  }

  /** The server, once the core is loaded. */
  #open(): NativeAuthorizationServer {
    if (this.#server !== undefined) return this.#server;
    const Server = native().AuthorizationServer;
    const memory = this.#consumption.memory(this.#terms);
    this.#server = guarded('new AuthorizationServer', () => {
      return memory === undefined ? new Server(this.#options) : Server.withStore(this.#options, memory);
    });
    return this.#server;
  }

  /**
   * Decides about one request, once its client is authenticated and its grant looked up, and before the grant is used up: a refusal leaves it
   * as it was. The proof is used up, except for that of a public client's announcement.
   *
   * @throws Misuse; ProofRejected for an announcement whose body is not a form
   */
  async admit(request: EndpointRequest): Promise<EndpointDecision> {
    checkObject('what admit takes', request, 'write { method, url, proofs, client, grant }');
    checkNames('admit', request, ['method', 'url', 'proofs', 'client', 'grant', 'mustBind', 'peer'], { proof: 'proofs' });
    const { method, url, client, mustBind = false, grant, peer } = request;
    checkObject('grant of admit', grant, "write { type: 'authorization_code', boundTo }");
    checkStrings('admit', { method: method ?? null, url: url ?? null, client: client ?? null, peer });
    const { type = null, boundTo, form: body } = grant as { readonly type?: string | null; readonly boundTo?: unknown; readonly form?: unknown };
    checkStrings('grant of admit', { type, boundTo, form: body });
    checkTexts(request, ['proofs']);
    checkTexts(grant, ['confirmed']);
    const form = grant.type === 'announcement' ? { form: toByteString(new TextEncoder().encode(grant.form)) } : {};
    const given = { method, url, client, peer, must_bind: mustBind, grant: { ...snakeCase(grant), ...form } };
    const proofs = [...request.proofs];
    await ready();
    const asked = jsonOf('what admit takes', { ...given, ...this.#consumption.arrival() });
    const { result } = await this.#consumption.run('admit', (now) => this.#open().admit(asked, proofs, now));
    if (result.kind === 'refused') return { verdict: 'refused', refusal: result['refusal'] as Refusal };
    const admitted = result['admitted'] as Record<string, string | undefined>;
    return {
      verdict: 'granted',
      admitted: {
        accessBinding: admitted['access_binding'],
        refreshBinding: admitted['refresh_binding'],
        announced: admitted['announced'],
        tokenType: admitted['token_type'] as 'DPoP' | 'Bearer',
        nextNonce: admitted['next_nonce'],
      },
    };
  }

  /** What was decided so far. */
  counters(): Counters {
    return this.#consumption.counters(this.#open().counters());
  }

  /** A nonce for the next proof; none without `nonces`. */
  freshNonce(): string | undefined {
    const [server, { epoch }, now] = [this.#open(), this.#consumption.arrival(), this.#consumption.now()];
    return guarded('freshNonce', () => server.freshNonce(epoch, now)) ?? undefined;
  }

  /** The members that the server's metadata gets for DPoP (RFC 9449 section 5.1). */
  metadata(issuer: string): Record<string, unknown> {
    checkStrings('metadata', { issuer: issuer ?? null });
    const server = this.#open();
    return JSON.parse(guarded('metadata', () => server.metadata(issuer))) as Record<string, unknown>;
  }
}
