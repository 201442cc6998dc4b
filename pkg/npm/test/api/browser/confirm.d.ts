import type { Subject } from './session.js';
export type ConfirmSubject = (subject: Subject | undefined) => boolean | Promise<boolean>;
export declare function confirmed(subject: Subject | undefined, confirm: ConfirmSubject, run: (what: 'keep' | 'end') => Promise<unknown>): Promise<void>;
