import type { Algorithm } from './drive.js';
import { KeyboundError } from './errors.js';
import type { Refusal } from './errors.js';
import type { NativePending } from './native.js';
import type { Policy } from './policy.js';
import type { Role } from './proof.js';
import type { Check, Rejection } from './reasons.js';
import type { Inserted, Insertion, ReplayEntry, ReplayStore } from './replay.js';
import { MemoryReplayStore } from './replay.js';
export interface PresentedProof {
    readonly method: string;
    readonly url: string | URL;
    readonly proof: string | readonly string[] | null | undefined;
    readonly expectedNonce?: string | undefined;
    readonly now?: number | undefined;
}
export interface PresentedAtResource extends PresentedProof {
    readonly accessToken: string;
    readonly boundTo: string;
    readonly atAuthorizationServer?: false | undefined;
}
export interface PresentedAtAuthorizationServer extends PresentedProof {
    readonly atAuthorizationServer: true;
    readonly boundTo?: string | undefined;
    readonly accessToken?: undefined;
}
export type Presented = PresentedAtResource | PresentedAtAuthorizationServer;
export interface ProofToExplain extends PresentedProof {
    readonly accessToken?: string | undefined;
    readonly boundTo?: string | undefined;
    readonly atAuthorizationServer?: boolean | undefined;
}
export interface Verified {
    readonly thumbprint: string;
    readonly algorithm: Algorithm;
    readonly issuedAt: number;
    readonly nextNonce: string | undefined;
}
export interface Explanation {
    readonly accepted: boolean;
    readonly reason: Rejection | null;
    readonly section: string | null;
    readonly checks: readonly {
        readonly check: Check;
        readonly outcome: 'passed' | 'failed' | 'not_judged';
        readonly reason?: Rejection;
        readonly section?: string;
        readonly because?: Check;
        readonly expected?: string;
        readonly found?: string;
        readonly cause?: string;
        readonly fix?: string;
        readonly note?: string;
    }[];
}
export interface VerifierOptions extends Policy {
    readonly store?: ReplayStore;
    readonly now?: () => number;
}
export declare class PendingProof {
    #private;
    get entry(): ReplayEntry;
    settle(answer: Insertion | Inserted, now?: number): Verified;
    dangerSkipReplayCheck(): Verified;
}
export declare class Verifier {
    #private;
    constructor(options?: VerifierOptions);
    check(presented: Presented): PendingProof;
    verify(presented: Presented): Promise<Verified>;
    verifySync(presented: Presented): Verified;
    verifyMany(all: readonly Presented[], now?: number): Promise<(Verified | KeyboundError)[]>;
    explain(presented: ProofToExplain): Promise<Explanation>;
    refuse(reason: Rejection, presented: Presented): Refusal;
    freshNonce(role?: Role, now?: number): string | undefined;
    get algorithms(): readonly Algorithm[];
}
export declare function verify(presented: Presented & {
    readonly store: ReplayStore;
    readonly policy?: Policy;
}): Promise<Verified>;
export declare function verifySync(presented: Presented & {
    readonly store: MemoryReplayStore;
    readonly policy?: Policy;
}): Verified;
export declare function verifyMany(all: readonly Presented[], options: {
    readonly store: ReplayStore;
    readonly policy?: Policy;
    readonly now?: number;
}): Promise<(Verified | KeyboundError)[]>;
export declare function explain(presented: ProofToExplain & {
    readonly store?: ReplayStore;
    readonly policy?: Policy;
}): Promise<Explanation>;
