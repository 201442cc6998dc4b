/** WASM inside JavaScript: for bundlers that copy no files, and for development servers that lose them. */

import type { Source } from './module.js';

/** A module that the build compressed (deflate) and wrote as base64 text. */
export async function inflated(file: Promise<{ readonly default: string }>): Promise<Source> {
  const { default: text } = await file;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const inflating = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Response(inflating, { headers: { 'content-type': 'application/wasm' } });
}
