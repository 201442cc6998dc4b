// The store in Redis, over the libraries that programs have: each proof is accepted once, whatever happens to the server and to connections.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, beforeEach, suite, test } from 'node:test';

import Fastify from 'fastify';
import { Cluster, Redis } from 'ioredis';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import { Key, Misuse, Verifier, proof, verify } from 'keybound';
import { protect as express } from 'keybound/express';
import { keybound as fastify } from 'keybound/fastify';
import { protect as hono } from 'keybound/hono';
import { RedisReplayStore } from 'keybound/redis';
import { AuthorizationServer, protect } from 'keybound/server';
import { createClient, createCluster } from 'redis';

import { Server, cluster, relay, skip, until } from './redis-server.mjs';

const key = Key.generate();
const [method, url] = ['GET', 'https://api.example.com/items'];
const secret = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';
const nonces = { keys: [{ id: 1, secret }] };

/** The time-out is 250 ms; the rest is for a machine with other work. */
const IN_TIME = 400;

/** How each library makes a client that does nothing by itself. */
const CLIENTS = {
  ioredis: (port, { username, password } = {}) => new Redis({ host: '127.0.0.1', port, username, password, lazyConnect: true, keyPrefix: 'app:' }),
  redis: (port, { username, password } = {}) => createClient({ socket: { host: '127.0.0.1', port }, username, password }),
};

for (const [library, clientOf] of Object.entries(CLIENTS)) {
  suite(`a store in Redis over ${library}`, { skip }, () => {
    let server;
    let count = 0;
    let [namespace, store, verifier] = [];
    const closing = [];
    before(async () => (server = await Server.start()));
    after(async () => {
      closing.forEach((close) => close());
      await server?.stop();
    });

    const open = async (more = {}) => {
      const opened = await RedisReplayStore.open({ client: clientOf(server.port), namespace, policy: { nonces }, ...more });
      closing.push(() => opened.close());
      return opened;
    };
    // A store and a namespace for each test.
    beforeEach(async () => {
      namespace = `t${(count += 1)}`;
      store = await open();
      verifier = new Verifier({ nonces, store });
    });

    /** A proof with a nonce of the store's present life. */
    const made = async () => ({ method, url, atAuthorizationServer: true, proof: await proof({ method, url, key, nonce: verifier.freshNonce('token') }) });
    const present = async (shown, to = store) => (await to.insert(verifier.check(shown).entry)).insertion;
    /** What a proof comes to when the store can tell again. */
    const settled = async (shown, to = store) => until('still no answer', async () => {
      const insertion = await present(shown, to);
      return insertion !== 'unavailable' && insertion;
    });
    const timed = async (work) => {
      const begun = performance.now();
      return [await work, performance.now() - begun];
    };
    const calls = async (command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await server.say('INFO', 'commandstats'))?.[1] ?? 0);

    test('one of 64 at a time is accepted, and they share a pipeline', async () => {
      const shown = await made();
      const before = await calls('info');
      const answers = await Promise.all(Array.from({ length: 64 }, () => present(shown)));
      assert.deepEqual(answers.filter((answer) => answer !== 'seen'), ['fresh']);
      // One in the pipeline, and one to ask.
      assert.equal((await calls('info')) - before, 2);
    });

    test('one of several processes accepts a proof', async () => {
      const script = new URL('redis-once.mjs', import.meta.url).pathname;
      const given = [script, server.url, namespace, Buffer.from(secret, 'base64url').toString('hex'), library];
      const presents = Array.from({ length: 2 }, () => spawn(process.execPath, given, { stdio: ['pipe', 'pipe', 'inherit'] }));
      const proofs = await Promise.all(Array.from({ length: 20 }, made));
      const said = presents.map(async (child) => {
        child.stdin.end(proofs.map((shown) => `${shown.proof}\n`).join(''));
        let text = '';
        for await (const part of child.stdout) text += part;
        return text.trim().split('\n');
      });
      const own = await Promise.all(proofs.map((shown) => present(shown)));
      const [one, two] = await Promise.all(said);
      assert.deepEqual([one[0], two[0]], [store.epoch(), store.epoch()]);
      let fresh = 0;
      for (const at of proofs.keys()) {
        const answers = [own[at], one[at + 1], two[at + 1]];
        // A machine with other work may be late, never wrong.
        assert(answers.every((answer) => ['fresh', 'seen', 'unavailable'].includes(answer)), String(answers));
        const accepted = answers.filter((answer) => answer === 'fresh').length;
        assert(accepted <= 1, String(answers));
        fresh += accepted;
      }
      assert(fresh > proofs.length / 2, `${fresh} of ${proofs.length} were accepted`);
    });

    test('FLUSHALL is noticed by the next insert', async () => {
      const [used, unused] = [await made(), await made()];
      assert.equal(await present(used), 'fresh');
      const { epoch, lives } = store.status();
      await server.say('FLUSHALL');
      assert.equal(await present(used), 'before_floor');
      assert.equal(await present(unused), 'before_floor');
      assert.equal(await present(used), 'before_floor');
      assert.notEqual(store.epoch(), epoch);
      assert.equal(store.status().lives, lives + 1);
      assert.equal(await present(await made()), 'fresh');
    });

    test('a_loss_noticed_by_the_insert_costs_one_challenge', async () => {
      const pair = await generateKeyPair('ES256');
      const [issuer, resource] = ['https://as.example.com', 'https://api.example.com'];
      const keys = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }] };
      const protection = protect({ resource, issuers: [{ issuer, keys }], store: await open({ policy: {} , namespace: `${namespace}-api` }) });
      const now = Math.floor(Date.now() / 1000);
      const accessToken = await new SignJWT({ client_id: 'app', cnf: { jkt: key.thumbprint }, jti: '1' }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
        .setIssuer(issuer).setAudience(resource).setSubject('alice').setIssuedAt(now).setExpirationTime(now + 300).sign(pair.privateKey);
      const ask = async (nonce) => {
        const one = await proof({ method: 'GET', url: `${resource}/a`, key, accessToken, nonce });
        return protection.authenticate({ method: 'GET', target: '/a', fields: ['Authorization', `DPoP ${accessToken}`, 'DPoP', one] });
      };
      const nonceOf = ({ refusal }) => refusal.headers.find(([name]) => name === 'DPoP-Nonce')[1];
      const nonce = nonceOf(await ask());
      assert.equal((await ask(nonce)).verdict, 'granted');
      await server.say('FLUSHALL');
      const challenge = await ask(nonce);
      assert.deepEqual([challenge.refusal.status, challenge.refusal.reason], [401, 'before_store_floor']);
      assert.equal((await ask(nonceOf(challenge))).verdict, 'granted');
    });

    test('a life is opened in more time than a proof waits', async () => {
      // Three round trips take longer than the 250 ms.
      const distant = await relay(server, 100);
      closing.push(distant.stop);
      const far = await open({ client: clientOf(distant.port) });
      await settled(await made(), far);
      await server.say('FLUSHALL');
      const { epoch } = far.status();
      await present(await made(), far);
      await until('no other life', () => far.epoch() !== epoch);
      // The other store gives the nonces here, and has to notice as well.
      await until('not accepted', async () => {
        await present(await made());
        return (await present(await made(), far)) === 'fresh';
      });
    });

    test('a connection that is lost and made again accepts nothing twice', async () => {
      const shown = await made();
      assert.equal(await present(shown), 'fresh');
      await server.say('CLIENT', 'KILL', 'TYPE', 'normal');
      assert.equal(await settled(shown), 'seen');
      assert.equal(await settled(await made()), 'fresh');
      const { epoch } = store.status();
      await server.kill();
      await server.restart();
      assert.equal(await settled(shown), 'before_floor');
      assert.notEqual(store.epoch(), epoch);
      assert.equal(await present(await made()), 'fresh');
    });

    test('a paused server is given up in time, and nothing is repeated', async () => {
      const [one, two] = [await made(), await made()];
      const { key: name } = verifier.check(one).entry;
      const monitor = await server.watch();
      closing.push(() => monitor.stop());
      server.pause();
      const [answer, took] = await timed(present(one));
      assert.equal(answer, 'unavailable');
      assert(took < IN_TIME, `${took} ms`);
      const { isOpen, isConfiguration } = await until('the store noticed nothing', () => {
        const { isOpen, fault } = store.status();
        return fault?.name === 'lost' && { isOpen, ...fault };
      });
      assert.deepEqual([isOpen, isConfiguration], [false, false]);
      const more = await timed(Promise.all(Array.from({ length: 20 }, () => present(two))));
      assert.deepEqual(new Set(more[0]), new Set(['unavailable']));
      assert(more[1] < IN_TIME, `${more[1]} ms`);
      server.resume();
      assert.match(await settled(await made()), /fresh/);
      assert.equal(await present(one), 'seen');
      await until('the monitor saw nothing', () => setsOf(monitor, name) > 1);
      // The second is that of the line above.
      assert.equal(setsOf(monitor, name), 2);
    });

    test('what is late before there is a connection is not sent by it', async () => {
      await server.say('ACL', 'SETUSER', 'late', 'on', '>secret', 'allkeys', '+@all');
      const slow = await open({ client: clientOf(server.port, { username: 'late', password: 'secret' }) });
      const [one, two] = [verifier.check(await made()).entry, verifier.check(await made()).entry];
      await server.say('CLIENT', 'KILL', 'TYPE', 'normal');
      const monitor = await server.watch();
      closing.push(() => monitor.stop());
      server.pause();
      // The greeting of the next connection waits for the server.
      assert.equal((await slow.insert(one)).insertion, 'unavailable');
      server.resume();
      assert.notEqual(await until('still no answer', async () => {
        const { insertion } = await slow.insert(two);
        return insertion !== 'unavailable' && insertion;
      }), 'before_floor');
      await until('the monitor saw nothing', () => setsOf(monitor, two.key) > 0);
      // ioredis greets and sends at once, so that the server may have had it.
      assert(setsOf(monitor, one.key) <= (library === 'redis' ? 0 : 1));
    });

    test('a killed server is unavailable, and is found when it is back', async () => {
      await server.kill();
      const [answer, took] = await timed(present(await made()));
      assert.equal(answer, 'unavailable');
      assert(took < IN_TIME, `${took} ms`);
      const late = await RedisReplayStore.open({ client: clientOf(server.port), namespace });
      assert.deepEqual([late.status().isOpen, late.status().fault.name], [false, 'lost']);
      assert.match(late.status().fault.message, /ECONNREFUSED/);
      late.close();
      await server.restart();
      await settled(await made());
      assert.equal(await present(await made()), 'fresh');
      assert.equal(store.status().isOpen, true);
    });

    test('a user who may not read the configuration suffices, and what is forbidden is named', async () => {
      const user = async (name, ...rules) => {
        await server.say('ACL', 'SETUSER', name, 'on', '>secret', 'resetkeys', `~{kb1:${namespace}}*`, '-@all', ...rules);
        return { client: clientOf(server.port, { username: name, password: 'secret' }) };
      };
      const allowed = await open(await user('allowed', '+set', '+get', '+getex', '+info', '+wait'));
      assert.equal(await present(await made(), allowed), 'fresh');
      await assert.rejects(open(await user('blind', '+set', '+get', '+getex')), { name: 'Misuse', reason: 'forbidden', message: /INFO/ });
      const wrong = clientOf(server.port, { username: 'allowed', password: 'wrong' });
      await assert.rejects(open({ client: wrong }), { name: 'Misuse', reason: 'not_authenticated' });
    });

    test('a server that may forget is refused', async () => {
      await server.say('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      await assert.rejects(open(), { name: 'Misuse', reason: 'evicts', message: /allkeys-lru.*noeviction/ });
      await server.say('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      await open();
    });

    test('verifiers of one namespace have one policy', async () => {
      await assert.rejects(open({ policy: { maxAge: 30 } }), { name: 'Misuse', reason: 'disagrees', message: /maxAge/ });
      const shown = await made();
      const told = { name: 'Misuse', reason: 'store_disagreement', message: /RedisReplayStore\.open the same policy: .*proofs of protect/ };
      const stranger = new Verifier({ nonces, maxAge: 30 });
      await assert.rejects(store.insert(stranger.check(shown).entry), told);
      // The program hears of it where it joins the two, before there is any proof.
      const resource = { resource: 'https://api.example.com', issuers: ['https://as.example.com'] };
      const ways = {
        verifier: (proofs, store) => new Verifier({ ...proofs, store }),
        verify: (policy, store) => verify({ ...shown, store, policy }),
        'authorization server': (proofs, store) => new AuthorizationServer({ proofs, store }),
        resource: (proofs, store) => protect({ ...resource, proofs, store }),
        express: (proofs, store) => express({ ...resource, proofs, store }),
        hono: (proofs, store) => hono({ ...resource, proofs, store }),
        fastify: (proofs, store) => Fastify().register(fastify, { ...resource, proofs, store }).ready(),
      };
      // What a store of the program's own is for is not known, even if it has one of these behind it.
      const own = { insert: (entry) => store.insert(entry), epoch: () => store.epoch() };
      for (const [way, join] of Object.entries(ways)) {
        await assert.rejects(async () => join({ nonces, maxAge: 30 }, store), told, way);
        await join({ nonces }, store);
        if (way !== 'verify') await join({ nonces, maxAge: 30 }, own);
      }
      await assert.rejects(store.insert({ ...verifier.check(shown).entry }), { name: 'Misuse', reason: 'not_an_entry' });
    });

    test('more than the queue holds is unavailable, and so is a closed store', async () => {
      const { entry } = verifier.check(await made());
      const asked = Array.from({ length: 4_106 }, async () => (await store.insert(entry)).insertion);
      assert.equal(store.status().waiting, 4_096);
      // At once: nothing has been sent yet.
      assert.deepEqual(await Promise.race([Promise.all(asked.slice(4_096)), new Promise(setImmediate)]), Array(10).fill('unavailable'));
      const answers = await Promise.all(asked);
      assert(answers.filter((answer) => answer === 'fresh').length <= 1);
      await until('the queue is not worked off', () => store.status().waiting === 0);
      store.close();
      assert.equal((await store.insert(entry)).insertion, 'unavailable');
      assert.equal(store.status().isOpen, false);
    });
  });
}

/** How often a proof was inserted, by its key in hexadecimal digits. */
function setsOf(monitor, key) {
  const bytes = Buffer.from(key, 'hex');
  return monitor.seen.filter(([command, at]) => command.toUpperCase() === 'SET' && Buffer.from(unescaped(at), 'latin1').includes(bytes)).length;
}

/** What MONITOR shows of bytes. ioredis leaves its escapes in place. */
function unescaped(text) {
  const plain = { n: '\n', r: '\r', t: '\t', a: '\x07', b: '\b' };
  return text.replace(/\\(?:x([0-9a-f]{2})|(.))/gs, (_, hex, letter) => (hex === undefined ? (plain[letter] ?? letter) : String.fromCharCode(parseInt(hex, 16))));
}

suite('a store in a cluster', { skip }, () => {
  let servers = [];
  const closing = [];
  before(async () => (servers = await cluster()));
  after(async () => {
    for (const close of closing) await close();
    for (const server of servers) await server.stop();
  });
  const clients = {
    ioredis: async (port) => {
      const client = new Cluster([{ host: '127.0.0.1', port }]);
      closing.push(() => client.disconnect());
      return client;
    },
    redis: async (port) => {
      const client = createCluster({ rootNodes: [{ socket: { host: '127.0.0.1', port } }] });
      client.on('error', () => undefined);
      await client.connect();
      closing.push(() => client.destroy());
      return client;
    },
  };
  for (const [library, clientOf] of Object.entries(clients)) {
    test(`is on the node that has the namespace, over ${library}`, async () => {
      const client = await clientOf(servers[0].port);
      await assert.rejects(RedisReplayStore.open({ client, namespace: 'a' }), { name: 'Misuse', reason: 'needs_replicas', message: /waitForReplicas.*dangerAcceptSplitBrain/ });
      // One for each third of the slots, found by asking.
      for (const namespace of ['a', 'b', 'c', 'd']) {
        const store = await RedisReplayStore.open({ client, namespace, policy: { nonces }, dangerAcceptSplitBrain: true });
        closing.push(() => store.close());
        const verifier = new Verifier({ nonces, store });
        const shown = { method, url, atAuthorizationServer: true, proof: await proof({ method, url, key, nonce: verifier.freshNonce('token') }) };
        const { entry } = verifier.check(shown);
        assert.deepEqual([(await store.insert(entry)).insertion, (await store.insert(entry)).insertion], ['fresh', 'seen'], namespace);
      }
      // Without the cluster's client the namespace is out of reach on two of three.
      const alone = (namespace) => RedisReplayStore.open({ client: CLIENTS[library](servers[0].port), namespace, policy: { nonces }, dangerAcceptSplitBrain: true });
      const tried = await Promise.allSettled(['a', 'b', 'c', 'd'].map(alone));
      const moved = tried.filter(({ reason }) => reason?.reason === 'moved');
      assert(moved.length >= 1 && moved.every(({ reason }) => reason instanceof Misuse && /new Cluster/.test(reason.message)));
      tried.forEach(({ value }) => value?.close());
    });
  }
});

suite('mistakes', () => {
  const client = new Redis({ lazyConnect: true });
  for (const [what, options, reason, message] of [
    ['no client', { namespace: 'api' }, 'no_client', /there was none; write client: new Redis\(url\) of ioredis/],
    ['a URL', { client: 'redis://127.0.0.1', namespace: 'api' }, 'no_client', /createClient\(\{ url \}\)/],
    ['a promise of a client', { client: Promise.resolve(client), namespace: 'api' }, 'no_client', /not awaited/],
    ['another object', { client: new Map(), namespace: 'api' }, 'no_client', /an object/],
    ['an old client', { client: { duplicate() {}, sendCommand() {}, isReady: true }, namespace: 'api' }, 'no_client', /redis before version 5/],
    ['no namespace', { client }, 'wrong_type', /namespace: 'api'/],
    ['a namespace with other characters', { client, namespace: 'My API' }, 'policy_bound', /namespace \(1 to 32 characters/],
    ['a policy that is no policy', { client, namespace: 'api', policy: 'fapi2' }, 'wrong_type', /policy: \{ maxAge: 60 \}/],
    ['a policy out of bounds', { client, namespace: 'api', policy: { maxAge: 9000 } }, 'policy_bound', /maxAge/],
    ['a rule beside the policy', { client, namespace: 'api', maxAge: 30 }, 'unknown_option', /has no maxAge; rules of proofs go into policy/],
    ['clocks too far apart', { client, namespace: 'api', clocksWithin: 40 }, 'policy_bound', /clocksWithin.*storeMargin/],
    ['another host without TLS, ioredis', { client: new Redis('redis://redis.example.com', { lazyConnect: true }), namespace: 'api' }, 'insecure_url', /rediss:.*dangerPlaintext: true/],
    ['another host without TLS, redis', { client: createClient({ url: 'redis://redis.example.com' }), namespace: 'api' }, 'insecure_url', /tls: true.*dangerPlaintext: true/],
    ['sentinels without TLS', { client: new Redis({ sentinels: [{ host: '192.0.2.1' }], name: 'm', lazyConnect: true }), namespace: 'api' }, 'insecure_url', /192\.0\.2\.1/],
  ]) {
    test(what, () => assert.rejects(RedisReplayStore.open(options), (error) => {
      assert(error instanceof Misuse);
      assert.equal(error.reason, reason, error.message);
      assert.match(error.message, message);
      return true;
    }));
  }

  test('nothing at all', () => assert.rejects(RedisReplayStore.open(), { name: 'Misuse', reason: 'wrong_type' }));
});
