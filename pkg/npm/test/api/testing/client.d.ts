import { Key } from '../key.js';
import type { TestIssuer } from './issuer.js';
export type FetchHandler = ((request: Request) => Response | Promise<Response>) | {
    fetch(request: Request, ...more: never[]): Response | Promise<Response>;
};
export interface SupertestRequest<R> extends PromiseLike<R> {
    readonly method: string;
    readonly url: string;
    set(name: string, value: string): unknown;
    on(event: 'response', listener: (response: R) => void): unknown;
}
export interface Injected<R> {
    inject(options: {
        method: never;
        url: string;
        headers: Record<string, string>;
    }): PromiseLike<R>;
}
export declare class TestClient {
    #private;
    readonly token: string;
    constructor(issuer: Pick<TestIssuer, 'resource' | 'clock'>, key: Key, token: string);
    get thumbprint(): string;
    thief(): TestClient;
    sign({ method, url }: {
        readonly method?: string;
        readonly url: string;
    }): {
        authorization: string;
        dpop: string;
    };
    observe(status: number, headers: Headers | Readonly<Record<string, unknown>>): boolean;
    fetch(handler: FetchHandler, input: string | URL, init?: RequestInit): Promise<Response>;
    inject<R extends {
        readonly statusCode: number;
        readonly headers: object;
    }>(app: Injected<R>, options: string | {
        readonly method?: string;
        readonly url: string;
        readonly headers?: Readonly<Record<string, string>>;
        readonly payload?: unknown;
    }): Promise<R>;
    supertest<R extends {
        readonly status: number;
        readonly headers: object;
    }>(make: () => SupertestRequest<R>): Promise<R>;
}
