// `client.fetch` keeps what the caller asks of `fetch`: how redirects are answered, and what the host's own takes besides.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client, MemoryStore } from 'keybound';
import { Loopback } from 'keybound';

import { browse, serve } from './serve.mjs';

let servers;
let call;
let sent = [];
before(async () => {
  servers = await serve();
  const loopback = await Loopback.listen();
  const credentials = [{ issuer: servers.issuer, clientId: 'keybound-demo' }];
  const send = async (url, init) => {
    sent.push(init);
    const { pathname } = new URL(url);
    const status = Number(/\/api\/moved\/(\d+)$/.exec(pathname)?.[1]);
    return status ? new Response(null, { status, headers: { location: `${servers.resource}/there` } }) : fetch(url, { ...init, dispatcher: undefined });
  };
  const client = new Client({ level: 'enhanced', redirectUri: loopback.redirectUri, credentials, allowLoopback: true }, new MemoryStore(), { fetch: send });
  const discovered = await client.discover(servers.resource);
  call = client.fetch(await client.login({ session: 'work', discovered }, loopback, browse));
});
after(() => servers.stop());

test('a redirect is followed with a new proof unless it is to be the answer', async () => {
  const followed = await call(`${servers.resource}/moved/302`);
  assert.deepEqual([followed.status, (await followed.json()).path], [200, '/api/there']);
  for (const status of [301, 302, 303, 307, 308]) {
    const answer = await call(`${servers.resource}/moved/${status}`, { redirect: 'manual' });
    assert.deepEqual([answer.status, answer.headers.get('location')], [status, `${servers.resource}/there`]);
  }
  assert.equal((await call(new Request(`${servers.resource}/moved/302`, { redirect: 'manual' }))).status, 302);
});

test("with redirect: 'error' it is one, and other answers are not", async () => {
  await assert.rejects(call(`${servers.resource}/moved/302`, { redirect: 'error' }), TypeError);
  assert.equal((await call(`${servers.resource}/x`, { redirect: 'error' })).status, 200);
});

test("undici's dispatcher and other members of the host's own are passed on", async () => {
  sent = [];
  const [dispatcher, cf] = [{ dispatch() {} }, { cacheTtl: 5 }];
  await call(`${servers.resource}/x`, { dispatcher, cf, method: 'POST', body: 'a', headers: { 'x-a': 'b' } });
  assert(sent.length > 0 && sent.every((init) => init.dispatcher === dispatcher && init.cf === cf && init.method === 'POST' && init.redirect === 'manual'));
  assert(sent.every(({ headers }) => headers.some(([name]) => name.toLowerCase() === 'dpop')));
});
