import type { Refusal } from '../errors.js';
import type { Policy } from '../policy.js';
import type { Counters, ServerOptions } from './options.js';
export interface AuthorizationServerOptions extends ServerOptions {
    readonly proofs?: Policy;
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
    readonly peer?: string | undefined;
}
export interface Admitted {
    readonly accessBinding: string | undefined;
    readonly refreshBinding: string | undefined;
    readonly announced: string | undefined;
    readonly tokenType: 'DPoP' | 'Bearer';
    readonly nextNonce: string | undefined;
}
export type EndpointDecision = {
    readonly verdict: 'granted';
    readonly admitted: Admitted;
} | {
    readonly verdict: 'refused';
    readonly refusal: Refusal;
};
export declare class AuthorizationServer {
    #private;
    constructor(options?: AuthorizationServerOptions);
    admit(request: EndpointRequest): Promise<EndpointDecision>;
    counters(): Counters;
    freshNonce(): string | undefined;
    metadata(issuer: string): Record<string, unknown>;
}
