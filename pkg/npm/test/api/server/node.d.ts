import type { Answer, Fields } from './fields.js';
import type { RequestParts } from './protection.js';
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
    getHeader(name: string): unknown;
    setHeader(name: string, value: string): unknown;
    writeHead(status: number, ...rest: unknown[]): unknown;
    end(body: string): unknown;
}
export declare function partsOf(request: NodeRequest, target?: string, path?: string, route?: string | undefined): RequestParts;
