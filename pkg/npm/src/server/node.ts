/** What is read of, and written to, Node's own requests and responses. */

import { completed } from './fields.js';
import type { Answer, Fields } from './fields.js';
import type { RequestParts } from './protection.js';

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
  getHeader(name: string): unknown;
  setHeader(name: string, value: string): unknown;
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

/** Sends what the protection answers instead of a handler. @internal */
export function refuse(response: NodeResponse, { status, headers, body }: Answer): void {
  response.statusCode = status;
  complete(response, headers);
  response.end(body);
}

/** Adds what a request is answered with besides. @internal */
export function complete(response: NodeResponse, added: Fields): void {
  // No handler has run yet: one that says how its answer is cached does so later.
  for (const [name, value] of completed(added, (present) => response.getHeader(present), false)) response.setHeader(name, value);
}
