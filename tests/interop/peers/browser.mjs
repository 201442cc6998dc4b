// What a browser does for the clients beside this file: it follows redirects until one leads back to the client.
export async function visit(url, redirectUri) {
  for (let hops = 0; hops < 10; hops += 1) {
    const response = await fetch(url, { redirect: 'manual' });
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (!location) throw new Error(`${url} answered ${response.status} and led nowhere`);
    url = new URL(location, url);
    if (url.href.startsWith(redirectUri)) return url;
  }
  throw new Error('redirects without end');
}

export const REDIRECT_URI = 'http://127.0.0.1:7979/callback';

// Ends the program in a way that the test sees.
export function expect(condition, text) {
  if (!condition) throw new Error(`expected: ${text}`);
}
