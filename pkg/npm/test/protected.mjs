// A resource with tokens and proofs for it, and requests as they go over the wire.
import { connect } from 'node:net';

import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { Key, MemoryReplayStore } from 'keybound';

export const ISSUER = 'https://as.example.com';
const issuerKey = await generateKeyPair('ES256');
const jwks = { keys: [{ ...(await exportJWK(issuerKey.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] };
/** The key that tokens are bound to. */
export const key = Key.generate();

/** Options of a protection of `resource`, whose store takes proofs of before it began. */
export const optionsFor = (resource) => ({
  resource,
  issuers: [{ issuer: ISSUER, keys: jwks }],
  store: new MemoryReplayStore({ dangerFirstStart: true }),
});

/** A token for `resource` that is bound to {@link key}. */
export const tokenFor = (resource, more = {}) => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { client_id: 'app', scope: 'read', cnf: { jkt: key.thumbprint }, jti: crypto.randomUUID(), ...more };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
    .setIssuer(ISSUER).setAudience(resource).setSubject('alice').setIssuedAt(now).setExpirationTime(now + 300).sign(issuerKey.privateKey);
};

/** Sends exactly these lines and reads the answer. */
export function raw(port, target, sent, { method = 'GET', host = 'wrong.example' } = {}) {
  return new Promise((resolve, reject) => {
    const lines = [`${method} ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...sent.map(([name, value]) => `${name}: ${value}`)];
    const socket = connect(port, '127.0.0.1', () => socket.write(`${lines.join('\r\n')}\r\n\r\n`));
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => (text += part)).on('error', reject).on('close', () => {
      const [head, ...body] = text.split('\r\n\r\n');
      const [status, ...rest] = head.split('\r\n');
      const headers = rest.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]);
      const header = (name) => headers.find(([known]) => known === name)?.[1];
      resolve({ status: Number(status.split(' ')[1]), headers, header, body: body.join('\r\n\r\n') });
    });
  });
}
