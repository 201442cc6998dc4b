// An authorization server that others wrote: npm `oidc-provider`, with DPoP, required nonces and required PAR. Every login is
// approved at once. It prints one JSON line when it listens, and ends when its standard input does.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { Provider, errors } from 'oidc-provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const service = { client_id: 'service', client_secret: randomBytes(24).toString('base64url') };

const provider = new Provider(issuer, {
  clients: [
    {
      ...service,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      dpop_bound_access_tokens: true,
    },
    {
      client_id: 'app',
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      dpop_bound_access_tokens: true,
    },
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  cookies: { keys: [randomBytes(24).toString('base64url')] },
  enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo(ctx, indicator) {
        if (new URL(indicator).hostname !== '127.0.0.1') throw new errors.InvalidTarget();
        return { scope: 'read write', accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'ES256' } } };
      },
      useGrantedResource: () => true,
    },
    revocation: { enabled: true },
    userinfo: { enabled: true },
  },
  claims: { openid: ['sub'], email: ['email'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: 'alice@example.com' }) }),
  // Whoever asks for no scope gets this one (RFC 6749 section 3.3).
  extraParams: {
    scope(ctx) {
      ctx.oidc.params.scope ||= 'read';
    },
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: () => true,
  jwks: { keys: [await signingKey()] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access', 'email', 'read', 'write'],
});

async function signingKey() {
  const { exportJWK, generateKeyPair } = await import('jose');
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'one' };
}

// What a person would do on the pages for login and consent.
async function approve(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  }
  const grant = (grantId && (await provider.Grant.find(grantId)))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [indicator, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(indicator, scopes.join(' '));
  }
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

// What went wrong at an endpoint is of use when a test fails.
const events = ['authorization', 'grant', 'pushed_authorization_request', 'registration_create', 'userinfo'];
for (const event of [...events.map((name) => `${name}.error`), 'server_error']) {
  provider.on(event, (ctx, error) => console.error(`${event}: ${error.error_description ?? error.message} ${error.error_detail ?? ''}`));
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (request.url.startsWith('/interaction/')) {
    approve(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  } else {
    answer(request, response);
  }
});

console.log(JSON.stringify({ issuer, ...service }));
process.stdin.resume().on('end', () => process.exit(0));
