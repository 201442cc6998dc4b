import { LoginRequired, type FlowReason } from '../errors.js';
export interface Subject {
    readonly issuer: string;
    readonly sub: string;
}
export interface SessionInfo {
    readonly name: string;
    readonly level: 'standard' | 'enhanced' | 'maximum';
    readonly issuer: string;
    readonly subject: Subject | undefined;
    readonly resource: string | undefined;
    readonly scope: string | undefined;
    readonly authorizationDetails: unknown;
    readonly expiresAt: number | undefined;
    readonly bound: boolean;
    readonly thumbprint: string | undefined;
}
export type SessionState = 
{
    readonly state: 'opening';
}
 | {
    readonly state: 'none';
} | {
    readonly state: 'active';
    readonly session: SessionInfo;
}
 | {
    readonly state: 'login_required';
    readonly reason: FlowReason;
};
export declare class KeyLost extends LoginRequired {
}
export type Need = 
{
    readonly need: 'login';
}
 | {
    readonly need: 'scope';
    readonly scope: string;
};
export declare function sessionInfo(json: string): {
    readonly info: SessionInfo;
    readonly ended: boolean;
};
export declare function keyLost(error: unknown): unknown;
