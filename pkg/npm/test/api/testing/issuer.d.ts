import type { Principal } from '../server/principal.js';
import type { ProtectionOptions } from '../server/protection.js';
import { TestClient } from './client.js';
import { TestClock } from './clock.js';
export interface TestToken {
    readonly subject: string;
    readonly clientId?: string;
    readonly scopes?: readonly string[];
    readonly lifetime?: number;
    readonly audience?: string;
    readonly boundTo?: string;
    readonly claims?: Readonly<Record<string, unknown>>;
}
export declare class TestIssuer {
    #private;
    readonly name: string;
    readonly resource: string;
    readonly clock: TestClock;
    private constructor();
    static forResource(resource: string, options?: {
        readonly name?: string;
        readonly clock?: TestClock;
    }): TestIssuer;
    get jwks(): {
        readonly keys: readonly object[];
    };
    get metadata(): Readonly<Record<string, unknown>>;
    trustedBy<O extends Omit<ProtectionOptions, 'resource'> & {
        readonly resource?: string;
    }>(options?: O): O & ProtectionOptions;
    token(token: TestToken): string;
    client(token: TestToken): TestClient;
    principal(token: TestToken): Promise<Principal>;
}
