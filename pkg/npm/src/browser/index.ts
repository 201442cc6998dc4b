// `keybound/browser`: a client whose key is a non-extractable `CryptoKey`, and whose `fetch` is used like `fetch`.

import { Client } from './client.js';
import type { ClientOptions } from './options.js';

/**
 * A client for the pages of one origin.
 *
 * ```js
 * import { createClient } from 'keybound/browser';
 *
 * const client = createClient({
 *   level: 'enhanced',
 *   resource: 'https://api.example.com',
 *   redirectUri: 'https://app.example.com/callback',
 *   register: { client_name: 'Notes' },
 *   scope: 'notes',
 * });
 * await client.handleRedirect();
 * if ((await client.open()).state !== 'active') await client.login();
 * const notes = await client.fetch('https://api.example.com/notes');
 * ```
 *
 * @throws Misuse for options that cannot be used
 */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

export { Client } from './client.js';
export type { Listener, LoginOptions, LogoutResult } from './client.js';
export type { ClientOptions, SecurityLevel } from './options.js';
export type { Advice, ChallengeAdvice } from '../advice.js';
export { KeyLost } from './session.js';
export type { ConfirmSubject } from './confirm.js';
export type { Need, SessionInfo, SessionState, Subject } from './session.js';
export { FlowFailed, HostFailed, KeyboundError, LoginRequired, Misuse } from '../errors.js';
export type { FlowReason, HostReason, MisuseReason, Reason } from '../errors.js';
