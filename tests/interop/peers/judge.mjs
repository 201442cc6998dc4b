// A protected resource that others wrote: npm `oauth4webapi` judges access token and proof of every request to `/api`, and this
// file judges nonces. Its one argument is JSON: `issuer`, `nonces`, and `jwks` for an issuer that is not there. It prints one
// JSON line when it listens, and ends when its standard input does.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';

const { issuer, jwks, nonces } = JSON.parse(process.argv[2]);
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const resource = `${origin}/api`;
const insecure = { [oauth.allowInsecureRequests]: true };
const metadata = {
  resource,
  authorization_servers: [issuer],
  bearer_methods_supported: ['header'],
  dpop_bound_access_tokens_required: true,
};
// Replaced after each use, which no client can foresee.
let nonce = randomBytes(12).toString('base64url');
const seen = new Set();

const authorizationServer = jwks
  ? { issuer, jwks_uri: `${issuer}/jwks` }
  : await oauth.processDiscoveryResponse(
    new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oidc', ...insecure }),
  );
const fetching = jwks ? { [oauth.customFetch]: async () => Response.json(jwks) } : {};

async function judge(request) {
  const headers = new Headers();
  for (let i = 0; i < request.rawHeaders.length; i += 2) headers.append(request.rawHeaders[i], request.rawHeaders[i + 1]);
  const seenByApi = new Request(origin + request.url, { method: request.method, headers });
  const claims = await oauth.validateJwtAccessToken(authorizationServer, seenByApi, resource, {
    requireDPoP: true,
    ...insecure,
    ...fetching,
  });
  const proof = decodeJwt(headers.get('dpop'));
  if (seen.has(proof.jti)) throw new Error('the proof was used before');
  if (nonces && proof.nonce !== nonce) return { nonce };
  seen.add(proof.jti);
  nonce = randomBytes(12).toString('base64url');
  return { claims, proof };
}

server.on('request', async (request, response) => {
  const send = (status, body, fields = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...fields });
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(body));
  };
  const path = new URL(origin + request.url).pathname;
  if (path === '/.well-known/oauth-protected-resource/api') return send(200, metadata);
  if (path !== '/api' && !path.startsWith('/api/')) return send(404, {});
  const about = `resource_metadata="${origin}/.well-known/oauth-protected-resource/api"`;
  if (!request.headers.authorization) return send(401, {}, { 'www-authenticate': `DPoP ${about}` });
  try {
    const verdict = await judge(request);
    if (verdict.nonce) {
      return send(401, {}, { 'www-authenticate': `DPoP error="use_dpop_nonce", ${about}`, 'dpop-nonce': nonce });
    }
    return send(200, { accepted: true, ...verdict });
  } catch (error) {
    const reason = [error.message, error.cause?.message].filter(Boolean).join(': ');
    return send(401, { accepted: false, reason }, { 'www-authenticate': `DPoP error="invalid_token", ${about}` });
  }
});

console.log(JSON.stringify({ resource }));
process.stdin.resume().on('end', () => process.exit(0));
