/** `keybound/fastify`: a plugin that admits requests with a bound token and a fresh proof, and serves the resource's metadata. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { ready } from '#native';
import { misuse } from './errors.js';
import { checkObject, checkScopes } from './options.js';
import { completed } from './server/fields.js';
import type { Answer, Fields } from './server/fields.js';
import { Principal } from './server/principal.js';
import { Protection, checkProtection, twice } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
import { partsOf, pathOf } from './server/node.js';

export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom the request is from, behind the plugin. In front of its hook, and in instances without it, there is none. */
    auth: Principal;
  }
}

/**
 * Protects the routes of the instance it is registered with: `app.register(keybound, { resource, issuers })`. Handlers find the
 * principal in `request.auth`. Requests over HTTP/2 are judged by the target in `:path`.
 *
 * @throws Misuse for options that cannot be used
 */
export async function keybound(app: FastifyInstance, options: ProtectionOptions | { readonly protection: Protection }): Promise<void> {
  checkObject('what keybound is registered with', options, "write app.register(keybound, { resource: 'https://api.example.com', issuers: ['https://as.example.com'] })");
  const protection = 'protection' in options ? given(options.protection) : made(app, options);
  const fields = new WeakMap<FastifyRequest, Fields>();
  if (app.hasDecorator(PROTECTED)) throw twice();
  app.decorate(PROTECTED, true);
  // Fastify wants a value for the shape of requests; the hook sets it before any handler runs.
  app.decorateRequest('auth', null as unknown as Principal);
  app.addHook('onRequest', async (request, reply) => {
    // The raw target: a rewritten or decoded path is not what the proof is for. Routes are looked up by what `rewriteUrl` made of it.
    const decided = await protection._answer(partsOf(request.raw, request.originalUrl, pathOf(request.url), request.routeOptions.url));
    if ('answer' in decided) return send(reply, decided.answer);
    request.auth = decided.principal;
    fields.set(request, decided.principal.headers);
    return undefined;
  });
  // At the end: plugins and handlers set fields of the same name.
  app.addHook('onSend', async (request, reply, payload) => {
    set(reply, fields.get(request) ?? [], true);
    return payload;
  });
}
// The hook is for the instance that registers the plugin, not for one inside of it.
Object.assign(keybound, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'keybound' });

export default keybound;

/**
 * Serves the metadata of a protection that is laid around a part of the application alone: `app.register(metadata, { protection })`, beside the
 * plugin with the prefix in which `keybound` is registered with the same protection. Its URL lies below `/.well-known/`, outside of that prefix.
 */
export async function metadata(app: FastifyInstance, { protection }: { readonly protection: Protection }): Promise<void> {
  checkProtection('protection of what metadata is registered with', protection);
  await ready();
  app.get(protection.metadataPath, async (request, reply) => {
    const answer = await protection._metadata(partsOf(request.raw, request.originalUrl));
    return answer === undefined ? reply.callNotFound() : send(reply, answer);
  });
}

/** A hook for routes that need scopes: `{ preHandler: requireScopes('items:write') }`. */
export function requireScopes(...scopes: string[]): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown> {
  checkScopes(scopes);
  return async (request, reply) => {
    const principal = Principal._of(request.auth);
    if (principal === undefined) throw misuse('unprotected', 'a route asks for scopes, and the plugin is not registered around it');
    const refusal = principal.requireScopes(...scopes);
    return refusal === undefined ? undefined : send(reply, refusal);
  };
}

/** Marks instances that are protected, for those inside of them as well. `auth` itself can be another plugin's. */
const PROTECTED = Symbol('keybound');

function given(protection: Protection): Protection {
  checkProtection('protection of what keybound is registered with', protection);
  return protection;
}

function made(app: FastifyInstance, options: ProtectionOptions): Protection {
  const { prefix, logLevel, ...rest } = options as ProtectionOptions & { prefix?: string; logLevel?: string };
  return new Protection({ ...rest, onFault: rest.onFault ?? ((fault) => app.log.warn(fault, 'keybound')) });
}

function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  reply.code(status);
  set(reply, headers, false);
  return reply.send(body);
}

function set(reply: FastifyReply, added: Fields, keepCaching: boolean): void {
  for (const [name, value] of completed(added, (present) => reply.getHeader(present), keepCaching)) reply.header(name, value);
}
