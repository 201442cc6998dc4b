/** The compiled core on Node: the addon of this platform, or WASM where there is none. Both give the same verdicts. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import type { Native } from '../native.js';
import { initSync } from '../wasm.js';
import * as wasm from '../wasm.js';

/** Which build this process uses. */
export let build: 'addon' | 'wasm' = 'addon';

let loaded: Native | undefined;

/** The core, loaded when it is first needed. `KEYBOUND_NATIVE=wasm` in the environment asks for WASM. */
export function native(): Native {
  return (loaded ??= (process.env['KEYBOUND_NATIVE'] === 'wasm' ? undefined : addon()) ?? fallback());
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
  build = 'wasm';
  initSync({ module: readFileSync(new URL('../wasm/full_bg.wasm', import.meta.url)) });
  return wasm as unknown as Native;
}
