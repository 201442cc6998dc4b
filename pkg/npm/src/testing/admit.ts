/** A protection that admits every request. */

import { Protection } from '../server/protection.js';
import type { Checked, Decision } from '../server/protection.js';
import type { Principal } from '../server/principal.js';

/**
 * A protection that admits every request as one of `principal`, whatever it carries: for tests of routes whose subject is not their protection.
 * `TestIssuer.principal` makes a principal. It checks nothing: in production everyone would be this principal.
 *
 * Give it to `protect` of Express and Hono, and to the plugin of Fastify as `{ protection }`.
 */
export function dangerAdmit(principal: Principal): Protection {
  return new Admitting(principal);
}

class Admitting extends Protection {
  readonly #principal: Principal;

  constructor(principal: Principal) {
    super({ resource: principal.audience[0] ?? '', issuers: [{ issuer: principal.issuer ?? '', keys: { keys: [] } }], dangerNoReplayStore: true });
    this.#principal = principal;
  }

  override async authenticate(): Promise<Decision> {
    return { verdict: 'granted', principal: this.#principal };
  }

  override async check(): Promise<Checked> {
    return { verdict: 'unconsumed', thumbprint: this.#principal.thumbprint };
  }
}
