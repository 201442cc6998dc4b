/** Who is told of refused requests: the program, by a hook, and its developer, by `NODE_DEBUG=keybound` or `DEBUG=keybound`. */

import type { Refusal, RefusalReason } from '../errors.js';
import type { RequestParts } from './protection.js';

/** A request that was refused: nothing of it that is secret. */
export interface RefusedRequest {
  /** The stable name, as in `docs/errors`. */
  readonly reason: RefusalReason;
  readonly status: number;
  /** The error code on the wire, for example `use_dpop_nonce`. */
  readonly error: string | undefined;
  readonly method: string;
  /** The path, without its query. */
  readonly path: string;
  /** The template of the route, where it is known. */
  readonly route: string | undefined;
}

/** Tells of refusals. @internal */
export class Refusals {
  readonly #hook: ((refused: RefusedRequest) => void) | undefined;
  readonly #onFault: (fault: unknown) => void;
  readonly #debug = debugging();

  constructor(hook: ((refused: RefusedRequest) => void) | undefined, onFault: (fault: unknown) => void) {
    this.#hook = hook;
    this.#onFault = onFault;
  }

  /** Tells of one, unless it answers a preflight. `differed` says what was found and expected, for the developer alone. */
  tell({ method, target, route }: Pick<RequestParts, 'method' | 'target' | 'route'>, { reason, status, error }: Refusal, differed: () => readonly string[] = () => []): void {
    if (reason === 'preflight') return;
    const path = target.split(/[?#]/, 1)[0] as string;
    try {
      this.#hook?.({ reason, status, error, method, path, route });
      this.#debug?.([`refused ${shown(method)} ${shown(path)}: ${status} ${reason}`, ...differed().map((line) => `  ${line.replace(/[^\x20-\x7e]/g, '?')}`)].join('\n'));
    } catch (fault) {
      // What a hook throws is no failure of the request.
      this.#onFault(fault);
    }
  }
}

/** What is written where the environment asks for it; nothing otherwise. */
function debugging(): ((text: string) => void) | undefined {
  const { NODE_DEBUG = '', DEBUG = '' } = environment();
  const named = [...NODE_DEBUG.split(','), ...DEBUG.split(/[\s,]+/)].some((name) => /^(keybound(:\*)?|\*)$/i.test(name.trim()));
  return named ? (text) => console.error(`keybound: ${text}`) : undefined;
}

function environment(): { readonly NODE_DEBUG?: string; readonly DEBUG?: string } {
  try {
    const { process } = globalThis as { process?: { env?: { NODE_DEBUG?: string; DEBUG?: string } } };
    const { NODE_DEBUG, DEBUG } = process?.env ?? {};
    return { ...(NODE_DEBUG !== undefined && { NODE_DEBUG }), ...(DEBUG !== undefined && { DEBUG }) };
  } catch {
    // Deno gives no variable without permission.
    return {};
  }
}

/** A text of the peer's on one line of a terminal. */
function shown(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 300);
}
