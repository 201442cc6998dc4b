// The page's word on whose login it is, before anything of the login is stored.

import { LoginRequired } from '../errors.js';
import type { Subject } from './session.js';

/** Says whether a login may be stored, by the account it came to. */
export type ConfirmSubject = (subject: Subject | undefined) => boolean | Promise<boolean>;

/**
 * Keeps a provisional session if the page confirms its account, and ends it otherwise.
 *
 * @param run runs an operation on the session
 * @throws LoginRequired with the reason `subject_mismatch`; what `confirm` throws
 */
export async function confirmed(subject: Subject | undefined, confirm: ConfirmSubject, run: (what: 'keep' | 'end') => Promise<unknown>): Promise<void> {
  let isConfirmed = false;
  try {
    isConfirmed = (await confirm(subject)) === true;
  } finally {
    // What counts is that it was not confirmed, not whether the server could be told so.
    if (!isConfirmed) await run('end').catch(() => undefined);
  }
  if (!isConfirmed) {
    throw new LoginRequired({ reason: 'subject_mismatch', detail: 'confirmSubject did not confirm the account; nothing was stored' });
  }
  await run('keep');
}
