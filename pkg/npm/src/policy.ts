/** The rules that proofs are judged by, as this package and the core write them. */

import type { Algorithm } from './drive.js';
import { checkLists, checkObject, checkTexts, jsonOf, snakeCase } from './options.js';

/** Nonces that a verifier issues (RFC 9449 section 8). */
export interface NonceOptions {
  /** One or two keys: the present one and another that is accepted too. By default a random one, good for one process. */
  readonly keys?: readonly { readonly id: number; readonly secret: string }[];
  /** Which service the nonces are for: services that share keys have different ones. */
  readonly namespace?: string;
  /** Each nonce is good for the key it was given to alone. */
  readonly boundToKey?: boolean;
  /** Nonces live a quarter as long: for the time that a replay store is out of reach. */
  readonly short?: boolean;
}

/** The rules. Without any, those of the project's default policy. */
export interface Policy {
  readonly preset?: 'default' | 'fapi2' | 'mcp' | 'atproto' | 'haip';
  readonly algorithms?: readonly Algorithm[];
  /** How old a proof may be, in seconds: 60, at most 300. */
  readonly maxAge?: number;
  /** How far in the future, for clocks that differ: 10, at most 60. */
  readonly maxAhead?: number;
  /** For how long stores remember beyond that: 60. */
  readonly storeMargin?: number;
  readonly requireNonces?: boolean;
  /** A nonce of this server counts instead of `iat`, for clients whose clocks are wrong. */
  readonly nonceReplacesIat?: boolean;
  /** Refuses query and fragment in `htu`. */
  readonly bareHtu?: boolean;
  /** Separates services that share a replay store. */
  readonly namespace?: string;
  /** Issues nonces; `true` with a random key. */
  readonly nonces?: boolean | NonceOptions;
  /** How many headers of clients are remembered: 1,024. */
  readonly headerMemory?: number;
}

/** The options of a verifier in the core, and those of them that it shares with its store. @internal */
export function policyJson(policy: Policy): { readonly verifier: string; readonly terms: string } {
  checkObject('a policy', policy, 'write { maxAge: 60 }');
  checkTexts(policy, ['algorithms']);
  if (policy.nonces !== undefined && typeof policy.nonces !== 'boolean') {
    checkObject('nonces', policy.nonces, 'write nonces: true');
    checkLists(policy.nonces, ['keys']);
  }
  const { nonces, ...rest } = policy;
  const { preset, max_age, max_ahead, store_margin, nonce_replaces_iat, ...others } = snakeCase(rest) as Record<string, unknown>;
  const terms = jsonOf('a policy', { preset, max_age, max_ahead, store_margin, nonce_replaces_iat });
  const issued = typeof nonces === 'object' ? snakeCase(nonces) : nonces;
  const verifier = { header_memory: 1024, ...others, preset, max_age, max_ahead, store_margin, nonce_replaces_iat, nonces: issued };
  return { verifier: jsonOf('a policy', verifier), terms };
}
