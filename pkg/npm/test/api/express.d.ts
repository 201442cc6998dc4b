import type { IncomingMessage, ServerResponse } from 'node:http';
import { Principal } from './server/principal.js';
import { Protection } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';
declare global {
    namespace Express {
        interface Request {
            auth: Principal;
        }
    }
}
type Request = IncomingMessage & {
    originalUrl?: string;
    baseUrl?: string;
    route?: {
        path?: unknown;
    };
    auth?: Principal;
};
type Middleware = (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void;
export declare function protect(options: ProtectionOptions | Protection): Middleware;
export declare function metadata(protection: Protection): Middleware;
export declare function requireScopes(...scopes: string[]): Middleware;
