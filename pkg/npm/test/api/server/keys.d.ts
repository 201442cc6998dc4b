export interface KeySource {
    fetch(): Promise<string | Uint8Array>;
}
export declare class FetchedKeys {
            readonly issuer: string;
    } | {
        readonly url: string;
    };
    private constructor();
    static ofIssuer(issuer: string): FetchedKeys;
    static at(url: string): FetchedKeys;
}
