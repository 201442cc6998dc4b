/** The OAuth client of servers, command lines and workers: over the full build of the core. */

import { native } from '#native';
import type { Store } from './drive.js';
import type { Settings } from './http.js';
import { OAuthClient } from './oauth.js';
import type { ClientOptions } from './oauth.js';

/**
 * An OAuth 2.1 client with DPoP: logs in, keeps sessions in a store, and sends requests with their tokens.
 *
 * Elsewhere than on Node, `await ready()` before one is made.
 */
export class Client extends OAuthClient {
  /** @throws Misuse for options that cannot be used */
  constructor(options: ClientOptions, store: Store, settings?: Settings) {
    super(native(), options, store, settings);
  }
}
