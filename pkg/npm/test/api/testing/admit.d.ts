import { Protection } from '../server/protection.js';
import type { Principal } from '../server/principal.js';
export declare function dangerAdmit(principal: Principal): Protection;
