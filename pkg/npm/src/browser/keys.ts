// Keys that WebCrypto makes and keeps: non-extractable, so that no script can carry one away.

import type { Storage, StoredKey } from './storage.js';

/** Names of WebCrypto for an algorithm of JOSE. */
interface Scheme {
  readonly generate: EcKeyGenParams | RsaHashedKeyGenParams | Algorithm;
  readonly sign: EcdsaParams | RsaPssParams | Algorithm;
  /** The members of the public key in the order of its thumbprint (RFC 7638 section 3.2). */
  readonly members: readonly ('crv' | 'e' | 'kty' | 'n' | 'x' | 'y')[];
}

const EC = ['crv', 'kty', 'x', 'y'] as const;
const ED25519: Scheme = { generate: { name: 'Ed25519' }, sign: { name: 'Ed25519' }, members: ['crv', 'kty', 'x'] };
const PS256: Scheme = {
  generate: { name: 'RSA-PSS', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  sign: { name: 'RSA-PSS', saltLength: 32 },
  members: ['e', 'kty', 'n'],
};

/** In order of preference: what most servers know stands first. */
const SCHEMES: ReadonlyMap<string, Scheme> = new Map([
  ['ES256', ecdsa('P-256', 'SHA-256')],
  ['Ed25519', ED25519],
  ['EdDSA', ED25519],
  ['ES384', ecdsa('P-384', 'SHA-384')],
  ['PS256', PS256],
]);

function ecdsa(namedCurve: string, hash: string): Scheme {
  return { generate: { name: 'ECDSA', namedCurve }, sign: { name: 'ECDSA', hash }, members: EC };
}

/** The public part of a key: a JWK with the required members alone. */
export type PublicJwk = Readonly<Record<string, string>>;

/** A key that was made. */
export interface CreatedKey {
  readonly thumbprint: string;
  readonly publicJwk: PublicJwk;
  readonly algorithm: string;
}

/** What came of signing: the signature as JOSE has it (R and S side by side), or why there is none. */
export type Signing = Uint8Array | 'key_missing' | 'key_changed';

/** The keys of one database. */
export class Keys {
  readonly #storage: Storage;
  /** Keys whose first signature in this page was verified. */
  readonly #checked = new Set<string>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * Makes a key for the first of `algorithms` that this browser can do, and keeps it.
   *
   * Rejects if it can do none of them.
   */
  async create(algorithms: readonly string[]): Promise<CreatedKey> {
    for (const [algorithm, scheme] of SCHEMES) {
      if (!algorithms.includes(algorithm)) continue;
      const pair = await generate(scheme);
      if (pair === null) continue;
      const publicJwk = await publicPart(pair.publicKey, scheme);
      const thumbprint = await thumbprintOf(publicJwk);
      await this.#storage.putKey({ thumbprint, algorithm, at: Date.now(), ...pair });
      return { thumbprint, publicJwk, algorithm };
    }
    throw new Error(`this browser makes no keys for ${algorithms.join(', ')}`);
  }

  /** Signs with a stored key. The first signature of each key is verified, which tells a wrong key from a wrong server. */
  async sign(thumbprint: string, message: Uint8Array<ArrayBuffer>): Promise<Signing> {
    const key = await this.#storage.key(thumbprint);
    if (key === null) return 'key_missing';
    const scheme = SCHEMES.get(key.algorithm);
    if (scheme === undefined) return 'key_changed';
    const signature = new Uint8Array(await crypto.subtle.sign(scheme.sign, key.privateKey, message));
    if (!this.#checked.has(thumbprint)) {
      if (!(await matches(key, scheme, signature, message))) return 'key_changed';
      this.#checked.add(thumbprint);
    }
    return signature;
  }

  async delete(thumbprint: string): Promise<void> {
    this.#checked.delete(thumbprint);
    await this.#storage.deleteKey(thumbprint);
  }
}

async function generate(scheme: Scheme): Promise<{ privateKey: CryptoKey; publicKey: CryptoKey } | null> {
  try {
    const pair = await crypto.subtle.generateKey(scheme.generate, false, ['sign', 'verify']);
    return 'privateKey' in pair ? { privateKey: pair.privateKey, publicKey: pair.publicKey } : null;
  } catch (error) {
    // Ed25519 is not in every browser.
    if (error instanceof DOMException && error.name === 'NotSupportedError') return null;
    throw error;
  }
}

/** Whether the key is the one it is stored as, and its halves belong together. */
async function matches(key: StoredKey, scheme: Scheme, signature: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const thumbprint = await thumbprintOf(await publicPart(key.publicKey, scheme));
  return thumbprint === key.thumbprint && (await crypto.subtle.verify(scheme.sign, key.publicKey, signature, message));
}

async function publicPart(key: CryptoKey, scheme: Scheme): Promise<PublicJwk> {
  const jwk = await crypto.subtle.exportKey('jwk', key);
  const members = scheme.members.map((name): [string, string] => [name, jwk[name] ?? '']);
  return Object.fromEntries(members);
}

/** RFC 7638 section 3: the members are in order already. */
async function thumbprintOf(jwk: PublicJwk): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(jwk)));
  const text = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
