import type { Algorithm } from '../drive.js';
import type { Refusal } from '../errors.js';
import type { Policy } from '../policy.js';
import type { Cors, Counters, Limit, ServerOptions } from './options.js';
import type { Answer } from './fields.js';
import { IntrospectionEndpoint } from './introspection.js';
import type { Introspection } from './introspection.js';
import { FetchedKeys } from './keys.js';
import type { KeySource } from './keys.js';
import { Principal } from './principal.js';
import type { RefusedRequest } from './refused.js';
export type IssuerProfile = 'rfc9068' | 'keycloak' | 'auth0' | 'okta' | 'entra_id' | 'entra_id_v1' | 'duende' | 'cognito';
export interface Issuer {
    readonly issuer: string;
    readonly keys?: FetchedKeys | KeySource | {
        readonly keys: readonly object[];
    };
    readonly profile?: IssuerProfile;
}
export interface ProtectionOptions extends ServerOptions {
    readonly resource: string;
    readonly issuers?: readonly (string | Issuer)[];
    readonly introspection?: IntrospectionEndpoint | Introspection;
    readonly introspectionProfile?: IssuerProfile;
    readonly schemes?: 'dpop' | 'dpop_and_bearer' | 'bearer';
    readonly audiences?: readonly string[];
    readonly tokenAlgorithms?: readonly Algorithm[];
    readonly leeway?: number;
    readonly requireClientId?: boolean;
    readonly realm?: string;
    readonly challengeScope?: string;
    readonly scopes?: readonly string[];
    readonly name?: string;
    readonly documentation?: string;
    readonly intentsAt?: readonly string[];
    readonly origin?: string;
    readonly alsoOrigins?: readonly string[];
    readonly pathPrefix?: string;
    readonly mountPath?: string;
    readonly proxies?: {
        readonly addresses: readonly string[];
        readonly family: 'forwarded' | 'x_forwarded' | 'x_forwarded_with_port';
        readonly hops?: number;
        readonly clientAddresses?: boolean;
    };
    readonly limitClients?: Limit;
    readonly cors?: Cors;
    readonly onRefused?: (refused: RefusedRequest) => void;
    readonly proofs?: Policy;
}
export interface RequestParts {
    readonly method: string;
    readonly target: string;
    readonly path?: string | undefined;
    readonly fields: readonly string[];
    readonly peer?: string | undefined;
    readonly certificate?: Uint8Array | undefined;
    readonly route?: string | undefined;
}
export type Decision = {
    readonly verdict: 'granted';
    readonly principal: Principal;
} | {
    readonly verdict: 'refused';
    readonly refusal: Refusal;
};
export type Checked = 
{
    readonly verdict: 'unconsumed';
    readonly thumbprint: string | undefined;
} | {
    readonly verdict: 'refused';
    readonly refusal: Refusal;
};
export declare class Protection {
    #private;
    constructor(options: ProtectionOptions);
    authenticate(request: RequestParts): Promise<Decision>;
    check(request: RequestParts): Promise<Checked>;
    counters(): Counters;
    get metadata(): Readonly<Record<string, unknown>>;
    get metadataPath(): string;
            readonly answer: Answer;
    } | {
        readonly principal: Principal;
    }>;
    }
export declare function protect(options: ProtectionOptions): Protection;
