import type { Refusal } from '../errors.js';
import type { Principal } from './principal.js';
import type { RequestParts } from './protection.js';
import type { Protection } from './protection.js';
export interface NodeRequest {
    readonly method?: string | undefined;
    readonly url?: string | undefined;
    readonly rawHeaders: readonly string[];
    readonly socket: {
        readonly remoteAddress?: string | undefined;
    };
}
export interface NodeResponse {
    statusCode: number;
    setHeader(name: string, value: string): unknown;
    appendHeader(name: string, value: string): unknown;
    end(body: string): unknown;
}
export declare function partsOf(request: NodeRequest, target?: string, path?: string, route?: string | undefined): RequestParts;
