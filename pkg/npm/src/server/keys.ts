/** The keys of issuers: given, or fetched when they are needed and kept for a while. */

import { native } from '#native';
import { guarded } from '../errors.js';
import type { NativeAccess, NativeJwkSet } from '../native.js';
import { fetched } from './fetched.js';

/** Where the present keys of one issuer come from. */
export interface KeySource {
  /** Fetches the JWK set, as text or bytes. It is asked for when it is needed, by one request at a time. */
  fetch(): Promise<string | Uint8Array>;
}

/** The longest JWK set and metadata document, in bytes. */
const MAX_LEN = 256 * 1024;
/** How old keys may be before they are fetched again, in seconds. */
const MAX_AGE = 600;
/** How old keys may be if they cannot be fetched again: a day. */
const MAX_STALE = 86_400;
/** The shortest time between two fetches: anyone can name a key that nobody has. */
const MIN_INTERVAL = 10;
/** The longest that a fetch may take, in milliseconds. */
const TIMEOUT = 10_000;

/**
 * Fetches the keys of an issuer: from where its metadata says (RFC 8414 or OpenID), or from a given URL. `https`, or `http` on
 * loopback; redirects are not followed; answers are at most 256 KiB.
 */
export class FetchedKeys implements KeySource {
  readonly #place: { readonly issuer: string } | { readonly url: string };

  private constructor(place: { readonly issuer: string } | { readonly url: string }) {
    this.#place = place;
  }

  static ofIssuer(issuer: string): FetchedKeys {
    return new FetchedKeys({ issuer });
  }

  static at(url: string): FetchedKeys {
    return new FetchedKeys({ url });
  }

  async fetch(): Promise<Uint8Array> {
    return fetched('url' in this.#place ? this.#place.url : await jwksUri(this.#place.issuer), MAX_LEN);
  }
}

async function jwksUri(issuer: string): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname === '/' ? '' : pathname;
  const places = [`${origin}/.well-known/oauth-authorization-server${path}`, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`];
  let failure: unknown;
  for (const place of places) {
    let document: { issuer?: unknown; jwks_uri?: unknown };
    try {
      document = JSON.parse(new TextDecoder().decode(await fetched(place, MAX_LEN))) as typeof document;
    } catch (error) {
      failure ??= error;
      continue;
    }
    // RFC 8414 section 3.3: byte for byte, or someone else's keys would count as the issuer's.
    if (document.issuer !== issuer) throw new Error(`the metadata at ${place} names another issuer`);
    if (typeof document.jwks_uri !== 'string') throw new Error(`the metadata at ${place} has no jwks_uri`);
    return document.jwks_uri;
  }
  throw failure;
}

/** The keys of one issuer, with what was fetched before. @internal */
export class IssuerKeys {
  readonly #source: KeySource | undefined;
  readonly #onFault: (fault: unknown) => void;
  #keys: NativeJwkSet | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #underway: Promise<void> | undefined;

  constructor(source: KeySource | object, onFault: (fault: unknown) => void) {
    this.#onFault = onFault;
    if ('fetch' in source) {
      this.#source = source as KeySource;
    } else {
      this.#keys = parse(JSON.stringify(source));
      this.#fetchedAt = Number.POSITIVE_INFINITY;
    }
  }

  /** The keys to judge a token with; none if they cannot be had. */
  async answer(access: NativeAccess, now: number): Promise<NativeJwkSet | undefined> {
    const good = this.#keys !== undefined && now - this.#fetchedAt < MAX_AGE && access.isAnsweredBy(this.#keys);
    if (good || this.#source === undefined || (this.#underway === undefined && now - this.#triedAt < MIN_INTERVAL)) return this.#atAll(now);
    this.#underway ??= this.#refresh(this.#source, now).finally(() => (this.#underway = undefined));
    await this.#underway;
    return this.#atAll(now);
  }

  /** The keys, however old, within reason. */
  #atAll(now: number): NativeJwkSet | undefined {
    return now - this.#fetchedAt < MAX_STALE ? this.#keys : undefined;
  }

  async #refresh(source: KeySource, now: number): Promise<void> {
    this.#triedAt = now;
    let late: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error('fetching the keys of an issuer took too long')), TIMEOUT);
    });
    try {
      this.#keys = parse(await Promise.race([source.fetch(), timeout]));
      this.#fetchedAt = now;
    } catch (fault) {
      this.#onFault(fault);
    } finally {
      clearTimeout(late);
    }
  }
}

function parse(set: string | Uint8Array): NativeJwkSet {
  const bytes = typeof set === 'string' ? new TextEncoder().encode(set) : set;
  return guarded(() => native().JwkSet.parse(bytes));
}
