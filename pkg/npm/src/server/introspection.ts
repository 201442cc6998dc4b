/** Introspection (RFC 7662): tokens that only the authorization server understands. */

/** A source of your own that says what a token is. */
export interface Introspection {
  /**
   * The body of the answer, whose status must have been 200. The token is a secret: it belongs into the body of a request over TLS,
   * and into no log. Requests about one token that come at the same time share an answer, which is waited for ten seconds at most.
   */
  introspect(token: string): Promise<string | Uint8Array>;
}

/** How an {@link IntrospectionEndpoint} is asked. */
export interface IntrospectionOptions {
  /** How this resource shows its secret: in the `Authorization` field by default. */
  readonly authentication?: 'client_secret_basic' | 'client_secret_post';
  /** For how many seconds an active token is believed without another question: 0 by default, at most 60. A revocation counts that much later. */
  readonly rememberedFor?: number;
}

/** The introspection endpoint of an authorization server, which knows this resource by an identifier and a secret. */
export class IntrospectionEndpoint {
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(url: string, clientId: string, secret: string, options: IntrospectionOptions = {}) {
    const { authentication, rememberedFor } = options;
    this.#options = { url, client_id: clientId, client_secret: secret, authentication, remembered_for: rememberedFor };
  }

  /** The options of the core: a secret. @internal */
  _options(): Readonly<Record<string, unknown>> {
    return this.#options;
  }
}
