/** Keys: in this process, or outside of it behind a signer. */

import { native, ready } from '#native';
import { checkCopy, mark } from './copies.js';
import type { Algorithm, Protection, PublicJwk, Signed } from './drive.js';
import { guarded, isPromise, misuse, named } from './errors.js';
import type { NativeKey } from './native.js';
import { checkBytes, checkObject, checkStrings, jsonOf } from './options.js';

/** The parts of a WebCrypto `CryptoKey` that are read; each platform has its own type for it. */
export interface CryptoKeyLike {
  readonly type: string;
  readonly extractable: boolean;
  readonly algorithm: object;
  readonly usages: readonly string[];
}

/** A private key outside of this process, or one that only WebCrypto may use. */
export interface Signer {
  readonly algorithm: Algorithm;
  readonly publicJwk: PublicJwk;
  /** Where it lives, for policies of clients. */
  readonly protection?: Protection;
  /**
   * Signs `message`. `digest` is its hash by the algorithm's own function, for devices that want that; none for Ed25519.
   *
   * @returns the signature and how it is written: `raw` (R and S side by side) or `der`
   */
  sign(message: Uint8Array, digest: Uint8Array | undefined): Promise<Signed>;
}

/** The parts of Node's `KeyObject` that are read. */
interface KeyObjectLike {
  readonly type: string;
  export(options: { format: 'jwk' }): unknown;
}

/** A key in this process. Its private part is shown by `danger_` methods alone. */
export class Key {
  readonly #native: NativeKey;

  static {
    mark(this, 'Key');
  }

  private constructor(key: NativeKey) {
    this.#native = key;
  }

  /**
   * A new key, for ES256 unless another algorithm is named. Elsewhere than on Node, `await ready()` first.
   *
   * @throws Misuse, if this build cannot sign with it
   */
  static generate(algorithm: Algorithm = 'ES256'): Key {
    checkStrings('generate', { algorithm });
    return new Key(guarded('Key.generate', () => native().Key.generate(algorithm)));
  }

  /**
   * A private JWK (RFC 7517), as an object, as text or as the bytes of its file. Without `algorithm` its own `alg` counts, else the usual one of its type.
   *
   * @throws Misuse, if it cannot be used
   */
  static fromJwk(jwk: object | string, algorithm?: Algorithm): Key {
    checkStrings('fromJwk', { algorithm });
    const text = jwkText('fromJwk', jwk);
    return new Key(guarded('Key.fromJwk', () => native().Key.fromJwk(text, algorithm)));
  }

  /**
   * A PKCS#8 private key in PEM (`BEGIN PRIVATE KEY`), as text or as the bytes of its file. In pages, which load no parser for it, take a JWK.
   *
   * @throws Misuse, if it cannot be used
   */
  static fromPem(pem: string | Uint8Array, algorithm?: Algorithm): Key {
    checkStrings('fromPem', { algorithm });
    const text = ArrayBuffer.isView(pem) ? new TextDecoder().decode(pem) : pem;
    checkStrings('fromPem', { pem: text ?? null }, "give it the file's text or bytes: Key.fromPem(readFileSync('key.pem'))");
    const { Key: core } = native();
    if (core.fromPem === undefined) throw noPem();
    return new Key(guarded('Key.fromPem', () => core.fromPem!(text, algorithm)));
  }

  /**
   * A PKCS#8 private key in DER. In pages, which load no parser for it, take a JWK.
   *
   * @throws Misuse, if it cannot be used
   */
  static fromDer(der: Uint8Array, algorithm?: Algorithm): Key {
    checkStrings('fromDer', { algorithm });
    checkBytes('fromDer', der, 'a text is taken by fromPem');
    const { Key: core } = native();
    if (core.fromDer === undefined) throw noPem();
    return new Key(guarded('Key.fromDer', () => core.fromDer!(der, algorithm)));
  }

  /** A private `KeyObject` of `node:crypto`. */
  static fromKeyObject(key: KeyObjectLike, algorithm?: Algorithm): Key {
    if (typeof key?.export !== 'function') throw misuse('wrong_type', `fromKeyObject takes a KeyObject of node:crypto, and this was ${named(key)}; a JWK is taken by fromJwk`);
    if (key.type !== 'private') throw misuse('key_unusable', `a private key is wanted, and this one is ${key.type === 'public' ? 'public' : 'secret'}`);
    return Key.fromJwk(key.export({ format: 'jwk' }) as object, algorithm);
  }

  /**
   * A private `CryptoKey` that may be exported. One that may not signs by {@link webCryptoSigner}.
   *
   * @throws Misuse, if it is not extractable
   */
  static async fromCryptoKey(key: CryptoKeyLike, algorithm?: Algorithm): Promise<Key> {
    if (typeof key?.extractable !== 'boolean') throw misuse('wrong_type', `fromCryptoKey takes one CryptoKey, and this was ${named(key)}; of a pair, give privateKey`);
    if (!key.extractable) throw misuse('key_not_extractable', 'this CryptoKey cannot be exported; sign with it by webCryptoSigner(pair)');
    await ready();
    const { kty, crv, x, y, d, n, e, p, q, dp, dq, qi } = await crypto.subtle.exportKey('jwk', key as CryptoKey);
    return Key.fromJwk({ kty, crv, x, y, d, n, e, p, q, dp, dq, qi }, algorithm ?? algorithmOf(key));
  }

  /** What it signs with. */
  get algorithm(): Algorithm {
    return this.#native.algorithm();
  }

  /** Its public part: a JWK with the required members alone. */
  get publicJwk(): PublicJwk {
    return JSON.parse(this.#native.publicJwk()) as PublicJwk;
  }

  /** Its SHA-256 thumbprint (RFC 7638), which is what `cnf.jkt` and `dpop_jkt` hold: 43 base64url characters. */
  get thumbprint(): string {
    return this.#native.thumbprint();
  }

  /** A signature as JOSE has it (RFC 7518 section 3.4). */
  sign(message: Uint8Array): Uint8Array {
    checkBytes('sign', message);
    return guarded('sign', () => this.#native.sign(message));
  }

  /** The private key as a JWK: a secret. */
  dangerPrivateJwk(): Record<string, string> {
    return JSON.parse(guarded('dangerPrivateJwk', () => this.#native.dangerPrivateJwk())) as Record<string, string>;
  }

  /** The private key as PKCS#8 in PEM: a secret. */
  dangerPrivatePem(): string {
    if (this.#native.dangerPrivatePem === undefined) throw noPem();
    return guarded('dangerPrivatePem', () => this.#native.dangerPrivatePem!());
  }

  /** The public part: what `JSON.stringify` shows. */
  toJSON(): PublicJwk {
    return this.publicJwk;
  }

  /** @internal */
  static _nativeOf(key: Key): NativeKey {
    return key.#native;
  }
}

/** The thumbprint (RFC 7638) of a public JWK. */
export function thumbprint(jwk: object | string): string {
  const text = jwkText('thumbprint', jwk);
  return guarded('thumbprint', () => native().thumbprint(text));
}

/** A JWK as text. @throws Misuse */
function jwkText(where: string, jwk: unknown): string {
  if (typeof jwk === 'string') return jwk;
  if (ArrayBuffer.isView(jwk)) return new TextDecoder().decode(jwk);
  checkObject(`the JWK of ${where}`, jwk, "give { kty: 'EC', … } or its JSON");
  return jsonOf(`the JWK of ${where}`, jwk);
}

/** A pair of keys of WebCrypto. */
export interface CryptoKeyPairLike {
  readonly privateKey: CryptoKeyLike;
  readonly publicKey: CryptoKeyLike;
}

/** A private key as JWK (RFC 7517). */
export interface PrivateJwk {
  readonly kty: string;
  readonly [member: string]: unknown;
}

/** What signs, of anything that {@link proof} takes as a key. @throws Misuse that says what is wanted @internal */
export async function signerOf(key: unknown): Promise<Key | Signer> {
  if (key instanceof Key) return key;
  checkCopy(key, Key);
  if (typeof key !== 'object' || key === null || isPromise(key)) throw noKey(named(key));
  if ('sign' in key && 'publicJwk' in key) return key as Signer;
  if ('privateKey' in key && 'publicKey' in key) return webCryptoSigner(key as CryptoKeyPairLike);
  if ('kty' in key) return Key.fromJwk(key);
  if ('extractable' in key && 'usages' in key) throw noKey('one CryptoKey: give the pair, because the proof holds the public key');
  throw noKey(named(key));
}

function noKey(found: string): Error {
  return misuse('wrong_type', `key is a Key, a Signer, a CryptoKeyPair or a private JWK, and this was ${found}; make one with Key.generate()`);
}

/** A signer by WebCrypto, for a pair of keys whose private one need not be extractable. */
export async function webCryptoSigner(pair: CryptoKeyPairLike): Promise<Signer> {
  const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', pair.publicKey as CryptoKey);
  const publicJwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as PublicJwk;
  const algorithm = algorithmOf(pair.privateKey);
  const how = signing(algorithm);
  return {
    algorithm,
    publicJwk,
    protection: 'software',
    async sign(message) {
      const bytes = await crypto.subtle.sign(how, pair.privateKey as CryptoKey, message as BufferSource);
      return { bytes: new Uint8Array(bytes), encoding: 'raw' };
    },
  };
}

const CURVES: Readonly<Record<string, Algorithm>> = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' };

function algorithmOf(key: CryptoKeyLike): Algorithm {
  const { name, namedCurve, hash } = key.algorithm as { name: string; namedCurve?: string; hash?: { name: string } };
  const bits = hash?.name.slice(4) ?? '';
  const known = name === 'ECDSA' ? CURVES[namedCurve ?? ''] : { Ed25519: 'Ed25519', 'RSA-PSS': `PS${bits}`, 'RSASSA-PKCS1-v1_5': `RS${bits}` }[name];
  if (known === undefined) throw misuse('unknown_algorithm', `${name} is no algorithm that proofs are made with`);
  return known;
}

function signing(algorithm: Algorithm): AlgorithmIdentifier | EcdsaParams | RsaPssParams {
  const bits = algorithm.slice(2);
  if (algorithm.startsWith('ES')) return { name: 'ECDSA', hash: `SHA-${bits}` };
  if (algorithm.startsWith('PS')) return { name: 'RSA-PSS', saltLength: Number(bits) / 8 };
  return { name: algorithm.startsWith('RS') ? 'RSASSA-PKCS1-v1_5' : 'Ed25519' };
}

function noPem(): Error {
  return misuse('pem_unavailable', 'the build for pages reads and writes keys as JWK alone; use fromJwk and dangerPrivateJwk');
}
