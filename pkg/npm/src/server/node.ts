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
  writeHead(status: number, ...rest: unknown[]): unknown;
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
  complete(response, headers, false);
  response.end(body);
}

/** Adds what an admitted request is answered with besides, again when the handler has set its own fields. @internal */
export function answerWith(response: NodeResponse, added: Fields): void {
  complete(response, added, false);
  const writeHead = response.writeHead.bind(response);
  // Node itself calls this where a handler does not.
  response.writeHead = (status, ...rest) => {
    const given = rest.at(-1);
    if (typeof given !== 'object' || given === null) {
      complete(response, added, true);
      return writeHead(status, ...rest);
    }
    const fields = pairsOf(given);
    const set = completed(added, (name) => valueIn(fields, name) ?? response.getHeader(name), true);
    for (const [name, value] of set) response.setHeader(name, value);
    const kept = fields.filter(([name]) => !set.some(([replaced]) => isSame(name, replaced)));
    return writeHead(status, ...rest.slice(0, -1), Array.isArray(given) ? kept.flat() : Object.fromEntries(kept));
  };
}

function complete(response: NodeResponse, added: Fields, keepCaching: boolean): void {
  for (const [name, value] of completed(added, (present) => response.getHeader(present), keepCaching)) response.setHeader(name, value);
}

/** The fields that are given to `writeHead`: an object, pairs, or names and values in turn. */
function pairsOf(given: object): (readonly [name: string, value: unknown])[] {
  if (!Array.isArray(given)) return Object.entries(given);
  if (Array.isArray(given[0])) return given as [string, unknown][];
  return given.flatMap((name, at) => (at % 2 === 0 ? [[String(name), given[at + 1] as unknown] as const] : []));
}

/** The values of a field, joined; `undefined` where it is not among `fields`. */
function valueIn(fields: readonly (readonly [name: string, value: unknown])[], name: string): string | undefined {
  const values = fields.filter(([known]) => isSame(known, name)).map(([, value]) => String(value));
  return values.length === 0 ? undefined : values.join(', ');
}

function isSame(name: string, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase();
}
