import type { Source } from '../load/module.js';
import type { ConfirmSubject } from './confirm.js';
export type SecurityLevel = 'standard' | 'enhanced' | 'maximum';
export interface ClientOptions {
    readonly level: SecurityLevel;
    readonly resource?: string;
    readonly issuer?: string;
    readonly entraTenant?: string;
    readonly redirectUri: string;
    readonly clientId?: string;
    readonly metadataDocument?: string;
    readonly register?: Readonly<Record<string, unknown>>;
    readonly scope?: string;
    readonly offlineAccess?: boolean;
    readonly alsoOrigins?: readonly string[];
    readonly algorithms?: readonly string[];
    readonly allowLoopback?: boolean;
    readonly wasm?: {
        readonly client?: Source;
        readonly advice?: Source;
    };
    readonly session?: string;
    readonly confirmSubject?: ConfirmSubject;
    readonly withoutPushedRequest?: boolean;
    readonly withoutResource?: boolean;
    readonly scopeOnRefresh?: boolean;
    readonly database?: string;
    readonly dangerAssumePkce?: boolean;
    readonly dangerAssumeEndpoints?: boolean;
    readonly dangerAcceptBearer?: boolean;
}
export declare function coreOptions(options: ClientOptions): string;
export declare function sessionOptions(options: ClientOptions): object;
