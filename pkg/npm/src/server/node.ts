/** What is read of, and written to, Node's own requests and responses. */

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Refusal } from '../errors.js';
import type { Principal } from './principal.js';
import type { RequestParts } from './protection.js';
import { METADATA_FIELDS } from './protection.js';
import type { Protection } from './protection.js';

/** The parts of Node's request: its raw target and every field line as received. `target` says another one, where a router changed it. */
export function partsOf(request: IncomingMessage, target: string = request.url ?? ''): RequestParts {
  return { method: request.method ?? '', target, fields: request.rawHeaders, peer: request.socket.remoteAddress };
}

/** Sends a refusal exactly as the core says. @internal */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  response.statusCode = refusal.status;
  for (const [name, value] of refusal.headers) response.appendHeader(name, value);
  response.end(refusal.body);
}

/** Adds what an admitted request is answered with besides. @internal */
export function complete(response: ServerResponse, principal: Principal): void {
  for (const [name, value] of principal.headers) response.appendHeader(name, value);
}

/** Sends the metadata. @internal */
export function sendMetadata(response: ServerResponse, protection: Protection): void {
  for (const [name, value] of Object.entries(METADATA_FIELDS)) response.setHeader(name, value);
  response.end(JSON.stringify(protection.metadata));
}
