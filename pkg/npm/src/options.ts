/** Options as the core reads them. */

import { isPromise, misuse, named } from './errors.js';
import type { Misuse } from './errors.js';

/**
 * The same object with its own members renamed from `camelCase` to `snake_case`, and nothing below them; absent ones left out.
 *
 * @throws Misuse for a name in the spelling of other languages, which types forbid: it would work by accident
 */
export function snakeCase(options: object): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (/^[a-z_]*_[a-z_]*$/.test(name)) throw unknown('what is given here', name, `write ${shown(camelCase(name), 'it in camelCase')}`);
    if (value !== undefined) renamed[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return renamed;
}

/** A name in the spelling of this language. */
export function camelCase(name: string): string {
  return name.replace(/_+([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Refuses options of these names that are not arrays. A text where a list is meant would be taken apart into its characters, and
 * what a list of characters permits is not what was written.
 *
 * @throws Misuse
 */
export function checkLists(options: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined || Array.isArray(value)) continue;
    const advice = isPromise(value) ? '' : `; for one entry write ${name}: [entry]`;
    throw misuse('wrong_type', `${name} has to be an array, and this was ${named(value)}${advice}`);
  }
}

/** Refuses options of these names that are not arrays of texts. @throws Misuse */
export function checkTexts(options: object, names: readonly string[]): void {
  checkLists(options, names);
  for (const name of names) {
    const list = (options as Record<string, readonly unknown[] | undefined>)[name] ?? [];
    const at = list.findIndex((entry) => typeof entry !== 'string');
    if (at >= 0) throw misuse('wrong_type', `each entry of ${name} has to be a string, and one was ${named(list[at])}`);
  }
}

/** Refuses scopes to require that are not one or more single scopes: without any, every token would do. @throws Misuse */
export function checkScopes(scopes: readonly unknown[]): void {
  const advice = "write requireScopes('items:read', 'items:write')";
  if (scopes.length === 0) throw misuse('wrong_type', `requireScopes names no scope, so that every token would pass; ${advice}`);
  for (const scope of scopes) {
    if (typeof scope !== 'string') throw misuse('wrong_type', `requireScopes takes strings one by one, and this was ${named(scope)}; ${advice}`);
    if (scope === '' || scope.includes(' ')) throw misuse('wrong_type', `requireScopes takes scopes one by one, without spaces; ${advice}`);
  }
}

/** Refuses arguments that are there and not strings. `where` names what they are of. @throws Misuse */
export function checkStrings(where: string, given: Readonly<Record<string, unknown>>, advice = ''): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || typeof value === 'string') continue;
    throw misuse('wrong_type', `${name} of ${where} has to be a string, and this was ${named(value)}${advice && `; ${advice}`}`);
  }
}

/** Refuses arguments that are there and not numbers. @throws Misuse */
export function checkNumbers(where: string, given: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && typeof value !== 'number') throw misuse('wrong_type', `${name} of ${where} has to be a number, and this was ${named(value)}`);
  }
}

/** A URL as text. @throws Misuse for anything but a string and a URL */
export function urlOf(where: string, url: unknown): string {
  if (typeof url === 'string') return url;
  // Frameworks have URLs of their own, and tests those of another realm.
  const { href } = (url ?? {}) as { readonly href?: unknown };
  if (typeof href === 'string') return href;
  throw misuse('wrong_type', `url of ${where} has to be a string or URL, and this was ${named(url)}`);
}

/** A value as JSON. @throws Misuse for what JSON cannot hold: its own error has names and values in it */
export function jsonOf(what: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // A bigint, a circle, or a `toJSON` that throws.
  }
  if (text === undefined) throw misuse('wrong_type', `${what} has to be what JSON can hold, without bigints and circles`);
  return text;
}

/** Refuses anything that is not a `Uint8Array`. @throws Misuse */
export function checkBytes(where: string, bytes: unknown, advice = 'for a text write new TextEncoder().encode(text)'): void {
  if (ArrayBuffer.isView(bytes) && (bytes as Partial<Uint8Array>).BYTES_PER_ELEMENT === 1) return;
  throw misuse('wrong_type', `${where} takes a Uint8Array, and this was ${named(bytes)}; ${advice}`);
}

/** Refuses anything that is not an object. @throws Misuse */
export function checkObject(what: string, value: unknown, advice: string): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !isPromise(value)) return;
  throw misuse('wrong_type', `${what} has to be an object, and this was ${named(value)}; ${advice}`);
}

/** Refuses options of these names that are there and not functions. @throws Misuse */
export function checkFunctions(options: object, names: readonly string[]): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && typeof value !== 'function') throw misuse('wrong_type', `${name} has to be a function, and this was ${named(value)}`);
  }
}

/** Refuses members of other names than `known`, which would be passed over. `like` names what some are called elsewhere. @throws Misuse */
export function checkNames(where: string, given: object, known: readonly string[], like: Readonly<Record<string, string>> = {}): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = like[name] ?? known.find((one) => one.toLowerCase() === name.replace(/[_-]/g, '').toLowerCase());
    throw unknown(where, name, near === undefined ? `there are: ${known.join(', ')}` : `write ${near}`);
  }
}

/** The mistake of a member that `where` does not have. */
export function unknown(where: string, name: string, advice: string): Misuse {
  return misuse('unknown_option', `${where} has no ${shown(name, 'such member')}; ${advice}`);
}

/** The name of a member, unless it can be a value that was given in its place. */
function shown(name: string, otherwise: string): string {
  return /^[a-z_$][\w$]{0,39}$/i.test(name) ? name : otherwise;
}

/** A request that an intent may be for, with its whole URL and its body. @throws Misuse */
export function carried(where: string, request: unknown): { readonly method: string; readonly url: string; readonly body: Uint8Array } {
  checkObject(`what ${where} takes`, request, 'write { method, url, body }');
  const { method = null, url, body } = request as Record<string, unknown>;
  checkStrings(where, { method });
  checkBytes(`body of ${where}`, body);
  return { method: method as string, url: urlOf(where, url), body: body as Uint8Array };
}
