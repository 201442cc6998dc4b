// A user's own tests of the application, on Vitest: of the server, and of what a page imports.

import { createClient } from 'keybound/browser';
import { expect, test } from 'vitest';

import { app } from './app.js';
import { resource } from './config.js';

test('the server', async () => {
  expect(await (await app.request('/proof')).json()).toEqual(['ES256', 'replayed', false, 'no_session']);
  const refused = await app.request('/items');
  expect(refused.status).toBe(401);
  expect(refused.headers.get('www-authenticate')).toContain('DPoP');
});

test('the page', async () => {
  const client = createClient({ level: 'enhanced', resource, redirectUri: `${resource}/callback`, register: { client_name: 'Notes' } });
  expect(await client.open()).toEqual({ state: 'none' });
});
