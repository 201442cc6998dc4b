/** Options as the core reads them. */

import { misuse, named } from './errors.js';

/** The same object with its own members renamed from `camelCase` to `snake_case`, and nothing below them; absent ones left out. */
export function snakeCase(options: object): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) renamed[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return renamed;
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
    throw misuse('wrong_type', `${name} has to be an array, and this was ${kind(value)}; for one entry write ${name}: [entry]`);
  }
}

/** Refuses options of these names that are not arrays of texts. @throws Misuse */
export function checkTexts(options: object, names: readonly string[]): void {
  checkLists(options, names);
  for (const name of names) {
    const list = (options as Record<string, readonly unknown[] | undefined>)[name] ?? [];
    const at = list.findIndex((entry) => typeof entry !== 'string');
    if (at >= 0) throw misuse('wrong_type', `each entry of ${name} has to be a string, and one was ${kind(list[at])}`);
  }
}

/** Refuses scopes to require that are not one or more single scopes: without any, every token would do. @throws Misuse */
export function checkScopes(scopes: readonly unknown[]): void {
  const advice = "write requireScopes('items:read', 'items:write')";
  if (scopes.length === 0) throw misuse('wrong_type', `requireScopes names no scope, so that every token would pass; ${advice}`);
  for (const scope of scopes) {
    if (typeof scope !== 'string') throw misuse('wrong_type', `requireScopes takes strings one by one, and this was ${kind(scope)}; ${advice}`);
    if (scope === '' || scope.includes(' ')) throw misuse('wrong_type', `requireScopes takes scopes one by one, without spaces; ${advice}`);
  }
}

function kind(value: unknown): string {
  return typeof value === 'string' ? 'a string' : named(value);
}
