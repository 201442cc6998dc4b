import { Key } from './key.js';
import type { CryptoKeyPairLike, PrivateJwk, Signer } from './key.js';
export interface ProofRequest {
    readonly method: string;
    readonly url: string | URL;
    readonly accessToken?: string | undefined;
    readonly nonce?: string | undefined;
    readonly now?: number | undefined;
}
export declare function proof(request: ProofRequest & {
    readonly key: Key | Signer | CryptoKeyPairLike | PrivateJwk;
}): Promise<string>;
export declare function proofSync(request: ProofRequest & {
    readonly key: Key;
}): string;
export type Role = 'resource' | 'token';
export declare class NonceCache {
    #private;
    observe(response: {
        readonly headers: Headers;
    }, at: {
        readonly origin: string;
        readonly role: Role;
        readonly thumbprint: string;
    }): void;
    get(at: {
        readonly origin: string;
        readonly role: Role;
        readonly thumbprint: string;
    }): string | undefined;
}
