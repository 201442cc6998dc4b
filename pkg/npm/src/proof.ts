/** Making proofs, and remembering the nonces that servers give. */

import { native, ready } from '#native';
import { checkCopy } from './copies.js';
import { guarded, misuse, named } from './errors.js';
import { systemNow } from './http.js';
import { Key, signerOf } from './key.js';
import type { CryptoKeyPairLike, PrivateJwk, Signer } from './key.js';
import type { NativeNonceCache } from './native.js';
import { checkNames, checkNumbers, checkObject, checkStrings, jsonOf, urlOf } from './options.js';

/** The request that a proof is for. */
export interface ProofRequest {
  /** The method, as sent. */
  readonly method: string;
  /** The absolute URL. Query and fragment are left out of the proof (RFC 9449 section 4.2). */
  readonly url: string | URL;
  /** The access token that goes with it, without scheme; none at a token endpoint. */
  readonly accessToken?: string | undefined;
  /** The server's latest nonce. */
  readonly nonce?: string | undefined;
  /** Whole seconds since 1970; the system's clock by default. */
  readonly now?: number | undefined;
}

/**
 * A proof: the value of the `DPoP` field, with a fresh `jti`.
 *
 * `key` is a {@link Key}, a {@link Signer}, a WebCrypto pair of keys or a private JWK.
 *
 * @throws Misuse, if the request cannot be proved; what the signer throws
 */
export async function proof(request: ProofRequest & { readonly key: Key | Signer | CryptoKeyPairLike | PrivateJwk }): Promise<string> {
  checkRequest(request);
  // Read before anything is waited for: the proof is for what was given.
  const { key: given, method, accessToken, nonce, now = systemNow() } = request;
  const url = urlOf('proof', request.url);
  await ready();
  const key = await signerOf(given);
  if (key instanceof Key) return proofSync({ key, method, url, accessToken, nonce, now });
  const jwk = jsonOf('publicJwk of a Signer', key.publicJwk);
  const unsigned = guarded('proof', () => native().prepare(method, url, accessToken, nonce, jwk, key.algorithm, now));
  const { bytes, encoding } = await key.sign(unsigned.message(), unsigned.digest() ?? undefined);
  return guarded('proof', () => unsigned.attach(bytes, encoding));
}

/** The same at once, with a key in this process. Elsewhere than on Node, `await ready()` first. */
export function proofSync(request: ProofRequest & { readonly key: Key }): string {
  checkRequest(request);
  const { key, method, url, accessToken, nonce, now = systemNow() } = request;
  checkCopy(key, Key);
  if (!(key instanceof Key)) throw misuse('wrong_type', 'proofSync takes a Key of this package; proof takes signers too');
  const inner = Key._nativeOf(key);
  const target = urlOf('proof', url);
  return guarded('proofSync', () => native().proof(method, target, accessToken, nonce, inner, now));
}

/** Refuses a request that is written with other names, or holds values of other types. @throws Misuse */
function checkRequest(request: object): void {
  checkObject('what proof takes', request, EXAMPLE);
  if ('htm' in request || 'htu' in request) throw misuse('unknown_option', `proof takes method and url, and makes htm and htu of them; ${EXAMPLE}`);
  checkNames('proof', request, ['key', 'method', 'url', 'accessToken', 'nonce', 'now'], { token: 'accessToken', iat: 'now' });
  const { method, accessToken, nonce, now } = request as Partial<ProofRequest>;
  checkStrings('proof', { method: method ?? null, accessToken, nonce });
  checkNumbers('proof', { now });
}

const EXAMPLE = "write proof({ method: 'GET', url: 'https://api.example.com/items', accessToken, key })";

/** @throws Misuse */
function checkAt(where: string, at: unknown): void {
  checkObject(`what ${where} takes`, at, "write { origin: 'https://api.example.com', role: 'resource', thumbprint: key.thumbprint }");
  const { origin = null, role = null, thumbprint = null } = at as Record<string, unknown>;
  checkStrings(where, { origin, role, thumbprint });
}

/** Which server a nonce is of: the authorization server (`token`) or the resource. */
export type Role = 'resource' | 'token';

/** The nonces that servers gave, by origin, role and key: for those who send requests themselves. Holds 256. */
export class NonceCache {
  readonly #native: NativeNonceCache = guarded('new NonceCache', () => new (native().NonceCache)());

  /**
   * Keeps what a response says. Give every response, success included, under the origin that answered.
   *
   * @throws ProofRejected, if there are two values or one is no nonce; the one known before stays
   */
  observe(response: { readonly headers: Headers }, at: { readonly origin: string; readonly role: Role; readonly thumbprint: string }): void {
    if (typeof response?.headers?.get !== 'function') throw misuse('wrong_type', `observe takes a Response, and this was ${named(response)}`);
    checkAt('observe', at);
    const value = response.headers.get('dpop-nonce');
    guarded('observe', () => this.#native.observe(at.origin, at.role, at.thumbprint, value === null ? [] : [value]));
  }

  /** The nonce for the next proof. */
  get(at: { readonly origin: string; readonly role: Role; readonly thumbprint: string }): string | undefined {
    checkAt('get', at);
    return guarded('get', () => this.#native.get(at.origin, at.role, at.thumbprint)) ?? undefined;
  }
}
