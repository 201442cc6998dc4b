import { type Advice } from '../advice.js';
import { type ClientOptions } from './options.js';
import { type Need, type SessionInfo, type SessionState } from './session.js';
export interface LoginOptions {
    readonly scope?: string;
    readonly authorizationDetails?: readonly Readonly<Record<string, unknown>>[];
    readonly parameters?: Readonly<Record<string, string>>;
    readonly expectSubject?: string;
    readonly mode?: 'redirect' | 'popup';
}
export interface LogoutResult {
    readonly revoked: boolean;
    readonly error: unknown;
}
export type Listener = (state: SessionState) => void;
export declare class Client {
    #private;
    constructor(options: ClientOptions);
    get session(): SessionState;
    get storage(): 'indexeddb' | 'memory';
    get storageReason(): string | null;
    get locks(): 'web' | 'tab';
    onChange(listener: Listener): () => void;
    open(): Promise<SessionState>;
    login(options?: LoginOptions): Promise<SessionInfo>;
    handleRedirect(url?: string): Promise<SessionInfo | null>;
    readonly fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
    needs(response: Response): Need | null;
    explain(subject: Response | Error): Promise<Advice>;
    refresh(): Promise<SessionInfo>;
    logout(): Promise<LogoutResult>;
    close(): void;
}
