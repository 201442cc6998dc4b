// What a proof costs here and elsewhere: npm `dpop` makes, `oauth4webapi` and `jose` judge, and this package does both, in one process.
//
//   node bench.mjs [--format json]
//
// 64 keys, 1,000 proofs, ES256. The candidates take turns in slices; what counts is the ratio, by the medians of their slices.
// `oauth4webapi` judges an access token too, with the same keys each time: its figure is that of the whole call, and it is not the
// fastest. `jose` is given what a careful verifier does with it: the embedded key, the claims, `ath` and the thumbprint.
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';

import * as dpop from 'dpop';
import * as jose from 'jose';
import { Key, MemoryReplayStore, Verifier, build, proof, proofSync, ready } from 'keybound';
import * as oauth from 'oauth4webapi';

await ready();
const KEYS = 64;
const PROOFS = 1000;
const SLICE = 50;
const URL = 'https://api.example.com/items';
const now = Math.floor(Date.now() / 1000);

const issuer = await jose.generateKeyPair('ES256');
const jwks = { keys: [{ ...(await jose.exportJWK(issuer.publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] };
const server = { issuer: 'https://as.example.com', jwks_uri: 'https://as.example.com/jwks' };
const cache = {};
const token = (jkt) => new jose.SignJWT({ client_id: 'app', scope: 'read', jti: 'j', cnf: { jkt } })
  .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })
  .setIssuer(server.issuer).setAudience(URL).setSubject('alice').setIssuedAt(now).setExpirationTime(now + 3600).sign(issuer.privateKey);

const keys = await Promise.all(Array.from({ length: KEYS }, async () => {
  const pair = await dpop.generateKeyPair('ES256', { extractable: true });
  const key = await Key.fromCryptoKey(pair.privateKey);
  return { pair, key, token: await token(key.thumbprint) };
}));
const requests = await Promise.all(Array.from({ length: PROOFS }, async (_, i) => {
  const { key, token } = keys[i % KEYS];
  return { token, jkt: key.thumbprint, proof: await proof({ key, method: 'GET', url: URL, accessToken: token, now }) };
}));

const withJose = async ({ proof: text, token, jkt }) => {
  const { payload, protectedHeader } = await jose.jwtVerify(text, jose.EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: 300, clockTolerance: 10 });
  const ath = createHash('sha256').update(token).digest('base64url');
  const thumbprint = await jose.calculateJwkThumbprint(protectedHeader.jwk);
  if (payload.htm !== 'GET' || payload.htu !== URL || payload.ath !== ath || thumbprint !== jkt) throw new Error('refused');
};
const withOauth = ({ proof: text, token }) => oauth.validateJwtAccessToken(
  server, new Request(URL, { headers: { authorization: `DPoP ${token}`, dpop: text } }), URL,
  { requireDPoP: true, [oauth.jwksCache]: cache, [oauth.customFetch]: async () => Response.json(jwks) },
);
// Proofs are verified many times over here; a store would refuse them from the second time on. Its insert is measured with a nonce-free
// verifier on fresh stores, one for each slice.
const fresh = () => new Verifier({ maxAge: 300, store: new MemoryReplayStore({ capacity: 64 * 1024, dangerFirstStart: true }) });
let cold = fresh();
const ours = ({ proof: text, token, jkt }) => cold.verifySync({ method: 'GET', url: URL, proof: text, accessToken: token, boundTo: jkt, now });
const oursLater = ({ proof: text, token, jkt }) => cold.verify({ method: 'GET', url: URL, proof: text, accessToken: token, boundTo: jkt, now });

const candidates = {
  'verify: keybound verifySync': { run: ours, before: () => (cold = fresh()) },
  'verify: keybound verify': { run: oursLater, before: () => (cold = fresh()) },
  'verify: jose': { run: withJose },
  'verify: oauth4webapi (token too)': { run: withOauth },
  'make: keybound proofSync': { run: (_, i) => proofSync({ key: keys[i % KEYS].key, method: 'GET', url: URL, accessToken: keys[i % KEYS].token }) },
  'make: keybound proof': { run: (_, i) => proof({ key: keys[i % KEYS].key, method: 'GET', url: URL, accessToken: keys[i % KEYS].token }) },
  'make: npm dpop': { run: (_, i) => dpop.generateProof(keys[i % KEYS].pair, URL, 'GET', undefined, keys[i % KEYS].token) },
};

const wall = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
const processor = structuredClone(wall);
for (let round = -1; round < 3; round += 1) {
  for (let at = 0; at < PROOFS; at += SLICE) {
    for (const [name, { run, before }] of Object.entries(candidates)) {
      before?.();
      const start = [process.hrtime.bigint(), process.cpuUsage()];
      for (let i = at; i < at + SLICE; i += 1) await run(requests[i], i);
      const used = process.cpuUsage(start[1]);
      const elapsed = Number(process.hrtime.bigint() - start[0]) / 1000 / SLICE;
      // The first round warms up.
      if (round >= 0) {
        wall[name].push(elapsed);
        processor[name].push((used.user + used.system) / SLICE);
      }
    }
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const figures = Object.entries(candidates).map(([name]) => ({ name, wall_us: +median(wall[name]).toFixed(2), cpu_us: +median(processor[name]).toFixed(2) }));
const of = (name, kind) => figures.find((figure) => figure.name === name)[kind];
const ratio = (ours, theirs) => +(ours / theirs).toFixed(3);
const ratios = ['wall_us', 'cpu_us'].flatMap((kind) => [
  { id: 'T9 verify', kind, ratio: ratio(of('verify: keybound verifySync', kind), Math.min(of('verify: jose', kind), of('verify: oauth4webapi (token too)', kind))), target: 0.35 },
  { id: 'T9 verify, awaited', kind, ratio: ratio(of('verify: keybound verify', kind), Math.min(of('verify: jose', kind), of('verify: oauth4webapi (token too)', kind))), target: 0.35 },
  { id: 'T9 make', kind, ratio: ratio(of('make: keybound proofSync', kind), of('make: npm dpop', kind)), target: 0.6 },
  { id: 'T9 make, awaited', kind, ratio: ratio(of('make: keybound proof', kind), of('make: npm dpop', kind)), target: 0.6 },
]);
const result = { build: build(), node: process.version, cpu: cpus()[0].model, keys: KEYS, proofs: PROOFS, figures, ratios };

if (process.argv.includes('json') || process.argv.includes('--format=json')) {
  console.log(JSON.stringify(result, null, 2));
} else {
  console.log(`${build()}, Node ${process.version}, ${result.cpu}`);
  for (const { name, wall_us, cpu_us } of figures) console.log(`${name.padEnd(36)} ${String(wall_us).padStart(9)} µs ${String(cpu_us).padStart(9)} µs of CPU`);
  for (const { id, kind, ratio, target } of ratios) console.log(`${id.padEnd(20)} ${kind.padEnd(8)} ${ratio} (target ${target})`);
}
if (ratios.some(({ ratio, target }) => ratio > target)) process.exitCode = 1;
