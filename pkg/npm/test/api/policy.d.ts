import type { Algorithm } from './drive.js';
export interface NonceOptions {
    readonly keys?: readonly {
        readonly id: number;
        readonly secret: string;
    }[];
    readonly namespace?: string;
    readonly boundToKey?: boolean;
    readonly short?: boolean;
}
export interface Policy {
    readonly preset?: 'default' | 'fapi2' | 'mcp' | 'atproto' | 'haip';
    readonly algorithms?: readonly Algorithm[];
    readonly maxAge?: number;
    readonly maxAhead?: number;
    readonly storeMargin?: number;
    readonly requireNonces?: boolean;
    readonly nonceReplacesIat?: boolean;
    readonly bareHtu?: boolean;
    readonly namespace?: string;
    readonly nonces?: boolean | NonceOptions;
    readonly headerMemory?: number;
}
    readonly verifier: string;
    readonly terms: string;
};
