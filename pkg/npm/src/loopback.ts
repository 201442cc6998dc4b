/** The browser's return to a program on the user's machine (RFC 8252 section 7.3). */

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Authorization } from './oauth.js';

/** The path of the redirect URI. */
const PATH = '/callback';

/** A listener on a free port of 127.0.0.1 that receives one authorization response. */
export class Loopback {
  readonly #server: Server;
  readonly #origin: string;

  private constructor(server: Server) {
    this.#server = server;
    this.#origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Takes a free port, or the given one, for servers that compare the whole redirect URI. */
  static async listen(port = 0): Promise<Loopback> {
    const server = createServer({ maxHeaderSize: 16 * 1024 });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    return new Loopback(server);
  }

  /** The redirect URI to configure the client with. */
  get redirectUri(): string {
    return this.#origin + PATH;
  }

  /**
   * Waits for the browser and gives the URL it came to, for at most as long as the login is good. Requests for anything else, and
   * responses with another `state`, are answered and passed over. Closes the listener.
   */
  async wait(authorization: Authorization, signal?: AbortSignal): Promise<string> {
    let late: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        const milliseconds = Math.max(0, authorization.expiresAt * 1000 - Date.now());
        late = setTimeout(() => reject(new Error('nobody came back from the browser in time')), milliseconds);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        if (signal?.aborted === true) reject(signal.reason as Error);
        this.#server.on('request', (request, response) => {
          const target = request.url ?? '';
          const query = target.startsWith(`${PATH}?`) ? target.slice(PATH.length + 1) : '';
          const ours = request.method === 'GET' && query.split('&').includes(`state=${authorization.state}`);
          response.writeHead(ours ? 200 : 404, {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy': "default-src 'none'",
            'referrer-policy': 'no-referrer',
            'cache-control': 'no-store',
            connection: 'close',
          });
          const text = ours ? 'You can close this window and go back to the program.' : 'This is not the page that a login comes back to.';
          response.end(`<!doctype html><meta charset=utf-8><title>Keybound</title><p>${text}</p>`);
          if (ours) response.once('close', () => resolve(this.#origin + target));
        });
      });
    } finally {
      clearTimeout(late);
      this.close();
    }
  }

  /** Gives the port back. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
