/** What a client found, and what it keeps: the classes that its operations take and give. */

import { checkInstance, mark } from './copies.js';
import type { Finished } from './drive.js';
import type { NativeDiscovered, NativeSession } from './native.js';

/** How much protection a session has: see the project's documentation of levels. */
export type Level = 'standard' | 'enhanced' | 'maximum';

/** An account, as its authorization server names it. Identify it by both: another issuer may give the same `sub` to another one. */
export interface Subject {
  readonly issuer: string;
  readonly sub: string;
}

/** What protects a target. */
export class Discovered {
  static {
    mark(this, 'Discovered');
  }

  readonly issuer: string;
  readonly resource: string | undefined;
  readonly challengedScope: string | undefined;
  /** @internal */
  readonly _native: NativeDiscovered;

  /** @internal */
  constructor({ result, discovered }: Finished) {
    this.issuer = result['issuer'] as string;
    this.resource = result['resource'] as string | undefined;
    this.challengedScope = result['challenged_scope'] as string | undefined;
    this._native = discovered as NativeDiscovered;
    Object.defineProperty(this, '_native', { enumerable: false });
  }
}

/** A session: tokens bound to a key. It shows no token; `client.fetch(session)` sends them. */
export class Session {
  static {
    mark(this, 'Session');
  }

  /** @internal */
  readonly _native: NativeSession;

  /** @internal */
  constructor(native: NativeSession) {
    this._native = native;
    Object.defineProperty(this, '_native', { enumerable: false });
  }

  get #info(): Record<string, unknown> {
    return JSON.parse(this._native.info()) as Record<string, unknown>;
  }
  get name(): string {
    return this.#info['name'] as string;
  }
  get level(): Level {
    return this.#info['level'] as Level;
  }
  get issuer(): string {
    return this.#info['issuer'] as string;
  }
  /**
   * The account its tokens are for, if the server named it: by an ID token that the scope `openid` asked for and that was checked, or by a
   * `sub` in a token response.
   */
  get subject(): Subject | undefined {
    return this.#info['subject'] as Subject | undefined;
  }
  get resource(): string | undefined {
    return this.#info['resource'] as string | undefined;
  }
  /** Scopes, separated by spaces. */
  get scope(): string | undefined {
    return this.#info['scope'] as string | undefined;
  }
  get authorizationDetails(): readonly Record<string, unknown>[] | undefined {
    return this.#info['authorization_details'] as Record<string, unknown>[] | undefined;
  }
  /** When the access token ends; it is refreshed before that where it can be. */
  get expiresAt(): number | undefined {
    return this.#info['expires_at'] as number | undefined;
  }
  /** Whether the tokens are bound to a key. */
  get bound(): boolean {
    return this.#info['bound'] as boolean;
  }
  get thumbprint(): string | undefined {
    return this.#info['thumbprint'] as string | undefined;
  }
  /** Whether only a new login helps. */
  get ended(): boolean {
    return this.#info['ended'] as boolean;
  }
  /**
   * Another member of the token responses, for example `id_token`, as the server sent it last. Nothing of it was verified but an ID
   * token that was asked for (see {@link subject}). A text as it is, everything else as JSON. Treat it as a secret. At most 32 members are kept, of 32 KiB in all.
   */
  member(name: string): string | undefined {
    return this._native.member(name) ?? undefined;
  }
  /** The access token: a secret, worthless without its key if it is {@link bound}. */
  dangerAccessToken(): string | undefined {
    return this._native.dangerAccessToken() ?? undefined;
  }
  toJSON(): Record<string, unknown> {
    return this.#info;
  }
}

/** Refuses anything that is not a session. `what` names the argument. @throws Misuse @internal */
export function checkSession(what: string, session: unknown): void {
  checkInstance(what, session, Session, "write const session = await client.open('work')");
}

/** Refuses anything that was not discovered. `what` names the argument. @throws Misuse @internal */
export function checkDiscovered(what: string, discovered: unknown): void {
  checkInstance(what, discovered, Discovered, 'write const discovered = await client.discover(url)');
}
