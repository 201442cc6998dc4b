import { Client as Base } from './client.js';
import { Loopback } from './loopback.js';
import type { Session, SessionRequest } from './oauth.js';
export declare class Client extends Base {
    login(request: SessionRequest, loopback: Loopback, browser: (url: string) => void | Promise<void>, options?: {
        readonly signal?: AbortSignal;
    }): Promise<Session>;
}
