// Proofs that others made, npm `dpop`, and requests by hand, against `keybound serve`. Its one argument is JSON: `issuer`,
// `resource` and `algorithm`. It prints what it did, one step a line.
import { createHash, randomBytes } from 'node:crypto';
import { calculateThumbprint, generateKeyPair, generateProof } from 'dpop';
import { REDIRECT_URI, expect, visit } from './browser.mjs';

const given = JSON.parse(process.argv[2]);
const done = (step) => console.log(step);
const as = await (await fetch(`${given.issuer}/.well-known/oauth-authorization-server`)).json();
const keys = await generateKeyPair(given.algorithm ?? 'ES256');
const client_id = 'keybound-demo';
const nonces = new Map();

// A request with a proof; the nonce that the server asks for is used from then on.
async function send(url, { method = 'POST', body, token, tries = 0 } = {}) {
  const { origin } = new URL(url);
  const proof = await generateProof(keys, url.split('?')[0], method, nonces.get(origin), token);
  const headers = { dpop: proof, ...(token && { authorization: `DPoP ${token}` }) };
  const response = await fetch(url, { method, headers, body, redirect: 'manual' });
  const nonce = response.headers.get('dpop-nonce');
  if (nonce) nonces.set(origin, nonce);
  const text = await response.text();
  const wantsNonce = text.includes('use_dpop_nonce') || response.headers.get('www-authenticate')?.includes('use_dpop_nonce');
  if (wantsNonce && tries === 0) return send(url, { method, body, token, tries: 1 });
  expect(!wantsNonce, 'a nonce just given is taken');
  return { status: response.status, body: text && JSON.parse(text), sent: headers };
}

const form = (members) => new URLSearchParams({ client_id, ...members });
const token = (members) => send(as.token_endpoint, { body: form(members) });

// With the key's thumbprint in a plain authorization request, without PAR.
const verifier = randomBytes(32).toString('base64url');
const url = new URL(as.authorization_endpoint);
url.search = form({
  response_type: 'code',
  redirect_uri: REDIRECT_URI,
  scope: 'read',
  state: 'a state',
  dpop_jkt: await calculateThumbprint(keys.publicKey),
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
});
const callback = await visit(url, REDIRECT_URI);
expect(callback.searchParams.get('iss') === given.issuer, 'the response says who sent it');
const code = callback.searchParams.get('code');
const issued = await token({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier });
expect(issued.status === 200 && issued.body.token_type === 'DPoP', `a bound token, not ${JSON.stringify(issued.body)}`);
done('code');

const api = (options) => send(given.resource, { method: 'GET', token: issued.body.access_token, ...options });
const first = await api();
expect(first.status === 200, 'the API answers');
const replay = await fetch(given.resource, { headers: first.sent });
expect(replay.status === 401, 'a proof is good once');
expect((await api({ method: 'PUT', body: 'text' })).status === 200, 'the API answers other methods');
done('calls');

const renewed = await token({ grant_type: 'refresh_token', refresh_token: issued.body.refresh_token });
expect(renewed.status === 200, 'the refresh token is redeemed');
expect((await api({ token: renewed.body.access_token })).status === 200, 'the API takes the new token');
done('refresh');
