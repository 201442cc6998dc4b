/** `keybound/fastify`: a plugin that admits requests with a bound token and a fresh proof, and serves the resource's metadata. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import type { Refusal } from './errors.js';
import { misuse } from './errors.js';
import { checkScopes } from './options.js';
import type { Principal } from './server/principal.js';
import { METADATA_FIELDS, Protection } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
import { partsOf, pathOf } from './server/node.js';

export { Principal } from './server/principal.js';
export type { ProtectionOptions } from './server/protection.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom the request is from, behind the plugin. */
    auth: Principal | null;
  }
}

/**
 * Protects the routes of the instance it is registered with: `app.register(keybound, { resource, issuers })`. Handlers find the
 * principal in `request.auth`. Requests over HTTP/2 are judged by the target in `:path`.
 *
 * @throws Misuse for options that cannot be used
 */
export async function keybound(app: FastifyInstance, options: ProtectionOptions): Promise<void> {
  const { prefix, logLevel, ...rest } = options as ProtectionOptions & { prefix?: string; logLevel?: string };
  const protection = new Protection({ ...rest, onFault: rest.onFault ?? ((fault) => app.log.warn(fault, 'keybound')) });
  app.decorateRequest('auth', null);
  app.addHook('onRequest', async (request, reply) => {
    // The raw target: a rewritten or decoded path is not what the proof is for. Routes are looked up by what `rewriteUrl` made of it.
    const decision = await protection._answer(partsOf(request.raw, request.originalUrl, pathOf(request.url), request.routeOptions.url));
    if (decision === 'metadata') return reply.headers(METADATA_FIELDS).send(JSON.stringify(protection.metadata));
    if (decision.verdict === 'refused') return send(reply, decision.refusal);
    request.auth = decision.principal;
    for (const [name, value] of decision.principal.headers) reply.header(name, value);
    return undefined;
  });
}
// The hook is for the instance that registers the plugin, not for one inside of it.
Object.assign(keybound, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'keybound' });

export default keybound;

/** A hook for routes that need scopes: `{ preHandler: requireScopes('items:write') }`. */
export function requireScopes(...scopes: string[]): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  checkScopes(scopes);
  return async (request, reply) => {
    if (!request.auth) throw misuse('unprotected', 'a route asks for scopes, and the plugin is not registered around it');
    const refusal = request.auth.requireScopes(...scopes);
    return refusal === undefined ? undefined : send(reply, refusal);
  };
}

function send(reply: FastifyReply, refusal: Refusal): FastifyReply {
  reply.code(refusal.status);
  // A field may come several times, one challenge in each.
  for (const [name] of refusal.headers) {
    reply.header(name, refusal.headers.filter(([other]) => other === name).map(([, value]) => value));
  }
  return reply.send(refusal.body);
}
