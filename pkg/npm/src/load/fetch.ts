/** The compiled core on Deno, Bun and other hosts that fetch: everything, servers included. */

// @ts-ignore: the build puts it there, and its types are those of native.ts.
import * as judging from '../wasm/server.js';
import { loader } from './wasm.js';
import type { Glue } from './wasm.js';

export const { advice, build, flows, native, ready } = loader(['server', judging as unknown as Glue]);
