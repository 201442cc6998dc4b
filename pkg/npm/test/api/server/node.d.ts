import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from '../errors.js';
import type { Principal } from './principal.js';
import type { RequestParts } from './protection.js';
import type { Protection } from './protection.js';
export declare function partsOf(request: IncomingMessage, target?: string): RequestParts;
