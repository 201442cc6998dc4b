/** A module of WebAssembly: where it is, and what to do where it is not. */

import { HostFailed } from '../errors.js';

/** Where WASM comes from, if not from beside these files: a URL, a `Response`, bytes or a compiled module. */
export type Source = string | URL | Response | BufferSource | WebAssembly.Module;

/** What `wasm-bindgen` and the build write beside a module. */
export interface Glue {
  default(options: { module_or_path: Exclude<Source, string | URL> }): Promise<unknown>;
  initSync(options: { module: BufferSource | WebAssembly.Module }): unknown;
  /** Where the module is: beside this file, unless a bundler put it elsewhere. */
  place(): URL;
}

/** The modules of this package: `NAME_bg.wasm` each. */
export type Name = 'client' | 'flows' | 'advice' | 'full' | 'server';

const embedded = new Map<Name, () => Promise<Source>>();

/** Takes these modules from JavaScript: no file is looked for. */
export function embed(modules: Partial<Record<Name, () => Promise<Source>>>): void {
  for (const [name, source] of Object.entries(modules)) embedded.set(name as Name, source);
}

/**
 * Loads a module from `source`, from what was embedded, or from its place.
 *
 * @throws HostFailed: `wasm_missing`, where it is not there; `wasm_forbidden`, where the page may not run it. A network that fails throws
 * what `fetch` throws
 */
export async function load(name: Name, glue: Glue, source?: Source): Promise<void> {
  const from = source ?? (await embedded.get(name)?.()) ?? placeOf(name, glue);
  const module = typeof from === 'string' || from instanceof URL ? await fetched(name, from) : from;
  try {
    await glue.default({ module_or_path: module });
  } catch (error) {
    if (isForbidden()) {
      const detail = "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src";
      throw new HostFailed({ reason: 'wasm_forbidden', detail }, { cause: error });
    }
    if (!(error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError)) throw error;
    throw missing(name, String(from instanceof Response ? from.url : from), 'is not the WebAssembly of this version of keybound', error);
  }
}

/** Where the module is. @throws HostFailed in a bundle that is not an ES module */
export function placeOf(name: Name, glue: Glue): URL {
  try {
    return glue.place();
  } catch (cause) {
    throw missing(name, undefined, 'cannot be found by a bundle that is not an ES module', cause);
  }
}

/** The failure of a module that is not at its place. */
export function missing(name: Name, place: string | undefined, what: string, cause?: unknown): HostFailed {
  const file = `${name}_bg.wasm`;
  const copy = `copy node_modules/keybound/dist/wasm/${file}${place === undefined || !URL.canParse(place) ? '' : ' there'}`;
  const detail = `${place === undefined ? file : `${file}, looked for at ${place},`} ${what}; ${ways(name, place, copy)}`;
  return new HostFailed({ reason: 'wasm_missing', detail }, { cause });
}

/** What there is to do, the simplest first. */
function ways(name: Name, place: string | undefined, copy: string): string {
  if (name === 'server' || (name === 'flows' && typeof document === 'undefined')) {
    const leave = "leave keybound out of the bundle (esbuild, bun build: --external:keybound; Next.js: serverExternalPackages: ['keybound'])";
    return place === undefined ? leave : `${leave}, or ${copy}`;
  }
  if (place?.includes('/.vite/') === true) return "add optimizeDeps: { exclude: ['keybound'] } to vite.config.js";
  const inline = name === 'client' || name === 'advice' ? 'keybound/browser/inline' : 'keybound/inline';
  return place === undefined ? `import from ${inline}, which needs no file` : `${copy}, or import from ${inline}, which needs no file`;
}

async function fetched(name: Name, from: string | URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(from);
  } catch (error) {
    if (!String(from).startsWith('file:')) throw error;
    throw missing(name, String(from), 'cannot be read', error);
  }
  const { ok, status, url, headers } = response;
  if (!ok) throw missing(name, url || String(from), `is not there (${status})`);
  // Many servers of pages answer with a page where they have no file.
  if (headers.get('content-type')?.startsWith('text/html') === true) throw missing(name, url || String(from), 'is not there (the answer is an HTML page)');
  return response;
}

/** Whether this page may run no WebAssembly at all: the smallest module there is cannot be compiled. */
function isForbidden(): boolean {
  try {
    return new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) === undefined;
  } catch {
    return true;
  }
}
