// Logins in a window of their own: for pages that must not be left, and where nothing outlives the page.

import { FlowFailed, misuse } from '../errors.js';

const NAME = 'keybound-login';
/** How often the window is looked at, in milliseconds: while another site is shown, nothing can be seen of it. */
const INTERVAL = 50;

/** A window in which somebody logs in. */
export interface Popup {
  /** Shows `url`, and waits for the browser to come back to `redirectUri`: resolves with the URL it came back with. */
  callback(url: string, redirectUri: string): Promise<string>;
  close(): void;
}

/** Opens an empty window. To be called in a user's click, else browsers block it. */
export function openPopup(): Popup {
  const opened = window.open('about:blank', NAME, 'popup,width=480,height=720');
  if (opened === null) throw misuse('popup_blocked', 'the browser blocked the window; call login in the handler of a click');
  return {
    callback: (url, redirectUri) => comeBack(opened, url, redirectUri),
    close: () => opened.close(),
  };
}

/** Whether this page is in such a window: the page that opened it completes the login. */
export function isPopup(): boolean {
  return window.name === NAME && window.opener !== null;
}

function comeBack(opened: Window, url: string, redirectUri: string): Promise<string> {
  opened.location.href = url;
  const place = redirectUri.split('?')[0] ?? redirectUri;
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const seen = hrefOf(opened);
      if (opened.closed) {
        clearInterval(timer);
        reject(new FlowFailed({ reason: 'login_abandoned', detail: 'the window was closed before the login was complete' }));
      } else if (seen !== null && seen.startsWith(`${place}?`)) {
        clearInterval(timer);
        resolve(seen);
      }
    }, INTERVAL);
  });
}

/** Where the window is; null while that is another origin's. */
function hrefOf(opened: Window): string | null {
  try {
    return opened.location.href;
  } catch {
    return null;
  }
}
