// Writes src/reasons.ts from tests/contract, where every language reads which reasons there are. `--print` prints it instead.
import { readFileSync, writeFileSync } from 'node:fs';

const contract = (name) => JSON.parse(readFileSync(new URL(`../../../tests/contract/${name}.json`, import.meta.url), 'utf8'));
const union = (values) => [...new Set(values)].map((value) => `\n  | '${value}'`).join('');
const rejections = contract('reasons');
const { intent, refused, flow, misuse, redis, host } = contract('faults');

export const text = `/** Why proofs and tokens are refused, and errors happen. Written by scripts/reasons.mjs from tests/contract: change that and not this. */

/** Why a proof is refused. */
export type Rejection =${union(rejections.map(({ reason }) => reason))};

/** What a verifier looks at, in this order. */
export type Check =${union(rejections.map(({ check }) => check))};

/** Why a token is refused, or a request without one. */
export type TokenRejection =${union(contract('token_reasons').map(({ reason }) => reason))};

/** Why an intent does not permit a request, or was not granted as declared. */
export type IntentRejection =${union(intent)};

/** Why a request is refused that has neither a bad proof nor a bad token. */
export type OtherRejection =${union(refused)};

/** Why a flow of the client ended without its result. */
export type CoreFlowReason =${union(flow)};

/** What is wrong with an argument or an option. */
export type CoreMisuseReason =${union(misuse)};

/** Why a Redis server is not used. */
export type RedisFaultName =${union(redis)};

/** What failed in the program's surroundings. */
export type CoreHostReason =${union(host)};
`;

if (process.argv[1] === new URL(import.meta.url).pathname) {
  if (process.argv.includes('--print')) process.stdout.write(text);
  else writeFileSync(new URL('../src/reasons.ts', import.meta.url), text);
}
