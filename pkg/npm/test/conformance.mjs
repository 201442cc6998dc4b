// The conformance runner: all vectors, all flow transcripts and the contract, through whichever build is loaded.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const { MemoryReplayStore, Verifier, build: used, explain, Misuse, ready } = await import('keybound');
const { protect } = await import('keybound/server');
const build = used();
const { toByteString } = await import('../dist/drive.js');
const { flows, native } = await import('../dist/load/node.js');
const { playBack } = await import('./flows.mjs');
const { playBackConversation } = await import('./conversations.mjs');
const { driveRequests, playBackRequests } = await import('./requests.mjs');
const { inCamelCase } = await import('./spelled.mjs');
await ready();

const root = new URL('../../../tests/', import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, root), 'utf8'));
const list = (folder) => readdirSync(new URL(folder, root)).filter((name) => name.endsWith('.json'));

// All that this build can verify: the text of a mistake lists the names.
const unknown = (() => {
  try {
    return new Verifier({ algorithms: ['none'] });
  } catch (error) {
    return error.message;
  }
})();
const ALL = unknown.split('there are: ')[1].split(', ').filter((name) => {
  try {
    return new Verifier({ algorithms: [name] });
  } catch (error) {
    assert(error instanceof Misuse);
    return false;
  }
});
// ML-DSA is in the addon alone; Ed448 and a provider without algorithms are nowhere.
const ML_DSA = ['key-ml-dsa-44', 'own-ml-dsa-44-with-p-256', 'own-ml-dsa-65-with-ed25519'];
const SKIPPED = ['key-ed448', 'own-alg-not-in-build', ...(build === 'addon' ? [] : ML_DSA)].sort();
const NOBODY = 'A'.repeat(43);
const bytes = (text) => toByteString(new TextEncoder().encode(text));
const segment = (proof, at) => {
  try {
    return JSON.parse(Buffer.from(proof.split('.')[at], 'base64url').toString()) ?? {};
  } catch {
    return {};
  }
};

// What an entry leaves out is taken from the proof itself, since that is not what it tests.
function present(entry, { maxAge, maxAhead }) {
  const algorithms = entry.allowed_algs ? ALL.filter((name) => entry.allowed_algs.includes(name)) : ALL;
  if (algorithms.length === 0) return 'alg_not_permitted';
  const proofs = entry.proof === null ? [] : [entry.proof].flat().map(bytes);
  const claims = segment([entry.proof].flat()[0] ?? '', 1);
  const now = Math.floor(entry.now ?? claims.iat ?? Date.now() / 1000);
  const method = entry.method ?? (typeof claims.htm === 'string' ? claims.htm : 'GET');
  const url = entry.url ?? (typeof claims.htu === 'string' ? claims.htu : '');
  const { secret, key_id: id, namespace } = entry.nonce_issuer ?? {};
  const policy = {
    algorithms,
    maxAge: entry.max_age ?? maxAge,
    maxAhead: entry.max_ahead ?? maxAhead,
    bareHtu: entry.bare_htu === true,
    ...(entry.nonce_issuer && { nonces: { keys: [{ id, secret }], namespace } }),
  };
  const usesStore = entry.already_used || entry.store_floor !== undefined;
  const store = usesStore ? new MemoryReplayStore({ capacity: 1024 }) : undefined;
  const verifier = new Verifier({ ...policy, ...(store && { store }), now: () => entry.store_floor ?? now - 3600 });
  const shown = (proof, jkt) => {
    const own = () => {
      try {
        return native().thumbprint(JSON.stringify(segment(proof[0] ?? '', 0).jwk ?? null));
      } catch {
        return undefined;
      }
    };
    const bound = jkt ? (/^[\w-]{43}$/.test(jkt) ? jkt : NOBODY) : own();
    const context = (entry.access_token ?? null) === null ? { atAuthorizationServer: true, boundTo: bound } : { accessToken: entry.access_token, boundTo: bound ?? NOBODY };
    return { method, url, proof, now, expectedNonce: entry.nonce ?? undefined, ...context };
  };
  const judge = (proof, jkt) => {
    try {
      if (usesStore) verifier.verifySync(shown(proof, jkt));
      else verifier.check(shown(proof, jkt));
      return 'accepted';
    } catch (error) {
      if (error instanceof Misuse) throw error;
      return error.reason;
    }
  };
  if (entry.already_used) judge(entry.already_used === true ? proofs : [bytes(entry.already_used)]);
  return judge(proofs, entry.jkt);
}

const lacking = (entry, reason) =>
  ['alg_unknown', 'alg_unavailable'].includes(reason)
  || (reason === 'alg_not_permitted' && !ALL.includes(segment(entry.proof, 0).alg))
  || (reason === 'jwk_unsupported' && segment(entry.proof, 0).jwk.crv === 'Ed448');

for (const [name, window] of [['narrow', { maxAge: 60, maxAhead: 10 }], ['wide', { maxAge: 300, maxAhead: 60 }]]) {
  test(`${build}: every vector has its outcome, in a ${name} window`, () => {
    const skipped = [];
    for (const entry of list('vectors').flatMap((file) => read(`vectors/${file}`))) {
      // No build for JavaScript can be made without algorithms.
      if (entry.without_verifiers) {
        skipped.push(entry.id);
        continue;
      }
      const outcome = present(entry, window);
      // Nor can an algorithm be permitted that the build does not have.
      if (outcome !== 'accepted' && outcome !== entry.rejection && lacking(entry, outcome)) skipped.push(entry.id);
      else if (entry.expect === 'accept') assert.equal(outcome, 'accepted', entry.id);
      else if (entry.expect === 'reject') assert.deepEqual([outcome, entry.id], [entry.rejection, entry.id]);
      else assert.equal(entry.expect, 'either');
    }
    assert.deepEqual(skipped.sort(), SKIPPED);
  });
}

test(`${build}: a wrong expectation is noticed`, () => {
  const [entry] = read('vectors/accepted.json');
  assert.equal(present(entry, { maxAge: 60, maxAhead: 10 }), 'accepted');
  assert.equal(present({ ...entry, now: 1_900_000_000 }, { maxAge: 60, maxAhead: 10 }), 'iat_too_old');
});

for (const file of list('vectors/flows')) {
  test(`${build}: the flow ${file} is played back`, () => playBack(read(`vectors/flows/${file}`), flows(), build === 'addon'));
}

for (const file of list('vectors/redis')) {
  const story = inCamelCase(read(`vectors/redis/${file}`));
  test(`${build}: the conversation ${file} with Redis is played back`, () => playBackConversation(story, native()));
}

test(`${build}: a conversation with Redis that ends otherwise is noticed`, () => {
  const story = read('vectors/redis/fresh_and_seen.json');
  story.steps.at(-1).outcome.answers[0].insertion = 'other';
  assert.throws(() => playBackConversation(story, native()), assert.AssertionError);
  assert(list('vectors/redis').length >= 8);
});

for (const file of list('vectors/requests')) {
  const vector = inCamelCase(read(`vectors/requests/${file}`));
  test(`${build}: the requests of ${file} are played back`, () => playBackRequests(vector, native()));
  const givesUp = vector.events.some((event) => event.do === 'abandon');
  if (!givesUp && !vector.store) test(`${build}: the requests of ${file} through the driver`, () => driveRequests(vector, native()));
}

test(`${build}: a request that ends otherwise than its vector says is noticed`, async () => {
  const vector = read('vectors/requests/replay.json');
  vector.events[1].seen.result.principal.subject = 'mallory';
  assert.throws(() => playBackRequests(vector, native()), assert.AssertionError);
  await assert.rejects(driveRequests(vector, native()), assert.AssertionError);
});

for (const name of list('vectors/tokens')) {
  test(`${build}: the tokens of ${name}`, async () => {
    const { issuer, profile, keys, resource, audiences, now, entries } = read(`vectors/tokens/${name}`);
    const common = { resource, audiences, issuers: [{ issuer, profile, keys }], schemes: 'dpop_and_bearer', workers: 1, now: () => now };
    for (const { id, token, answer, expect, rejection, principal } of entries) {
      const introspection = answer === null ? {} : { introspection: { introspect: async () => JSON.stringify(answer) } };
      const protection = protect({ ...common, ...introspection });
      const decision = await protection.authenticate({ method: 'GET', target: '/', fields: ['Authorization', `Bearer ${token}`] });
      if (expect === 'reject') {
        assert.equal(decision.refusal?.reason, rejection, id);
        continue;
      }
      assert.equal(decision.verdict, 'granted', `${id}: ${decision.refusal?.reason}`);
      const { subject, clientId, scopes } = decision.principal;
      assert.deepEqual({ subject: subject ?? null, client_id: clientId, scopes }, principal, id);
    }
  });
}

test(`${build}: the snippets about issuers`, async () => {
  const guide = readFileSync(new URL('../docs/issuers.md', root), 'utf8');
  const snippets = [...guide.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code.replaceAll("'keybound/server'", JSON.stringify(import.meta.resolve('keybound/server'))));
  assert.equal(snippets.length, 2);
  for (const code of snippets) {
    const { protection } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    const { verdict, refusal } = await protection.authenticate({ method: 'GET', target: '/', fields: [] });
    assert.deepEqual([verdict, refusal.status], ['refused', 401]);
  }
});

test(`${build}: a profile that there is not stops the start, and the message lists those there are`, () => {
  const issuers = [{ issuer: 'https://id.example.com', profile: 'keycloack' }];
  assert.throws(() => protect({ resource: 'https://api.example.com', issuers, workers: 1 }), (error) => {
    assert(error instanceof Misuse);
    const names = list('vectors/tokens').map((name) => name.replace('.json', ''));
    assert.deepEqual(error.message.split('is one of: ')[1].split(', ').sort(), names.sort());
    return true;
  });
});

test(`${build}: a profile for answers that no one asks for is a mistake`, () => {
  const options = { resource: 'https://api.example.com', issuers: ['https://id.example.com'], introspectionProfile: 'keycloak', workers: 1 };
  assert.throws(() => protect(options), (error) => error instanceof Misuse && error.message.includes('introspection'));
});

test(`${build}: the reasons are those of the contract`, () => {
  const { rejections, token_rejections: tokens } = JSON.parse(native().reasons());
  const pick = (...names) => (all) => all.map((one) => Object.fromEntries(names.map((name) => [name, one[name]])));
  assert.deepEqual(pick('reason', 'check', 'section')(rejections), read('contract/reasons.json'));
  assert.deepEqual(pick('reason', 'status', 'error')(tokens), read('contract/token_reasons.json'));
});

test(`${build}: a refused proof is explained, and the explanation names the check`, async () => {
  const entry = read('vectors/method.json')[0];
  const { accepted, reason, checks } = await explain({ method: entry.method ?? 'GET', url: entry.url ?? 'https://a.example', proof: entry.proof, now: entry.now });
  assert.equal(accepted, false);
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  assert.equal(typeof failed.fix, 'string');
  assert.equal(typeof reason, 'string');
});

for (const entry of read('vectors/explained/mistakes.json')) {
  test(`${build}: every mistake of ${entry.id} is found in one run`, async () => {
    const store = entry.store_floor === undefined ? undefined : new MemoryReplayStore({ workers: 1, dangerFirstStart: entry.first_start === true });
    const verifier = new Verifier({ ...(store && { store }), now: () => entry.store_floor ?? entry.now });
    const { method, url, proof, access_token: accessToken, jkt: boundTo, now } = entry;
    const { accepted, reason, checks } = await verifier.explain({ method, url, proof, accessToken, boundTo, now });
    const unmet = checks.filter((one) => one.reason ?? one.because).map(({ check, reason, because }) => ({ check, ...(reason && { reason }), ...(because && { because }) }));
    assert.deepEqual(unmet, entry.unmet);
    assert.deepEqual([accepted, reason], [entry.unmet.length === 0, entry.unmet.find((one) => one.reason)?.reason ?? null]);
  });
}
