import type { Finished } from './drive.js';
import type { NativeDiscovered, NativeSession } from './native.js';
export type Level = 'standard' | 'enhanced' | 'maximum';
export interface Subject {
    readonly issuer: string;
    readonly sub: string;
}
export declare class Discovered {
    readonly issuer: string;
    readonly resource: string | undefined;
    readonly challengedScope: string | undefined;
        }
export declare class Session {
    #private;
            get name(): string;
    get level(): Level;
    get issuer(): string;
    get subject(): Subject | undefined;
    get resource(): string | undefined;
    get scope(): string | undefined;
    get authorizationDetails(): readonly Record<string, unknown>[] | undefined;
    get expiresAt(): number | undefined;
    get bound(): boolean;
    get thumbprint(): string | undefined;
    get ended(): boolean;
    member(name: string): string | undefined;
    dangerAccessToken(): string | undefined;
    toJSON(): Record<string, unknown>;
}
