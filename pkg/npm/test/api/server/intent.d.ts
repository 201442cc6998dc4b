import type { NativeIntent } from '../native.js';
type Detail = Readonly<Record<string, unknown>>;
export declare class Intent {
    #private;
    private constructor();
    static declare(details: readonly Detail[], key: string, lifetime: number, now?: number): Intent;
    grant(granted: readonly Detail[], now?: number): Intent;
    permits(request: {
        readonly method: string;
        readonly url: string;
        readonly body: Uint8Array;
    }, key: string, now?: number): void;
    get details(): readonly Detail[];
    get key(): string;
    get expiresAt(): number;
    }
export declare function requestDetail(method: string, url: string, body?: Uint8Array): Detail;
export {};
