// The WebAssembly builds, loaded when something is first explained or made.

let loading;
let advising;

/** The core's exports, as `pkg/npm/src/native.ts` describes them. */
export function core() {
  loading ??= import('/keybound/wasm/full.js').then(async (module) => {
    await module.default({ module_or_path: module.place() });
    return module;
  });
  return loading;
}

/** What explains refused responses. */
export function advice() {
  advising ??= import('/keybound/wasm/advice.js').then(async (module) => {
    await module.default({ module_or_path: module.place() });
    return module;
  });
  return advising;
}

/** Whole seconds since 1970. */
export function now() {
  return Math.floor(Date.now() / 1000);
}

/** What the core threw, in words: its errors are JSON text. */
export function wording(thrown) {
  const text = typeof thrown === 'string' ? thrown : thrown?.message ?? String(thrown);
  if (!text.startsWith('{"kind":')) return text;
  return JSON.parse(text).detail;
}

/** The header and claims of a JWT, or null if it is none. Nothing is verified. */
export function decode(jwt) {
  try {
    const [header, claims] = jwt.split('.').slice(0, 2).map((part) => {
      const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
      return JSON.parse(new TextDecoder().decode(bytes));
    });
    return typeof header === 'object' && typeof claims === 'object' ? { header, claims } : null;
  } catch {
    return null;
  }
}
