// What a page may know about its session. No token is among it.

import { KeyboundError, LoginRequired, type Details, type FlowReason } from '../errors.js';

/** An account, as its authorization server names it. Identify it by both: another issuer may give the same `sub` to another one. */
export interface Subject {
  readonly issuer: string;
  readonly sub: string;
}

/** A session, without its tokens. */
export interface SessionInfo {
  /** The name it is stored under. */
  readonly name: string;
  readonly level: 'standard' | 'enhanced' | 'maximum';
  /** The authorization server. */
  readonly issuer: string;
  /** The account its tokens are for, if the server named it by a `sub` in a token response. An ID token does not count. */
  readonly subject: Subject | undefined;
  /** What its tokens are for. */
  readonly resource: string | undefined;
  /** The scope that was granted. */
  readonly scope: string | undefined;
  /** What was granted in detail (RFC 9396). */
  readonly authorizationDetails: unknown;
  /** When the access token ends, in seconds since 1970; it is refreshed by itself. */
  readonly expiresAt: number | undefined;
  /** Whether its tokens are bound to a key. */
  readonly bound: boolean;
  /** The SHA-256 thumbprint of that key (RFC 7638). */
  readonly thumbprint: string | undefined;
}

/** Where a client stands. */
export type SessionState =
  /** What is stored was not read yet. */
  | { readonly state: 'opening' }
  /** Nobody is logged in. */
  | { readonly state: 'none' }
  | { readonly state: 'active'; readonly session: SessionInfo }
  /** There was a session, and only a login helps: `reason` is that of the {@link LoginRequired} that was thrown. */
  | { readonly state: 'login_required'; readonly reason: FlowReason };

/**
 * The key of the session is gone (`key_missing`: the browser's data was cleared, wholly or in part) or is another one
 * (`key_changed`). The tokens are worthless without it; `login()` makes a new key.
 */
export class KeyLost extends LoginRequired {}

/** What a refused request needs besides. */
export type Need =
  /** A new login. */
  | { readonly need: 'login' }
  /** A login with this scope added. */
  | { readonly need: 'scope'; readonly scope: string };

/** What the core shows of a session. */
export function sessionInfo(json: string): { readonly info: SessionInfo; readonly ended: boolean } {
  const shown = JSON.parse(json) as Shown;
  return {
    ended: shown.ended,
    info: {
      name: shown.name,
      level: shown.level,
      issuer: shown.issuer,
      subject: shown.subject,
      resource: shown.resource,
      scope: shown.scope,
      authorizationDetails: shown.authorization_details,
      expiresAt: shown.expires_at,
      bound: shown.bound,
      thumbprint: shown.thumbprint,
    },
  };
}

interface Shown {
  readonly name: string;
  readonly level: SessionInfo['level'];
  readonly issuer: string;
  readonly subject?: Subject;
  readonly resource?: string;
  readonly scope?: string;
  readonly authorization_details?: unknown;
  readonly expires_at?: number;
  readonly bound: boolean;
  readonly thumbprint?: string;
  readonly ended: boolean;
}

/** A lost key by its own class; any other error as it is. */
export function keyLost(error: unknown): unknown {
  const lost = error instanceof LoginRequired && (error.reason === 'key_missing' || error.reason === 'key_changed');
  if (!lost || error instanceof KeyLost) return error;
  return new KeyLost(detailsOf(error), { cause: error.cause });
}

function detailsOf(error: KeyboundError): Details {
  return { reason: error.reason, detail: error.message };
}
