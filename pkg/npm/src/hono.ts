/** `keybound/hono`: middleware that admits requests with a bound token and a fresh proof, and serves the resource's metadata. */

import type { IncomingMessage } from 'node:http';

import type { Context, MiddlewareHandler } from 'hono';

import { misuse } from './errors.js';
import { checkScopes } from './options.js';
import { completed } from './server/fields.js';
import type { Answer, Fields } from './server/fields.js';
import { Principal } from './server/principal.js';
import { Protection, checkProtection, twice } from './server/protection.js';
import type { ProtectionOptions, RequestParts } from './server/protection.js';
import { partsOf as nodeParts, pathOf } from './server/node.js';

export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';

declare module 'hono' {
  interface ContextVariableMap {
    /** Whom the request is from, behind `protect`. In front of it, and in applications without it, there is none. */
    principal: Principal;
  }
}

/** The variables that the middleware sets, for an application that lists all of its own: `new Hono<{ Variables: Variables }>()`. */
export interface Variables {
  /** Whom the request is from. */
  principal: Principal;
}

/**
 * Protects what comes after it: `app.use(protect({ resource, issuers }))`. Handlers find the principal in `c.get('principal')`.
 *
 * On Node (`@hono/node-server`) the raw target and field lines are read; elsewhere the URL and fields that the platform gives, whose
 * path is not decoded and whose repeated fields arrive joined, which refuses them.
 *
 * @throws Misuse for options that cannot be used
 */
export function protect(options: ProtectionOptions | Protection): MiddlewareHandler {
  const protection = options instanceof Protection ? options : new Protection(options);
  return async (c, next) => {
    if (Principal._of(c.get('principal')) !== undefined) throw twice();
    const decided = await protection._answer(partsOf(c));
    if ('answer' in decided) return send(c, decided.answer);
    c.set('principal', decided.principal);
    await next();
    const { headers } = decided.principal;
    try {
      set(c.res.headers, headers, true);
    } catch {
      // What `fetch` gave has fields that cannot be changed.
      c.res = new Response(c.res.body, c.res);
      set(c.res.headers, headers, true);
    }
    return undefined;
  };
}

/**
 * Serves the metadata of a protection that is laid around a part of the application alone: `app.use(metadata(protection))`, before
 * `app.route('/v1', protectedApp)`. Its URL lies below `/.well-known/`, outside of that part.
 */
export function metadata(protection: Protection): MiddlewareHandler {
  checkProtection('what metadata takes', protection);
  return async (c, next) => {
    const answer = await protection._metadata(partsOf(c));
    return answer === undefined ? next() : send(c, answer);
  };
}

/** Refuses requests whose token lacks one of `scopes`; inside of {@link protect}. */
export function requireScopes(...scopes: string[]): MiddlewareHandler {
  checkScopes(scopes);
  return async (c, next) => {
    const principal = Principal._of(c.get('principal'));
    if (principal === undefined) throw misuse('unprotected', 'a route asks for scopes, and no protection is laid around it');
    const refusal = principal.requireScopes(...scopes);
    if (refusal !== undefined) return send(c, refusal);
    return next();
  };
}

function partsOf(c: Context): RequestParts {
  const incoming = (c.env as { incoming?: IncomingMessage } | undefined)?.incoming;
  if (incoming?.rawHeaders !== undefined) {
    return { ...nodeParts(incoming, incoming.url, routedPath(c, incoming.url ?? '')), method: c.req.method };
  }
  const { pathname, search } = new URL(c.req.raw.url);
  return { method: c.req.method, target: pathname + search, path: routedPath(c, pathname), fields: [...c.req.raw.headers].flat() };
}

/** What routes are looked up by, which `getPath` and `mount` can have made of anything. With `strict: false` it lacks a slash at its end. */
function routedPath(c: Context, target: string): string {
  const { path } = c.req;
  return pathOf(target).endsWith('/') && !path.endsWith('/') ? `${path}/` : path;
}

function send(c: Context, { status, headers, body }: Answer): Response {
  // Of two answers, Hono keeps the fields of the one that was there, which middleware in front began.
  const fields = new Headers(c.res.headers);
  set(fields, headers, false);
  const response = new Response(body === '' ? null : body, { status, headers: fields });
  c.res = undefined;
  c.res = response;
  return response;
}

function set(fields: Headers, added: Fields, keepCaching: boolean): void {
  for (const [name, value] of completed(added, (present) => fields.get(present), keepCaching)) fields.set(name, value);
}
