/** `keybound/express`: middleware that admits requests with a bound token and a fresh proof, and serves the resource's metadata. */

import type { IncomingMessage, ServerResponse } from 'node:http';

import { misuse } from './errors.js';
import { checkScopes } from './options.js';
import { Principal } from './server/principal.js';
import { Protection, checkProtection, twice } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
import { answerWith, partsOf, pathOf, refuse } from './server/node.js';

export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';

declare global {
  // The place that Express has for members of requests.
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace Express {
    interface Request {
      /** Whom the request is from, behind `protect`. In front of it, and in applications without it, there is none. */
      auth: Principal;
    }
  }
}

type Request = IncomingMessage & { originalUrl?: string; baseUrl?: string; route?: { path?: unknown }; auth?: Principal };
type Middleware = (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * Protects what comes after it: `app.use(protect({ resource, issuers }))`. Handlers find the principal in `req.auth`.
 *
 * Proofs are judged for the raw target of the request and the origin of `resource`; `Host` is never looked at. Behind proxies, give
 * `proxies`. With several workers, give a `store` that they share.
 *
 * @throws Misuse for options that cannot be used
 */
export function protect(options: ProtectionOptions | Protection): Middleware {
  const protection = options instanceof Protection ? options : new Protection(options);
  return (request, response, next) => {
    if (Principal._of(request.auth) !== undefined) return next(twice());
    // A router that is mounted sees what is left of the path.
    const target = request.originalUrl ?? request.url ?? '';
    protection._answer(partsOf(request, target, routedPath(request, target), templateOf(request))).then((decided) => {
      if ('answer' in decided) return refuse(response, decided.answer);
      request.auth = decided.principal;
      answerWith(response, decided.principal.headers);
      next();
    }).catch(next);
  };
}

/**
 * Serves the metadata of a protection that is laid around a part of the application alone: `app.use(metadata(protection))`, before
 * `app.use('/v1', protect(protection))`. Its URL lies below `/.well-known/`, outside of that part.
 */
export function metadata(protection: Protection): Middleware {
  checkProtection('what metadata takes', protection);
  return (request, response, next) => {
    protection._metadata(partsOf(request, request.originalUrl)).then((answer) => (answer === undefined ? next() : refuse(response, answer)), next);
  };
}

/** Refuses requests whose token lacks one of `scopes`; inside of {@link protect}. */
export function requireScopes(...scopes: string[]): Middleware {
  checkScopes(scopes);
  return (request, response, next) => {
    const principal = Principal._of(request.auth);
    if (principal === undefined) return next(unprotected());
    const refusal = principal.requireScopes(...scopes);
    if (refusal === undefined) next();
    else refuse(response, refusal);
  };
}

/** What routes are looked up by: where this router is mounted, and what is left of the path. Middleware before this one may have changed either. */
function routedPath({ baseUrl = '', url = '' }: Request, target: string): string {
  const path = pathOf(url);
  // A router mounted at /api shows the request for /api as one for /.
  return path === '/' && baseUrl !== '' && !pathOf(target).endsWith('/') ? baseUrl : baseUrl + path;
}

/** The template of the route, where the middleware belongs to one: before, no route is known. */
function templateOf({ baseUrl = '', route }: Request): string | undefined {
  return typeof route?.path === 'string' ? baseUrl + route.path : undefined;
}

function unprotected(): Error {
  return misuse('unprotected', 'a route asks for scopes, and no protection is laid around it; app.use(protect(…)) first');
}
