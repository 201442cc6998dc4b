import type { MiddlewareHandler } from 'hono';
import { Principal } from './server/principal.js';
import { Protection } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';
declare module 'hono' {
    interface ContextVariableMap {
        principal: Principal;
    }
}
export interface Variables {
    principal: Principal;
}
export declare function protect(options: ProtectionOptions | Protection): MiddlewareHandler;
export declare function metadata(protection: Protection): MiddlewareHandler;
export declare function requireScopes(...scopes: string[]): MiddlewareHandler;
