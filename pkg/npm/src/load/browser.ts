/** The compiled core in browsers and web workers: keys, proofs and judging them, without servers. */

// @ts-ignore: the build puts it there, and its types are those of native.ts.
import * as advising from '../wasm/advice.js';
// @ts-ignore
import * as judging from '../wasm/full.js';
import { loader } from './wasm.js';
import type { Glue } from './wasm.js';

export const { advice, build, flows, native, ready } = loader(['full', judging as unknown as Glue], ['advice', advising as unknown as Glue]);
