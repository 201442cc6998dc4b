import type { Refusal, RefusalReason } from '../errors.js';
import type { RequestParts } from './protection.js';
export interface RefusedRequest {
    readonly reason: RefusalReason;
    readonly status: number;
    readonly error: string | undefined;
    readonly method: string;
    readonly path: string;
    readonly route: string | undefined;
}
    #private;
    constructor(hook: ((refused: RefusedRequest) => void) | undefined, onFault: (fault: unknown) => void);
    tell({ method, target, route }: Pick<RequestParts, 'method' | 'target' | 'route'>, { reason, status, error }: Refusal, differed?: () => readonly string[]): void;
}
