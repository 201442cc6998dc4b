// A protected application as the README writes it: everything is made when the module is loaded, before any request.

import { Hono } from 'hono';
import { Client, Key, MemoryStore, Verifier, build, explain, proof, ready } from 'keybound';
import { protect } from 'keybound/hono';

import { issuer, keys, resource } from './config.js';

// A store of the program's own: isolates at the edge take no other.
const used = new Set();
const store = { insert: ({ key }) => (used.has(key) ? 'seen' : used.add(key) && 'fresh') };
const verifier = new Verifier({ nonces: true, store });
const client = new Client({ level: 'enhanced', redirectUri: `${resource}/callback`, credentials: [{ issuer, clientId: 'app' }] }, new MemoryStore());

export const app = new Hono();
app.use('/items', protect({ resource, issuers: [{ issuer, keys }], store }));
app.get('/items', (c) => c.json({ hello: c.get('principal').subject, build: build() }));
app.get('/proof', async (c) => {
  await ready();
  const key = Key.generate();
  const request = { method: 'GET', url: `${resource}/a`, accessToken: 't' };
  const shown = { ...request, proof: await proof({ ...request, key, nonce: verifier.freshNonce() }), boundTo: key.thumbprint };
  const { algorithm } = await verifier.verify(shown);
  const replayed = await verifier.verify(shown).catch((error) => error.reason);
  // What a client first does without any server: it looks into its store.
  const session = await client.open('work').catch((error) => error.reason);
  return c.json([algorithm, replayed, (await explain({ ...shown, proof: 'none' })).accepted, session ?? null]);
});
app.onError((error, c) => c.text(`${error.name} ${error.reason}: ${error.message}\n${error.stack}`, 500));
