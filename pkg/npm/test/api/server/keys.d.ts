import type { NativeAccess, NativeJwkSet } from '../native.js';
export interface KeySource {
    fetch(): Promise<string | Uint8Array>;
}
export declare class FetchedKeys implements KeySource {
    #private;
    private constructor();
    static ofIssuer(issuer: string): FetchedKeys;
    static at(url: string): FetchedKeys;
    fetch(): Promise<Uint8Array>;
}
    #private;
    constructor(source: KeySource | object, onFault: (fault: unknown) => void);
    answer(access: NativeAccess, now: number): Promise<NativeJwkSet | undefined>;
}
