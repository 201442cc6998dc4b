// A client that others wrote, npm `openid-client`, against `keybound serve`. Its one argument is JSON: `issuer` and `resource`,
// and `client_id` with `client_secret` of a confidential client. It prints what it did, one step a line.
import * as client from 'openid-client';
import { REDIRECT_URI, expect, visit } from './browser.mjs';

const given = JSON.parse(process.argv[2]);
const done = (step) => console.log(step);
const discovery = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] };
const GRANTS = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];

const config = await client.dynamicClientRegistration(
  new URL(given.issuer),
  { client_name: 'openid-client', redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: 'none', grant_types: GRANTS },
  client.None(),
  discovery,
);
done('discovery and registration');

const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(given.algorithm ?? 'ES256'));
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const url = await client.buildAuthorizationUrlWithPAR(
  config,
  {
    redirect_uri: REDIRECT_URI,
    scope: 'read',
    resource: given.resource,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  },
  { DPoP },
);
done('pushed request');

const callback = await visit(url, REDIRECT_URI);
const tokens = await client.authorizationCodeGrant(config, callback, { expectedState: state, pkceCodeVerifier: verifier }, undefined, { DPoP });
expect(tokens.token_type === 'dpop', 'the token is bound');
done('code');

const call = (token) => client.fetchProtectedResource(config, token, new URL(given.resource), 'GET', null, undefined, { DPoP });
expect((await call(tokens.access_token)).status === 200, 'the API answers');
expect((await call(tokens.access_token)).status === 200, 'the API answers again');
done('calls');

const renewed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
expect((await call(renewed.access_token)).status === 200, 'the API takes the new token');
done('refresh');

const service = await client.discovery(new URL(given.issuer), given.client_id, given.client_secret, client.ClientSecretPost(given.client_secret), discovery);
const serviceDPoP = client.getDPoPHandle(service, await client.randomDPoPKeyPair());
const own = await client.clientCredentialsGrant(service, { scope: 'read' }, { DPoP: serviceDPoP });
const answer = await client.fetchProtectedResource(service, own.access_token, new URL(given.resource), 'GET', null, undefined, { DPoP: serviceDPoP });
expect(answer.status === 200, 'the API serves the service');
done('client credentials');

const device = await client.initiateDeviceAuthorization(config, { scope: 'read' });
const polled = await client.pollDeviceAuthorizationGrant(config, device, undefined, { DPoP });
expect((await call(polled.access_token)).status === 200, 'the API serves the device');
done('device');
