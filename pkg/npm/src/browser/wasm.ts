// The core as WebAssembly, loaded when it is first needed: the client, and what explains refusals.

import { HostFailed } from '../errors.js';
import type { ClientRows, NativeAdvice, ThumbprintsRows } from '../native.js';

/** What a browser's client takes from the core. */
export type Core = ClientRows & ThumbprintsRows;

interface Glue {
  default(options: { module_or_path: string | URL }): Promise<unknown>;
}

let client: Promise<Core> | undefined;
let advice: Promise<NativeAdvice> | undefined;

/** The build without cryptography in software: keys are WebCrypto's. */
export function loadCore(from: string | URL = new URL('../wasm/client_bg.wasm', import.meta.url)): Promise<Core> {
  // @ts-ignore The packaging puts it there; bundlers find it by these literals.
  const glue = import('../wasm/client.js') as Promise<Core & Glue>;
  client ??= load(glue, from).catch((error: unknown) => {
    client = undefined;
    throw error;
  });
  return client;
}

/** The build that explains refusals. A page that explains nothing does not load it. */
export function loadAdvice(from: string | URL = new URL('../wasm/advice_bg.wasm', import.meta.url)): Promise<NativeAdvice> {
  // @ts-ignore As above.
  const glue = import('../wasm/advice.js') as Promise<NativeAdvice & Glue>;
  advice ??= load(glue, from).catch((error: unknown) => {
    advice = undefined;
    throw error;
  });
  return advice;
}

async function load<T>(glue: Promise<T & Glue>, url: string | URL): Promise<T> {
  const loaded = await glue;
  try {
    await loaded.default({ module_or_path: url });
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error;
    const detail = "the page's Content-Security-Policy forbids WebAssembly: add 'wasm-unsafe-eval' to script-src";
    throw new HostFailed({ reason: 'wasm_forbidden', detail }, { cause: error });
  }
  return loaded;
}
