// Proofs both ways between this package and what others wrote: npm `dpop`, `jose` and `oauth4webapi`.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import * as dpop from 'dpop';
import * as jose from 'jose';
import { Key, MemoryReplayStore, Verifier, proof, webCryptoSigner } from 'keybound';
import * as oauth from 'oauth4webapi';

const URL = 'https://api.example.com/items';
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'Ed25519', 'PS256', 'RS256'];
const verifier = () => new Verifier({ algorithms: ALGORITHMS, store: new MemoryReplayStore({ dangerFirstStart: true }) });

for (const algorithm of ['ES256', 'Ed25519', 'PS256', 'RS256']) {
  test(`${algorithm}: a proof of npm dpop is taken, and refused for another request`, async () => {
    const pair = await dpop.generateKeyPair(algorithm);
    const boundTo = await dpop.calculateThumbprint(pair.publicKey);
    const judge = verifier();
    const shown = { method: 'POST', url: `${URL}?q=1`, accessToken: 'token', boundTo, proof: await dpop.generateProof(pair, URL, 'POST', undefined, 'token') };
    const verified = await judge.verify(shown);
    assert.deepEqual([verified.thumbprint, verified.algorithm], [boundTo, algorithm]);
    for (const [change, reason] of [
      [{ method: 'PUT' }, 'method_mismatch'], [{ url: `${URL}/1` }, 'target_mismatch'], [{ accessToken: 'other' }, 'ath_mismatch'],
      [{ boundTo: Key.generate().thumbprint }, 'binding_mismatch'], [{ now: Math.floor(Date.now() / 1000) + 3600 }, 'iat_too_old'], [{}, 'replayed'],
    ]) {
      await assert.rejects(judge.verify({ ...shown, ...change }), { reason }, JSON.stringify(change));
    }
  });

  test(`${algorithm}: the key of npm dpop signs our proofs, and npm jose takes them`, async () => {
    const signer = await webCryptoSigner(await dpop.generateKeyPair(algorithm));
    const made = await proof({ key: signer, method: 'GET', url: `${URL}?q#f`, accessToken: 'token', nonce: 'n' });
    const { payload, protectedHeader } = await jose.jwtVerify(made, jose.EmbeddedJWK, { typ: 'dpop+jwt', algorithms: [algorithm], maxTokenAge: 60 });
    assert.deepEqual([payload.htm, payload.htu, payload.nonce], ['GET', URL, 'n']);
    assert.equal(payload.ath, createHash('sha256').update('token').digest('base64url'));
    assert.equal(protectedHeader.alg, algorithm);
  });
}

for (const algorithm of ['ES256', 'Ed25519']) {
  test(`${algorithm}: oauth4webapi admits a request with our proof, and none that was changed`, async () => {
    const issuer = await jose.generateKeyPair('ES256');
    const jwks = { keys: [{ ...(await jose.exportJWK(issuer.publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] };
    const key = Key.generate(algorithm);
    const token = await new jose.SignJWT({ client_id: 'app', scope: 'read', jti: 'j', cnf: { jkt: key.thumbprint } })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })
      .setIssuer('https://as.example.com').setAudience(URL).setSubject('alice').setIssuedAt().setExpirationTime('5m').sign(issuer.privateKey);
    const server = { issuer: 'https://as.example.com', jwks_uri: 'https://as.example.com/jwks' };
    const admit = async (method, url, made) => {
      const headers = { authorization: `DPoP ${token}`, dpop: made };
      const options = { requireDPoP: true, [oauth.customFetch]: async () => Response.json(jwks) };
      return oauth.validateJwtAccessToken(server, new Request(url, { method, headers }), URL, options);
    };
    const made = await proof({ key, method: 'GET', url: URL, accessToken: token });
    assert.equal((await admit('GET', URL, made)).sub, 'alice');
    await assert.rejects(admit('POST', URL, made));
    await assert.rejects(admit('GET', `${URL}/1`, made));
    await assert.rejects(admit('GET', URL, await proof({ key: Key.generate(algorithm), method: 'GET', url: URL, accessToken: token })));
  });
}
