/** What is read of, and written to, Node's own requests and responses. */

import type { Refusal } from '../errors.js';
import type { Principal } from './principal.js';
import type { RequestParts } from './protection.js';
import { METADATA_FIELDS } from './protection.js';
import type { Protection } from './protection.js';

/** What is read of Node's `IncomingMessage`. */
export interface NodeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** What is used of Node's `ServerResponse`. */
export interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  appendHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/**
 * The parts of Node's request: its raw target and every field line as received. `target` says another one, where a router changed it,
 * `path` what the router goes by, and `route` its template.
 */
export function partsOf(request: NodeRequest, target: string = request.url ?? '', path?: string, route?: string | undefined): RequestParts {
  return { method: request.method ?? '', target, path, route, fields: request.rawHeaders, peer: request.socket.remoteAddress };
}

/** The path of a request target, as written. @internal */
export function pathOf(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] as string;
  return path === '' ? '/' : path;
}

/** Sends a refusal exactly as the core says. @internal */
export function refuse(response: NodeResponse, refusal: Refusal): void {
  response.statusCode = refusal.status;
  for (const [name, value] of refusal.headers) response.appendHeader(name, value);
  response.end(refusal.body);
}

/** Adds what an admitted request is answered with besides. @internal */
export function complete(response: NodeResponse, principal: Principal): void {
  for (const [name, value] of principal.headers) response.appendHeader(name, value);
}

/** Sends the metadata. @internal */
export function sendMetadata(response: NodeResponse, protection: Protection): void {
  for (const [name, value] of Object.entries(METADATA_FIELDS)) response.setHeader(name, value);
  response.end(JSON.stringify(protection.metadata));
}
