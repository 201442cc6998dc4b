// Writes src/reasons.ts from tests/contract, where every language reads which reasons there are. `--print` prints it instead.
import { readFileSync, writeFileSync } from 'node:fs';

const contract = (name) => JSON.parse(readFileSync(new URL(`../../../tests/contract/${name}.json`, import.meta.url), 'utf8'));
const union = (values) => [...new Set(values)].map((value) => `\n  | '${value}'`).join('');
const rejections = contract('reasons');

export const text = `/** Why proofs and tokens are refused. Written by scripts/reasons.mjs from tests/contract: change that and not this. */

/** Why a proof is refused. */
export type Rejection =${union(rejections.map(({ reason }) => reason))};

/** What a verifier looks at, in this order. */
export type Check =${union(rejections.map(({ check }) => check))};

/** Why a token is refused, or a request without one. */
export type TokenRejection =${union(contract('token_reasons').map(({ reason }) => reason))};
`;

if (process.argv[1] === new URL(import.meta.url).pathname) {
  if (process.argv.includes('--print')) process.stdout.write(text);
  else writeFileSync(new URL('../src/reasons.ts', import.meta.url), text);
}
