export interface Introspection {
    introspect(token: string): Promise<string | Uint8Array>;
}
export interface IntrospectionOptions {
    readonly authentication?: 'client_secret_basic' | 'client_secret_post';
    readonly rememberedFor?: number;
}
export declare class IntrospectionEndpoint {
    #private;
    constructor(url: string, clientId: string, secret: string, options?: IntrospectionOptions);
    }
