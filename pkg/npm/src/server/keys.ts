/** Where the keys of an issuer come from, if not from where its metadata says. */

/** A source of your own for the present keys of one issuer. */
export interface KeySource {
  /** The JWK set, as text or bytes. It is asked for when it is needed, once for all requests that wait, and for ten seconds at most. */
  fetch(): Promise<string | Uint8Array>;
}

/**
 * Keys that the core fetches: from where the issuer's metadata says (RFC 8414 or OpenID), or from a given URL. `https`, or `http` on
 * loopback; redirects are not followed; answers are at most 256 KiB. They are kept for ten minutes, and for a day where the issuer
 * does not answer.
 */
export class FetchedKeys {
  /** @internal */
  readonly _place: { readonly issuer: string } | { readonly url: string };

  private constructor(place: { readonly issuer: string } | { readonly url: string }) {
    this._place = place;
  }

  static ofIssuer(issuer: string): FetchedKeys {
    return new FetchedKeys({ issuer });
  }

  static at(url: string): FetchedKeys {
    return new FetchedKeys({ url });
  }
}
