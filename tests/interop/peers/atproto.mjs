// The authorization server of AT Protocol as its authors publish it: npm `@atproto/oauth-provider`, which demands pushed requests, DPoP
// and nonces. Everything is in memory, and every login is approved at once. Its API answers at `api`, and `tokens` lists those that
// are good. It prints one JSON line when it listens, and ends when its standard input does.
import { createServer } from 'node:http';
import { oauthMiddleware } from '@atproto/oauth-provider/middleware';
import { JoseKey, OAuthProvider } from '@atproto/oauth-provider/provider';

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const api = `${issuer}/xrpc/com.atproto.server.getSession`;

const account = {
  did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz',
  handle: 'alice.example.com',
  email: 'alice@example.com',
  emailVerified: true,
};
// A client that is known by the document at its URL.
const document = {
  client_id: 'https://app.example.com/client-metadata.json',
  client_uri: 'https://app.example.com',
  application_type: 'native',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'atproto transition:generic',
  redirect_uris: ['http://127.0.0.1/callback'],
  token_endpoint_auth_method: 'none',
  dpop_bound_access_tokens: true,
};

const devices = new Map();
const requests = new Map();
const tokens = new Map();
const entries = (map, suits) => [...map].filter(([, value]) => suits(value));
const token = (id) => (tokens.has(id) ? { id, account, ...tokens.get(id) } : null);
const tokenWith = (suits) => token(entries(tokens, suits)[0]?.[0]);
const unused = () => {
  throw new Error('not part of any test');
};

const accountStore = {
  getAccount: () => ({ account, authorizedClients: new Map() }),
  listDeviceAccounts: () => [],
  ...Object.fromEntries([
    'createAccount', 'authenticateAccount', 'setAuthorizedClient', 'upsertDeviceAccount', 'getDeviceAccount', 'removeDeviceAccount',
    'resetPasswordRequest', 'resetPasswordConfirm', 'updateEmailRequest', 'updateEmailConfirm', 'verifyEmailRequest',
    'verifyEmailConfirm', 'verifyHandleAvailability', 'updateHandle', 'deactivateAccount', 'reactivateAccount',
    'deleteAccountRequest', 'deleteAccountConfirm',
  ].map((name) => [name, unused])),
};
const deviceStore = {
  createDevice: (id, data) => void devices.set(id, data),
  readDevice: (id) => devices.get(id) ?? null,
  updateDevice: (id, data) => void devices.set(id, { ...devices.get(id), ...data }),
  deleteDevice: (id) => void devices.delete(id),
};
const requestStore = {
  createRequest: (id, data) => void requests.set(id, data),
  readRequest: (id) => requests.get(id) ?? null,
  updateRequest: (id, data) => void requests.set(id, { ...requests.get(id), ...data }),
  deleteRequest: (id) => void requests.delete(id),
  consumeRequestCode(code) {
    const [[requestId, data] = []] = entries(requests, (request) => request.code === code);
    requests.delete(requestId);
    return data ? { requestId, data } : null;
  },
};
const tokenStore = {
  createToken: (id, data, refreshToken) => void tokens.set(id, { data, currentRefreshToken: refreshToken, earlier: [] }),
  readToken: token,
  deleteToken: (id) => void tokens.delete(id),
  rotateToken(id, newId, refreshToken, newData) {
    const { data, currentRefreshToken, earlier } = tokens.get(id);
    tokens.delete(id);
    tokens.set(newId, {
      data: { ...data, ...newData },
      currentRefreshToken: refreshToken,
      earlier: [...earlier, currentRefreshToken],
    });
  },
  findTokenByRefreshToken: (refreshToken) =>
    tokenWith(({ currentRefreshToken, earlier }) => [currentRefreshToken, ...earlier].includes(refreshToken)),
  findTokenByCode: (code) => tokenWith(({ data }) => data.code === code),
  listAccountTokens: () => [...tokens.keys()].map(token),
};

const provider = new OAuthProvider({
  issuer,
  keyset: [await JoseKey.generate(['ES256'], 'one')],
  accountStore,
  deviceStore,
  requestStore,
  tokenStore,
  lexiconStore: { findLexicon: () => null, storeLexicon: unused, deleteLexicon: unused },
  // Nothing is fetched from the network.
  safeFetch: async (request) =>
    new Request(request).url === document.client_id ? Response.json(document) : new Response(null, { status: 404 }),
});
const oauth = oauthMiddleware(provider, {
  onError: (request, response, error, message) => console.error(`${request.url}: ${message}: ${error.message}`),
});

// What a person would do on the pages for login and consent.
async function approve(request, response, url) {
  const device = await provider.deviceManager.load(request, response);
  const { parameters, requestUri, client } = await provider.authorize(Object.fromEntries(url.searchParams), device);
  const code = await provider.requestManager.setAuthorized(requestUri, client, account, device.deviceId, device.deviceMetadata);
  const back = new URL(parameters.redirect_uri);
  back.search = new URLSearchParams({ iss: issuer, state: parameters.state, code });
  response.writeHead(302, { location: back }).end();
}

function answer(response, status, body, fields = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...fields }).end(JSON.stringify(body));
}

// Refuses as a personal data server does.
async function call(request, response, url) {
  response.setHeader('DPoP-Nonce', provider.nextDpopNonce());
  try {
    const { sub, cnf } = await provider.authenticateRequest(request.method, url, request.headers);
    answer(response, 200, { did: sub, jkt: cnf.jkt });
  } catch (error) {
    const { wwwAuthenticateHeader: challenge } = error;
    answer(response, 401, { message: error.message }, challenge && { 'www-authenticate': challenge });
  }
}

server.on('request', (request, response) => {
  const url = new URL(request.url, issuer);
  const failed = (error) => {
    console.error(error);
    response.writeHead(500).end();
  };
  switch (url.pathname) {
    case '/oauth/authorize':
      return void approve(request, response, url).catch(failed);
    case new URL(api).pathname:
      return void call(request, response, url).catch(failed);
    case '/.well-known/oauth-protected-resource':
      return answer(response, 200, { resource: issuer, authorization_servers: [issuer] });
    case '/tokens':
      return answer(response, 200, [...tokens.keys()]);
    default:
      return oauth(request, response, (error) => (error ? failed(error) : answer(response, 404, {})));
  }
});

console.log(JSON.stringify({ issuer, api, tokens: `${issuer}/tokens`, did: account.did, document: document.client_id }));
process.stdin.resume().on('end', () => process.exit(0));
