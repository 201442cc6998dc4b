import type { Finished } from '../drive.js';
import type { Refusal } from '../errors.js';
import type { NativeFlow, NativePrincipal } from '../native.js';
import { Intent } from './intent.js';
export declare class Principal {
    #private;
    readonly subject: string | undefined;
    readonly clientId: string | undefined;
    readonly issuer: string | undefined;
    readonly audience: readonly string[];
    readonly scopes: readonly string[];
    readonly expiresAt: number | undefined;
    readonly thumbprint: string | undefined;
    readonly claims: Readonly<Record<string, unknown>>;
    readonly authorizationDetails: readonly Readonly<Record<string, unknown>>[] | undefined;
    get headers(): readonly (readonly [name: string, value: string])[];
    requireScopes(...scopes: string[]): Refusal | undefined;
    refuseRevoked(): Refusal;
    intent(): Intent;
    carryOut(request: {
        readonly method: string;
        readonly url: string;
        readonly body: Uint8Array;
    }): Promise<Intent>;
    toJSON(): Record<string, unknown>;
}
