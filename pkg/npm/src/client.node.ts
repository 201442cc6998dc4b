/** The OAuth client on Node: with a login by the user's own browser. */

import { Client as Base } from './client.js';
import { Loopback } from './loopback.js';
import type { Session, SessionRequest } from './oauth.js';

/** An OAuth 2.1 client with DPoP: logs in, keeps sessions in a store, and sends requests with their tokens. */
export class Client extends Base {
  /**
   * Logs in with the user's browser: `browser` is given the URL to open, and the answer is received on loopback. The client's
   * `redirectUri` is that of `loopback`.
   */
  async login(
    request: SessionRequest,
    loopback: Loopback,
    browser: (url: string) => void | Promise<void>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Session> {
    try {
      const authorization = await this.authorize(request);
      const back = loopback.wait(authorization, options.signal);
      await Promise.race([Promise.all([browser(authorization.url), back]), back]);
      return await this.exchange(await back);
    } finally {
      loopback.close();
    }
  }
}
