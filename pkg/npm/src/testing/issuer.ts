/** An authorization server as far as its signatures go. */

import { native } from '#native';
import { guarded, misuse } from '../errors.js';
import { Key } from '../key.js';
import { jsonOf, snakeCase } from '../options.js';
import { MemoryReplayStore } from '../replay.js';
import type { Principal } from '../server/principal.js';
import { Protection } from '../server/protection.js';
import type { Issuer, ProtectionOptions } from '../server/protection.js';
import { TestClient } from './client.js';
import { TestClock } from './clock.js';

/** The issuer identifier unless another is given. */
const NAME = 'https://issuer.example';
/** The identifier of its only key. */
const KEY_ID = 'test-key';

/** What an access token says. */
export interface TestToken {
  /** The user (`sub`). */
  readonly subject: string;
  /** The client it was issued to (`client_id`): `test-client` unless another is given. */
  readonly clientId?: string;
  /** What it permits (`scope`): nothing unless given. */
  readonly scopes?: readonly string[];
  /** For how many seconds it is valid (`exp`): 300. A server accepts it for its leeway longer. */
  readonly lifetime?: number;
  /** The resource it is for (`aud`), instead of the issuer's. */
  readonly audience?: string;
  /** The thumbprint of the key it is bound to (`cnf.jkt`), instead of that of the client it is made for. */
  readonly boundTo?: string;
  /** More claims, and other values for those that the token has anyway. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/**
 * An authorization server as far as its signatures go: it has a key, and signs access tokens (RFC 9068) for one resource. It listens nowhere;
 * {@link trustedBy} hands its keys to the protection under test.
 */
export class TestIssuer {
  /** Its issuer identifier (`iss`). */
  readonly name: string;
  /** The identifier of the resource that its tokens are for. */
  readonly resource: string;
  /** The clock that its tokens are dated by, and that {@link trustedBy} hands to the protection. */
  readonly clock: TestClock;
  readonly #key = Key.generate();

  private constructor(resource: string, { name = NAME, clock = new TestClock() }: { readonly name?: string; readonly clock?: TestClock }) {
    this.resource = resource;
    this.name = name;
    this.clock = clock;
  }

  /**
   * An issuer with a new key, whose tokens are for `resource`: the identifier that the protection is given. `name` is the issuer that the
   * application trusts: `https://issuer.example` unless another is given. Elsewhere than on Node, `await ready()` of `keybound` first.
   *
   * @throws Misuse, if `resource` is not an absolute `http` or `https` URL
   */
  static forResource(resource: string, options: { readonly name?: string; readonly clock?: TestClock } = {}): TestIssuer {
    if (typeof resource !== 'string' || !/^https?:/i.test(resource) || !URL.canParse(resource)) {
      throw misuse('wrong_type', "a resource is an absolute URL; write TestIssuer.forResource('https://api.example.com')");
    }
    return new TestIssuer(resource, options);
  }

  /** Its public keys as the document that an issuer serves (RFC 7517 section 5): for the option `issuers`, or code that fetches it. */
  get jwks(): { readonly keys: readonly object[] } {
    return { keys: [{ ...this.#key.publicJwk, kid: KEY_ID, use: 'sig', alg: this.#key.algorithm }] };
  }

  /** Its metadata (RFC 8414), for code that fetches that. Nothing is served at these URLs. */
  get metadata(): Readonly<Record<string, unknown>> {
    const at = (path: string): string => `${this.name}${path}`;
    return { issuer: this.name, jwks_uri: at('/jwks'), authorization_endpoint: at('/authorize'), token_endpoint: at('/token'), response_types_supported: ['code'] };
  }

  /**
   * The options of a protection that trusts this issuer, by its keys and not over the network, and reads this issuer's clock. If `options` name
   * an issuer with the same identifier already, only the source of its keys changes. Without a `store`, proofs are remembered from a moment before
   * the test: no earlier process served its resource.
   */
  trustedBy<O extends Omit<ProtectionOptions, 'resource'> & { readonly resource?: string }>(options: O = {} as O): O & ProtectionOptions {
    const named = (issuer: string | Issuer): Issuer => (typeof issuer === 'string' ? { issuer } : issuer);
    const others = (options.issuers ?? []).map(named);
    const own = { ...others.find(({ issuer }) => issuer === this.name), issuer: this.name, keys: this.jwks };
    return {
      resource: this.resource,
      store: new MemoryReplayStore({ dangerFirstStart: true, workers: 1 }),
      now: this.clock.reader,
      ...options,
      issuers: [...others.filter(({ issuer }) => issuer !== this.name), own],
    };
  }

  /** Signs a token. It is bound to the key that it names, and to none if it names none. @throws Misuse for claims that JSON cannot hold */
  token(token: TestToken): string {
    if (typeof token !== 'object' || token === null || typeof token.subject !== 'string') {
      throw misuse('wrong_type', "a token has a subject; write { subject: 'alice', scopes: ['items:read'] }");
    }
    const told = { ...snakeCase({ clientId: 'test-client', lifetime: 300, audience: this.resource, ...token }), issuer: this.name, key_id: KEY_ID };
    const [json, now] = [jsonOf('a token', told), this.clock.now()];
    return guarded('token', () => native().accessToken(json, Key._nativeOf(this.#key), now));
  }

  /** A client with a new key, and a token that is bound to it unless it names another key. */
  client(token: TestToken): TestClient {
    const key = Key.generate();
    return new TestClient(this, key, this.token({ ...token, boundTo: token.boundTo ?? key.thumbprint }));
  }

  /**
   * The principal of a request with this token, for handlers that are called as functions. A protection made for this one request admits it, so
   * that it holds what a principal of production holds.
   *
   * @throws Misuse with why no request with this token is admitted
   */
  async principal(token: TestToken): Promise<Principal> {
    const protection = new Protection(this.trustedBy({ proofs: { nonces: false }, intentsAt: ['/'] }));
    const fields = this.client(token).sign({ method: 'GET', url: '/' });
    const decision = await protection.authenticate({ method: 'GET', target: '/', fields: Object.entries(fields).flat() });
    if (decision.verdict === 'granted') return decision.principal;
    throw misuse('not_admitted', `no principal has this token: ${decision.refusal.reason}`);
  }
}
