import type { NativeAdmission } from '../native.js';
import type { Policy } from '../policy.js';
import type { Insertion, ReplayEntry } from '../replay.js';
export interface AuthorizationServerOptions extends Omit<Policy, 'headerMemory'> {
    readonly noncesForPublicClients?: boolean;
    readonly unboundAccessTokens?: boolean;
}
export type Grant = {
    readonly type: 'authorization_code' | 'device_code' | 'refresh_token';
    readonly boundTo?: string;
} | {
    readonly type: 'client_credentials';
}
 | {
    readonly type: 'derived';
    readonly confirmed?: readonly string[];
    readonly mayRebind?: boolean;
}
 | {
    readonly type: 'announcement';
    readonly form: string;
};
export interface EndpointRequest {
    readonly method: string;
    readonly url: string;
    readonly proofs: readonly string[];
    readonly client: 'public' | 'confidential';
    readonly grant: Grant;
    readonly mustBind?: boolean;
    readonly now?: number;
}
export interface Admitted {
    readonly accessBinding: string | undefined;
    readonly refreshBinding: string | undefined;
    readonly announced: string | undefined;
    readonly tokenType: 'DPoP' | 'Bearer';
    readonly nextNonce: string | undefined;
}
export declare class AuthorizationServer {
    #private;
    constructor(options?: AuthorizationServerOptions, epoch?: string);
    check(request: EndpointRequest): Admission;
    freshNonce(now?: number): string | undefined;
    metadata(issuer: string): Record<string, unknown>;
}
export declare class Admission {
    #private;
    get entry(): ReplayEntry | undefined;
    settle(insertion: Insertion, now?: number): void;
    admitted(): Admitted;
}
