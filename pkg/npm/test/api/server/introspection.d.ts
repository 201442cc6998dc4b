export interface Introspection {
    introspect(token: string): Promise<string | Uint8Array>;
}
export declare class IntrospectionEndpoint implements Introspection {
    #private;
    constructor(url: string, clientId: string, secret: string);
    introspect(token: string): Promise<Uint8Array>;
}
    #private;
    constructor(source: Introspection, onFault: (fault: unknown) => void);
    answer(token: string, now: number): Promise<Uint8Array | undefined>;
}
