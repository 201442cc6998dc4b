/** What is asked of authorization servers over HTTPS, with bounds on time and length. */

/** The longest that one request may take, in milliseconds. */
const TIMEOUT = 5_000;

/** The body of what `url` answers with status 200, at most `limit` bytes: `https`, or `http` on loopback; redirects are not followed. */
export async function fetched(url: string, limit: number, init: RequestInit = {}): Promise<Uint8Array> {
  const { protocol, hostname } = new URL(url);
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  if (protocol !== 'https:' && !(protocol === 'http:' && loopback)) throw new Error(`${url} is not https`);
  const headers = { ...(init.headers as Record<string, string> | undefined), accept: 'application/json' };
  const response = await fetch(url, { ...init, headers, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT) });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`${url} answered with status ${response.status}`);
  }
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    length += part.value.length;
    if (length > limit) {
      await reader?.cancel();
      throw new Error(`${url} answered with more than ${limit} bytes`);
    }
    chunks.push(part.value);
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}
