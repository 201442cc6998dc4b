import { HostFailed } from './errors.js';
import type { NativeDevice, NativeDiscovered, NativeEntry, NativeFlow, NativePrincipal, NativeSession } from './native.js';
export type Algorithm = 'ES256' | 'ES384' | 'ES512' | 'Ed25519' | 'EdDSA' | 'PS256' | 'PS384' | 'PS512' | 'RS256' | 'RS384' | 'RS512' | (string & {});
export type Protection = 'software' | 'os_store' | 'browser_non_extractable' | 'tee' | 'strong_box' | 'secure_enclave' | 'hsm' | 'remote_kms';
export type PublicJwk = Readonly<Record<string, string>>;
export interface CreatedKey {
    readonly publicJwk: PublicJwk;
    readonly algorithm: Algorithm;
    readonly protection: Protection;
    readonly shared?: boolean;
}
export interface Signing {
    readonly thumbprint: string;
    readonly for: 'proof' | 'client_assertion';
    readonly algorithm: Algorithm;
    readonly message: Uint8Array;
    readonly digest: Uint8Array | undefined;
}
export interface Signed {
    readonly bytes: Uint8Array;
    readonly encoding: 'raw' | 'der';
}
export interface HostRequest {
    readonly method: string;
    readonly url: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly body: 'empty' | 'bytes' | 'repeatable' | 'one_shot';
    readonly content: Uint8Array | undefined;
    readonly maxBody: number | undefined;
    readonly timeout: number | undefined;
}
export interface HostResponse {
    readonly status: number;
    readonly headers: Iterable<readonly [name: string, value: string]>;
    readonly body: Uint8Array;
}
export interface Stored {
    readonly version: number;
    readonly value: string;
}
export declare class KeyFault extends HostFailed {
    readonly fault: 'missing' | 'changed' | 'unreadable';
    constructor(fault: 'missing' | 'changed' | 'unreadable', message?: string, options?: ErrorOptions);
}
export declare class NotSent extends Error {
    constructor(cause: unknown);
}
export interface Store {
    createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey>;
    deleteKey(thumbprint: string): Promise<void>;
    sign(signing: Signing): Promise<Signed>;
    load(slot: string): Promise<Stored | undefined>;
    save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean>;
    lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void | Promise<void>>;
}
export interface Surroundings {
    fetch(request: HostRequest): Promise<HostResponse>;
    wait(seconds: number): Promise<void>;
    now(): number;
    ask?(question: 'keys' | 'token', subject: string): Promise<string | Uint8Array>;
    insert?(entry: NativeEntry): Promise<{
        readonly insertion: string;
        readonly epoch: string;
    }>;
    onFault?(fault: unknown): void;
}
export interface Host extends Store, Surroundings {
}
export interface Exchange {
    fetch(request: HostRequest): Promise<HostResponse>;
    readonly signal?: AbortSignal;
}
export type Result = Readonly<Record<string, unknown>> & {
    readonly kind: string;
};
export interface Finished {
    readonly result: Result;
    readonly discovered: NativeDiscovered | undefined;
    readonly session: NativeSession | undefined;
    readonly device: NativeDevice | undefined;
    readonly principal: NativePrincipal | undefined;
}
export declare function toByteString(bytes: Uint8Array): string;
export declare function fromByteString(text: string): Uint8Array;
export declare function drive(flow: NativeFlow, host: Host | Surroundings, exchange?: Exchange): Promise<Finished>;
