// A client that others wrote, npm `oauth4webapi`, against `keybound serve`. Its one argument is JSON: `resource`, and
// `client_id` with `client_secret` of a confidential client. It prints what it did, one step a line.
import * as oauth from 'oauth4webapi';
import { REDIRECT_URI, expect, visit } from './browser.mjs';

const given = JSON.parse(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true };
const done = (step) => console.log(step);

// Once more where the server wants another nonce; the handle has it by then.
async function withNonce(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return attempt();
  }
}

const resource = new URL(given.resource);
const published = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, insecure));
const issuer = new URL(published.authorization_servers[0]);
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
expect(as.dpop_signing_alg_values_supported.includes('ES256'), 'the metadata says that proofs may be ES256');
done('discovery');

const registration = {
  client_name: 'oauth4webapi',
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
  dpop_bound_access_tokens: true,
};
const client = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(as, registration, insecure),
);
expect(client.dpop_bound_access_tokens === true, 'the registration says that tokens are bound');
done('registration');

const keys = await oauth.generateKeyPair(given.algorithm ?? 'ES256');
const DPoP = oauth.DPoP(client, keys);
const options = { DPoP, ...insecure };
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const parameters = {
  response_type: 'code',
  redirect_uri: REDIRECT_URI,
  scope: 'read write',
  resource: given.resource,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
};
const pushed = await withNonce(async () => oauth.processPushedAuthorizationResponse(
  as,
  client,
  await oauth.pushedAuthorizationRequest(as, client, oauth.None(), parameters, options),
));
done('pushed request');

const url = new URL(as.authorization_endpoint);
url.searchParams.set('client_id', client.client_id);
url.searchParams.set('request_uri', pushed.request_uri);
const callback = oauth.validateAuthResponse(as, client, await visit(url, REDIRECT_URI), state);
const tokens = await withNonce(async () => oauth.processAuthorizationCodeResponse(
  as,
  client,
  await oauth.authorizationCodeGrantRequest(as, client, oauth.None(), callback, REDIRECT_URI, verifier, options),
));
expect(tokens.token_type === 'dpop', 'the token is bound');
done('code');

const call = (token, method = 'GET', body = null, DPoPHandle = DPoP) => withNonce(() => oauth.protectedResourceRequest(
  token,
  method,
  new URL(`${given.resource}?page=2#top`),
  new Headers(body ? { 'content-type': 'text/plain' } : {}),
  body,
  { ...insecure, DPoP: DPoPHandle },
));
expect((await call(tokens.access_token)).status === 200, 'the API answers');
expect((await call(tokens.access_token, 'POST', 'hello')).status === 200, 'the API takes a body');
done('calls');

const renewed = await withNonce(async () => oauth.processRefreshTokenResponse(
  as,
  client,
  await oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, options),
));
expect(renewed.access_token !== tokens.access_token && renewed.refresh_token !== tokens.refresh_token, 'both tokens are new');
expect((await call(renewed.access_token)).status === 200, 'the API takes the new token');
done('refresh');

// A thief has the token and keys of its own, or no key at all.
const thief = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
expect((await refused(() => call(renewed.access_token, 'GET', null, thief))) === 401, "another key's proof is refused");
expect((await refused(() => oauth.protectedResourceRequest(renewed.access_token, 'GET', resource, undefined, null, insecure))) === 401, 'a bound token as Bearer is refused');
const stolen = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), renewed.refresh_token, { ...insecure, DPoP: thief })
  .then((response) => response.json());
expect(['invalid_grant', 'use_dpop_nonce', 'invalid_dpop_proof'].includes(stolen.error), 'a stolen refresh token is refused');
expect((await call(renewed.access_token)).status === 200, 'the owner is still served');
done('theft');

async function refused(attempt) {
  try {
    return (await attempt()).status;
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.status;
    throw error;
  }
}

const service = { client_id: given.client_id };
const authentication = oauth.ClientSecretBasic(given.client_secret);
const serviceDPoP = oauth.DPoP(service, await oauth.generateKeyPair('ES256'));
const own = await withNonce(async () => oauth.processClientCredentialsResponse(
  as,
  service,
  await oauth.clientCredentialsGrantRequest(as, service, authentication, { scope: 'read' }, { ...insecure, DPoP: serviceDPoP }),
));
expect((await call(own.access_token, 'GET', null, serviceDPoP)).status === 200, 'the API serves the service');
done('client credentials');

const introspected = await oauth.processIntrospectionResponse(
  as,
  service,
  await oauth.introspectionRequest(as, service, authentication, own.access_token, insecure),
);
expect(introspected.active && typeof introspected.cnf.jkt === 'string', 'introspection says which key');
await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), renewed.refresh_token, insecure));
const after = await withNonce(async () => {
  const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), renewed.refresh_token, options);
  await oauth.processRefreshTokenResponse(as, client, response.clone());
  return response;
}).catch((error) => error);
expect(after.error === 'invalid_grant', 'a revoked refresh token is of no use');
done('introspection and revocation');
