// The core as WebAssembly, loaded when it is first needed: the client, and what explains refusals.

import { load, type Glue, type Name, type Source } from '../load/module.js';
import type { ClientRows, NativeAdvice, ThumbprintsRows } from '../native.js';

/** What a browser's client takes from the core. */
export type Core = ClientRows & ThumbprintsRows;

let client: Promise<Core> | undefined;
let advice: Promise<NativeAdvice> | undefined;

/** The build without cryptography in software: keys are WebCrypto's. */
export function loadCore(from?: Source): Promise<Core> {
  // @ts-ignore The packaging puts it there; bundlers find it by this literal.
  client ??= loaded<Core>('client', import('../wasm/client.js'), from).catch((error: unknown) => {
    client = undefined;
    throw error;
  });
  return client;
}

/** The build that explains refusals. A page that explains nothing does not load it. */
export function loadAdvice(from?: Source): Promise<NativeAdvice> {
  // @ts-ignore As above.
  advice ??= loaded<NativeAdvice>('advice', import('../wasm/advice.js'), from).catch((error: unknown) => {
    advice = undefined;
    throw error;
  });
  return advice;
}

async function loaded<T>(name: Name, importing: Promise<unknown>, from?: Source): Promise<T> {
  const glue = await importing;
  await load(name, glue as Glue, from);
  return glue as T;
}
