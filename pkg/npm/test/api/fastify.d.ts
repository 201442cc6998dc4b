import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Principal } from './server/principal.js';
import { Protection } from './server/protection.js';
import type { ProtectionOptions } from './server/protection.js';
export { Principal } from './server/principal.js';
export { Protection } from './server/protection.js';
export type { ProtectionOptions } from './server/protection.js';
declare module 'fastify' {
    interface FastifyRequest {
        auth: Principal;
    }
}
export declare function keybound(app: FastifyInstance, options: ProtectionOptions | {
    readonly protection: Protection;
}): Promise<void>;
export default keybound;
export declare function metadata(app: FastifyInstance, { protection }: {
    readonly protection: Protection;
}): Promise<void>;
export declare function requireScopes(...scopes: string[]): (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
