import type { Algorithm, Protection, PublicJwk, Signed } from './drive.js';
import type { NativeKey } from './native.js';
export interface CryptoKeyLike {
    readonly type: string;
    readonly extractable: boolean;
    readonly algorithm: object;
    readonly usages: readonly string[];
}
export interface Signer {
    readonly algorithm: Algorithm;
    readonly publicJwk: PublicJwk;
    readonly protection?: Protection;
    sign(message: Uint8Array, digest: Uint8Array | undefined): Promise<Signed>;
}
interface KeyObjectLike {
    readonly type: string;
    export(options: {
        format: 'jwk';
    }): unknown;
}
export declare class Key {
    #private;
    private constructor();
    static generate(algorithm?: Algorithm): Key;
    static fromJwk(jwk: object | string, algorithm?: Algorithm): Key;
    static fromPem(pem: string | Uint8Array, algorithm?: Algorithm): Key;
    static fromDer(der: Uint8Array, algorithm?: Algorithm): Key;
    static fromKeyObject(key: KeyObjectLike, algorithm?: Algorithm): Key;
    static fromCryptoKey(key: CryptoKeyLike, algorithm?: Algorithm): Promise<Key>;
    get algorithm(): Algorithm;
    get publicJwk(): PublicJwk;
    get thumbprint(): string;
    sign(message: Uint8Array): Uint8Array;
    dangerPrivateJwk(): Record<string, string>;
    dangerPrivatePem(): string;
    toJSON(): PublicJwk;
    }
export declare function thumbprint(jwk: object | string): string;
export interface CryptoKeyPairLike {
    readonly privateKey: CryptoKeyLike;
    readonly publicKey: CryptoKeyLike;
}
export interface PrivateJwk {
    readonly kty: string;
    readonly [member: string]: unknown;
}
export declare function webCryptoSigner(pair: CryptoKeyPairLike): Promise<Signer>;
export {};
