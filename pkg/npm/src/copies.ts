/** Recognises objects of another copy of this package, whose private parts this one cannot read. */

import { KIND, kindOf, misuse, named } from './errors.js';

/** Marks the instances of a class with a name that no bundler shortens. @internal */
export function mark({ prototype }: { readonly prototype: object }, kind: string): void {
  Object.defineProperty(prototype, KIND, { value: kind });
}

/** Refuses an instance of `own` that another copy made. @throws Misuse @internal */
export function checkCopy(value: unknown, own: { readonly prototype: object }): void {
  if (typeof value !== 'object' || value === null || isOf(value, own)) return;
  const [kind, wanted] = [kindOf(value), kindOf(own.prototype)];
  if (kind === undefined || kind !== wanted) return;
  throw misuse('other_copy', `this ${wanted} was made by another copy of keybound in this process, such as another version or one inside a bundle; ${ADVICE}`);
}

/** Whether it is an instance of `own`. */
function isOf(value: unknown, own: { readonly prototype: object }): boolean {
  return Object.prototype.isPrototypeOf.call(own.prototype, value as object);
}

/** Refuses anything that is not an instance of `own`, a class with a {@link mark}, of this copy. `what` names the argument. @throws Misuse @internal */
export function checkInstance(what: string, value: unknown, own: { readonly prototype: object }, advice: string): void {
  checkCopy(value, own);
  if (isOf(value, own)) return;
  throw misuse('wrong_type', `${what} is a ${kindOf(own.prototype)}, and this was ${named(value)}; ${advice}`);
}

const ADVICE = 'have one copy make and use it: npm ls keybound lists those that are installed, and bundlers keep it out as external';
