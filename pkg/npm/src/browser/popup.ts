// Logins in a separate window: for pages that must not be left, and where nothing outlives the page.

import { FlowFailed, misuse } from '../errors.js';

const NAME = 'keybound-login-';
/** How often the window is looked at, in milliseconds: while another site is shown, nothing can be seen of it. */
const INTERVAL = 50;

/** Where to send the window: the authorization request and its `state`. */
export interface Destination {
  readonly url: string;
  readonly state: string;
}

/** A window in which a user logs in. */
export interface Popup {
  /** Shows the login page, and waits for the browser to come back to the redirect URI: resolves with the URL it came back with. */
  callback(to: Destination): Promise<string>;
  close(): void;
}

/**
 * Opens an empty window. Call it in a user's click, or browsers block it.
 *
 * @throws Misuse where the window is blocked, or could never be read: pages of another origin show nothing
 */
export function openPopup(redirectUri: string): Popup {
  if (new URL(redirectUri).origin !== location.origin) {
    throw misuse('redirect_uri_origin', `a popup can only be read at this page's origin: name a redirectUri at ${location.origin}`);
  }
  const opened = window.open('about:blank', '_blank', 'popup,width=480,height=720');
  if (opened === null) throw misuse('popup_blocked', 'the browser blocked the window; call login in the handler of a click');
  // While the window is still this page's own: whatever is shown in it later must not be able to navigate this page.
  opened.opener = null;
  return {
    callback: (to) => comeBack(opened, to, redirectUri),
    close: () => opened.close(),
  };
}

/** Whether this page is the window of the login that `url` answers: the page that opened it completes the login. */
export async function isPopup(url: string): Promise<boolean> {
  return window.name === (await nameFor(new URL(url).searchParams.get('state') ?? ''));
}

/**
 * The window's name says which login it is for. The `state` is new for each login and unknown to other sites, so that a window that
 * one of them opened and named is never taken for a popup. Its hash, because every page shown in the window can read the name.
 */
async function nameFor(state: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(state));
  return NAME + Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function comeBack(opened: Window, { url, state }: Destination, redirectUri: string): Promise<string> {
  opened.name = await nameFor(state);
  opened.location.href = url;
  const wanted = new URL(redirectUri);
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const seen = urlOf(opened);
      if (opened.closed) {
        clearInterval(timer);
        reject(new FlowFailed({ reason: 'login_abandoned', detail: 'the window was closed before the login was complete' }));
      } else if (seen !== null && seen.origin === wanted.origin && seen.pathname === wanted.pathname && seen.search !== wanted.search) {
        clearInterval(timer);
        resolve(seen.href);
      }
    }, INTERVAL);
  });
}

/** Where the window is; null while that is another origin's. */
function urlOf(opened: Window): URL | null {
  try {
    return new URL(opened.location.href);
  } catch {
    return null;
  }
}
