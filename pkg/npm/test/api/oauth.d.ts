import type { Algorithm, Host, Protection, PublicJwk, Store } from './drive.js';
import type { Settings } from './http.js';
import type { NativeClientParts } from './native.js';
import { Discovered, Session, type Level } from './session.js';
export { Discovered, Session, type Level, type Subject } from './session.js';
export interface Credentials {
    readonly issuer: string;
    readonly clientId: string;
    readonly method?: 'none' | 'secret' | 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt';
    readonly secret?: string;
    readonly publicJwk?: Readonly<Record<string, unknown>>;
    readonly algorithm?: Algorithm;
    readonly keyId?: string;
}
export interface ClientOptions {
    readonly level: Level;
    readonly redirectUri?: string;
    readonly credentials?: readonly Credentials[];
    readonly metadataDocument?: string;
    readonly register?: Readonly<Record<string, unknown>>;
    readonly acceptIssuers?: readonly string[];
    readonly entraTenant?: string;
    readonly servers?: readonly Readonly<Record<string, unknown>>[];
    readonly alsoOrigins?: readonly string[];
    readonly algorithms?: readonly Algorithm[];
    readonly hardwareKeys?: boolean;
    readonly allowLoopback?: boolean;
    readonly pushWithProof?: boolean;
    readonly dangerAssumePkce?: boolean;
    readonly dangerAssumeEndpoints?: boolean;
    readonly dangerAcceptBearer?: boolean;
}
export interface SessionRequest {
    readonly session?: string;
    readonly discovered?: Discovered;
    readonly again?: Session;
    readonly scope?: string;
    readonly resource?: string;
    readonly level?: Level;
    readonly authorizationDetails?: readonly Readonly<Record<string, unknown>>[];
    readonly intent?: readonly Readonly<Record<string, unknown>>[];
    readonly intentLifetime?: number;
    readonly offlineAccess?: boolean;
    readonly parameters?: Readonly<Record<string, string>>;
    readonly expectSubject?: string;
    readonly provisional?: boolean;
    readonly withoutPushedRequest?: boolean;
    readonly withoutResource?: boolean;
    readonly scopeOnRefresh?: boolean;
    readonly dangerAssumePkce?: boolean;
}
export interface TokenExchange {
    readonly subjectToken: string;
    readonly subjectTokenType: string;
    readonly actorToken?: string;
    readonly actorTokenType?: string;
    readonly requestedTokenType?: string;
    readonly audience?: string;
}
export interface HeldToken {
    readonly session: string;
    readonly token: string;
    readonly resource: string;
    readonly publicJwk: PublicJwk;
    readonly algorithm: Algorithm;
    readonly protection?: Protection;
    readonly expiresAt?: number;
}
export interface Authorization {
    readonly url: string;
    readonly state: string;
    readonly expiresAt: number;
    readonly pushed: boolean;
}
export interface DevicePrompt {
    readonly userCode: string;
    readonly verificationUri: string;
    readonly verificationUriComplete?: string;
    readonly expiresAt: number;
}
export interface IssuedToken {
    readonly token: string;
    readonly tokenType: string;
    readonly expiresAt?: number;
}
export type Demand = {
    readonly do: 'login';
} | {
    readonly do: 'step_up';
    readonly scope: string;
};
export declare function demandOf(response: Response): Demand | undefined;
export declare function ignoredChallengeOf(response: Response): string | undefined;
export declare class OAuthClient {
    #private;
    constructor(native: NativeClientParts | (() => Promise<NativeClientParts>), options: ClientOptions, store: Store, settings?: Settings);
    discover(url: string, issuer?: string): Promise<Discovered>;
    discoverIssuer(issuer: string): Promise<Discovered>;
    authorize(request: SessionRequest): Promise<Authorization>;
    stepUp(session: Session, scope: string): Promise<Authorization>;
    exchange(callback: string): Promise<Session>;
    device(request: SessionRequest, show: (prompt: DevicePrompt) => void): Promise<Session>;
    clientCredentials(request: SessionRequest): Promise<Session>;
    tokenExchange(request: SessionRequest, exchange: TokenExchange): Promise<Session>;
    exchangeFor(request: SessionRequest, exchange: TokenExchange): Promise<IssuedToken>;
    jwtBearer(request: SessionRequest, assertion: string): Promise<Session>;
    open(name: string, boundTo?: string): Promise<Session>;
    adopt(token: HeldToken): Promise<Session>;
    keep(session: Session): Promise<void>;
    refresh(session: Session): Promise<void>;
    rekey(session: Session): Promise<void>;
    revoke(session: Session): Promise<void>;
    end(session: Session): Promise<boolean>;
    introspect(discovered: Discovered, token: string): Promise<Record<string, unknown>>;
    fetch(session: Session): typeof globalThis.fetch;
}
