import type { Authorization } from './oauth.js';
export declare class Loopback {
    #private;
    private constructor();
    static listen(port?: number): Promise<Loopback>;
    get redirectUri(): string;
    wait(authorization: Authorization, signal?: AbortSignal): Promise<string>;
    close(): void;
}
