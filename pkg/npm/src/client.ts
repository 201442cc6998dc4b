/** The OAuth client of servers, command lines and workers, with every grant there is. */

import { flows } from '#native';
import type { Store } from './drive.js';
import type { Settings } from './http.js';
import { OAuthClient } from './oauth.js';
import type { ClientOptions } from './oauth.js';

/** An OAuth 2.1 client with DPoP: logs in, keeps sessions in a store, and sends requests with their tokens. */
export class Client extends OAuthClient {
  /** @throws Misuse for options that cannot be used; elsewhere than on Node by the first operation */
  constructor(options: ClientOptions, store: Store, settings?: Settings) {
    super(flows(), options, store, settings);
  }
}
