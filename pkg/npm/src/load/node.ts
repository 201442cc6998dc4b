/** The compiled core on Node: the addon of this platform, or WASM where there is none. Both give the same verdicts. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Native, NativeAdvice, NativeClientParts } from '../native.js';
// @ts-ignore: the build puts them there, and their types are those of native.ts.
import * as grants from '../wasm/flows.js';
// @ts-ignore
import * as judging from '../wasm/server.js';
import { missing, placeOf } from './module.js';
import type { Glue, Name } from './module.js';

let used: 'addon' | 'wasm' = 'addon';
let loaded: Native | undefined;
let client: NativeClientParts | undefined;

/** The core, loaded when it is first needed. `KEYBOUND_NATIVE=wasm` in the environment asks for WASM. */
export function native(): Native {
  return (loaded ??= (process.env['KEYBOUND_NATIVE'] === 'wasm' ? undefined : addon()) ?? fallback());
}

/** Which build this process uses. */
export function build(): 'addon' | 'wasm' {
  native();
  return used;
}

/** The OAuth client of the core. */
export function flows(): NativeClientParts {
  const core = native();
  return (client ??= 'Client' in core ? (core as unknown as NativeClientParts) : instantiate<NativeClientParts>('flows', grants as unknown as Glue));
}

/** What explains refused responses. */
export async function advice(): Promise<NativeAdvice> {
  return native() as Native & NativeAdvice;
}

/** Loads the core. On Node it is there at once. */
export async function ready(): Promise<void> {
  native();
}

function platform(): string {
  const { platform, arch } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return `${platform}-${arch}-${report?.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

function addon(): Native | undefined {
  // In a bundle that is not an ES module nothing can be found from here.
  if (import.meta.url === undefined) return undefined;
  const require = createRequire(import.meta.url);
  const name = platform();
  // Beside these files in a checkout; a package of its own in a release.
  for (const place of [`../native/keybound.${name}.node`, `@keybound/node-${name}`]) {
    try {
      return require(place) as Native;
    } catch (error) {
      // A library that is there and does not fit this system is treated as one that is not there.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_DLOPEN_FAILED') throw error;
    }
  }
  return undefined;
}

function fallback(): Native {
  used = 'wasm';
  // Who asked for WebAssembly knows. Otherwise the difference is speed alone, which is easily looked for in the wrong place.
  if (process.env['KEYBOUND_NATIVE'] !== 'wasm' && process.versions['node'] !== undefined && process.versions['bun'] === undefined && process.versions['deno'] === undefined) {
    process.emitWarning(`the addon @keybound/node-${platform()} is not installed or does not fit this system, so that keybound uses WebAssembly, which is slower; install it, or set KEYBOUND_NATIVE=wasm`, {
      type: 'KeyboundWarning', code: 'KEYBOUND_WASM',
    });
  }
  return instantiate<Native>('server', judging as unknown as Glue);
}

function instantiate<T>(name: Name, glue: Glue): T {
  glue.initSync({ module: read(name, placeOf(name, glue)) });
  return glue as unknown as T;
}

function read(name: Name, place: URL): Uint8Array<ArrayBuffer> {
  try {
    return readFileSync(place);
  } catch (error) {
    throw missing(name, String(place), 'cannot be read', error);
  }
}
