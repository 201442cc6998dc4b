/** How the fields that a protection adds to an answer meet those that are there already. */

import type { Refusal } from '../errors.js';

/** Names and values of fields. @internal */
export type Fields = readonly (readonly [name: string, value: string])[];

/** What is sent instead of the handler's answer. @internal */
export type Answer = Pick<Refusal, 'status' | 'headers' | 'body'>;

/**
 * What to set, where `present` tells the value of a field that is there: lists grow, so that what a CORS middleware exposes stays exposed, and
 * other fields are replaced. With `keepCaching`, an answer that says how it is cached keeps that: its handler has said so knowingly.
 *
 * @internal
 */
export function completed(added: Fields, present: (name: string) => unknown, keepCaching: boolean): [name: string, value: string][] {
  const set: [name: string, value: string][] = [];
  for (const [name, value] of added) {
    const known = present(name);
    const there = known === undefined || known === null ? '' : String(known);
    if (/^(vary|access-control-expose-headers)$/i.test(name)) set.push([name, union(there, value)]);
    else if (!(keepCaching && there !== '' && /^cache-control$/i.test(name))) set.push([name, value]);
  }
  return set;
}

/** A list with the elements of another that it lacks. */
function union(list: string, more: string): string {
  const elements = (text: string): string[] => text.split(',').map((element) => element.trim()).filter((element) => element !== '');
  const known = elements(list);
  const lacking = elements(more).filter((element) => !known.some((one) => one.toLowerCase() === element.toLowerCase()));
  return [...known, ...lacking].join(', ');
}
