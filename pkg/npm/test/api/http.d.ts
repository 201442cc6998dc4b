import { type Exchange, type Host, type HostRequest, type HostResponse, type Store, type Surroundings } from './drive.js';
export interface Settings {
    readonly fetch?: typeof globalThis.fetch;
    readonly now?: () => number;
    readonly timeout?: number;
}
export declare function systemNow(): number;
export declare function surroundings(settings: Settings, more?: RequestInit): Surroundings;
export declare function hostOf(store: Store, settings: Settings): Host;
export declare class FetchExchange implements Exchange {
    #private;
    response: Response | undefined;
    private constructor();
    static of(input: RequestInfo | URL, init: RequestInit | undefined, send?: typeof globalThis.fetch): Promise<FetchExchange>;
    operation(): Record<string, unknown>;
    throwIfAborted(): void;
    get signal(): AbortSignal;
    unlessAborted<T>(work: () => Promise<T>): Promise<T>;
    fetch(wanted: HostRequest): Promise<HostResponse>;
}
