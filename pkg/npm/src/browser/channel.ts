// Tells other tabs that something stored has changed, and nothing else: no token, no nonce, no name.

const CHANGED = 'changed';

/** A line to the other tabs of this origin; silent where there is no BroadcastChannel. */
export class Channel {
  readonly #channel: BroadcastChannel | null;

  constructor(database: string, onChange: () => void) {
    this.#channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(`keybound:${database}`);
    if (this.#channel !== null) {
      this.#channel.onmessage = (event: MessageEvent<unknown>) => {
        if (event.data === CHANGED) onChange();
      };
    }
  }

  announce(): void {
    this.#channel?.postMessage(CHANGED);
  }

  close(): void {
    this.#channel?.close();
  }
}
