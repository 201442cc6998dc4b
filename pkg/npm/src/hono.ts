/** `keybound/hono`: middleware that admits requests with a bound token and a fresh proof, and serves the resource's metadata. */

import type { IncomingMessage } from 'node:http';

import type { Context, MiddlewareHandler } from 'hono';

import type { Refusal } from './errors.js';
import { misuse } from './errors.js';
import { checkScopes } from './options.js';
import type { Principal } from './server/principal.js';
import { METADATA_FIELDS, Protection } from './server/protection.js';
import type { ProtectionOptions, RequestParts } from './server/protection.js';
import { partsOf as nodeParts, pathOf } from './server/node.js';

export { Principal } from './server/principal.js';
export type { ProtectionOptions } from './server/protection.js';

/** The variables that the middleware sets: `new Hono<{ Variables: Variables }>()`. */
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
    const decision = await protection._answer(partsOf(c));
    if (decision === 'metadata') return new Response(JSON.stringify(protection.metadata), { headers: METADATA_FIELDS });
    if (decision.verdict === 'refused') return answer(decision.refusal);
    c.set('principal', decision.principal);
    await next();
    for (const [name, value] of decision.principal.headers) {
      // A handler that says how its answer is cached has said so knowingly.
      if (name !== 'Cache-Control' || !c.res.headers.has(name)) c.res.headers.append(name, value);
    }
    return undefined;
  };
}

/** Refuses requests whose token lacks one of `scopes`; inside of {@link protect}. */
export function requireScopes(...scopes: string[]): MiddlewareHandler {
  checkScopes(scopes);
  return async (c, next) => {
    const principal = c.get('principal') as Principal | undefined;
    if (principal === undefined) throw misuse('unprotected', 'a route asks for scopes, and no protection is laid around it');
    const refusal = principal.requireScopes(...scopes);
    if (refusal !== undefined) return answer(refusal);
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

function answer(refusal: Refusal): Response {
  return new Response(refusal.body, { status: refusal.status, headers: refusal.headers.map(([name, value]): [string, string] => [name, value]) });
}
