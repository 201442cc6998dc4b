// Plays flow transcripts back: the same operations with the written answers give the same steps and outcomes.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import { KeyFault, Key, KeyboundError } from 'keybound';
import { NotSent, drive } from '../dist/drive.js';

const hash = (text) => createHash('sha256').update(text).digest('base64url');
const decode = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

/** The names of random values, in the order they were first seen. */
class Names {
  known = [];
  key(thumbprint) {
    this.known.push([thumbprint, `{key-${this.known.filter(([, name]) => name.startsWith('{key-')).length + 1}}`]);
  }
  name(kind, value) {
    const found = this.known.find(([known]) => known === value);
    if (found) return found[1];
    const name = `{${kind}-${this.known.filter(([, name]) => name.startsWith(`{${kind}-`)).length + 1}}`;
    this.known.push([value, name]);
    return name;
  }
  hide(text) {
    return this.known.reduce((text, [value, name]) => text.replaceAll(value, name), text);
  }
  show(text) {
    return this.known.reduce((text, [value, name]) => text.replaceAll(name, value), text);
  }
  form(text) {
    const seen = {};
    for (const [name, value] of new URLSearchParams(text)) {
      assert(!(name in seen), `${name} twice`);
      if (['state', 'code_challenge', 'code_verifier'].includes(name)) seen[name] = this.name(name, value);
      else if (name === 'client_assertion') seen[name] = this.assertion(value);
      else if (name === 'authorization_details') seen[name] = JSON.parse(value);
      else seen[name] = this.hide(value);
    }
    return seen;
  }
  assertion(text) {
    const [header, claims] = text.split('.').slice(0, 2).map(decode);
    return { header, claims: { ...claims, jti: this.name('assertion', claims.jti) } };
  }
  proof(text, headers, thumbprint) {
    const [header, { ath, jti, ...claims }] = text.split('.').slice(0, 2).map(decode);
    const token = headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1].match(/^DPoP (.*)$/)?.[1];
    assert.equal(ath, token && hash(token), 'the hash of the token');
    return { key: this.hide(thumbprint(JSON.stringify(header.jwk))), alg: header.alg, jti: this.name('jti', jti), ...claims };
  }
  request({ method, url, headers, body, content }, thumbprint) {
    const seen = { method, url, fields: {} };
    for (const [name, value] of headers) {
      if (name.toLowerCase() === 'dpop') {
        assert(!seen.proof, 'two proofs');
        seen.proof = this.proof(value, headers, thumbprint);
      } else {
        assert(!(name.toLowerCase() in seen.fields), 'a field twice');
        seen.fields[name.toLowerCase()] = this.hide(value);
      }
    }
    if (body === 'repeatable' || body === 'one_shot') seen.body = body;
    const text = content && Buffer.from(content).toString();
    if (body === 'bytes' && seen.fields['content-type'] === 'application/json') seen.json = JSON.parse(text);
    else if (body === 'bytes') seen.form = this.form(text);
    return seen;
  }
}

/** A host whose keys, store and locks are in memory, whose clock stands still, and whose network is a transcript. */
class Host {
  keys = new Map();
  slots = new Map();
  held = new Set();
  steps = [];
  answers = [];
  constructor(begin, names, thumbprint, protection) {
    Object.assign(this, { time: begin, names, thumbprint, protection: protection ?? 'software' });
  }
  now = () => this.time;
  async createKey(algorithms, protections) {
    this.steps.push({ step: 'create_key', algorithms, protections });
    if (!this.isRing) return this.newKey(algorithms);
    this.active ??= this.newKey(algorithms);
    return { ...this.active, shared: true };
  }
  newKey(algorithms) {
    const key = Key.generate(['ES256', 'Ed25519'].find((name) => algorithms.includes(name)));
    this.keys.set(key.thumbprint, key);
    this.names.key(key.thumbprint);
    return { publicJwk: key.publicJwk, algorithm: key.algorithm, protection: this.protection };
  }
  async deleteKey(thumbprint) {
    this.steps.push({ step: 'delete_key', key: this.names.hide(thumbprint) });
    this.keys.delete(thumbprint);
  }
  async sign({ thumbprint, for: purpose, message }) {
    this.steps.push({ step: 'sign', key: this.names.hide(thumbprint), for: purpose.replace('_', '') });
    const key = this.keys.get(thumbprint);
    if (!key) throw new KeyFault('missing');
    return { bytes: key.sign(message), encoding: 'raw' };
  }
  async fetch(request) {
    this.steps.push({ step: 'fetch', request: this.names.request(request, this.thumbprint) });
    assert(this.answers.length > 0, 'the transcript has no further answer');
    const answer = this.answers.shift();
    if (answer === 'not_sent') throw new NotSent(new TypeError('connection refused'));
    if (answer === null) throw new TypeError('connection refused');
    const show = (text) => this.names.known.filter(([, name]) => name.startsWith('{key-')).reduce((text, [key, name]) => text.replaceAll(name, key), text);
    const body = answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : show(JSON.stringify(answer.body));
    const lines = ([name, value]) => [value].flat().map((line) => [name, show(line)]);
    const headers = Object.entries(answer.fields ?? {}).flatMap(lines);
    return { status: answer.status, headers, body: Buffer.from(body) };
  }
  async lock(lock, lease) {
    this.steps.push({ step: 'lock', lock: this.names.hide(lock), lease });
    assert(!this.held.has(lock), `${lock} is locked twice`);
    this.held.add(lock);
    return () => {
      this.steps.push({ step: 'unlock', lock: this.names.hide(lock) });
      assert(this.held.delete(lock));
    };
  }
  async load(slot) {
    this.steps.push({ step: 'load', slot: this.names.hide(slot) });
    return this.slots.get(slot);
  }
  async save(slot, expected, version, value) {
    const shown = slot.startsWith('login/') ? `login/${this.names.name('state', slot.slice(6))}` : slot;
    this.steps.push({ step: 'save', slot: shown, action: value === undefined ? 'delete' : 'store', new: expected === undefined });
    if (this.slots.get(slot)?.version !== expected) return false;
    if (value === undefined) this.slots.delete(slot);
    else this.slots.set(slot, { version, value });
    return true;
  }
  async wait(seconds) {
    this.steps.push({ step: 'wait', ...(seconds < 1 ? { below: 1 } : { seconds }) });
    this.time += Math.floor(seconds);
  }
}

const BY_SESSION = ['keep', 'refresh', 'rekey', 'revoke', 'end', 'call', 'step_up', 'introspect'];

/** Plays one vector back with the exports of a build. */
export async function playBack(vector, core, verifies) {
  const names = new Names();
  const { protection, ring = false, credentials = [], ...config } = vector.client;
  const host = new Host(vector.begin, names, core.thumbprint, protection);
  const keyed = credentials.map((given) => {
    if (given.method !== 'private_key_jwt') return given;
    const { publicJwk, algorithm } = host.newKey(['ES256']);
    return { ...given, public_jwk: publicJwk, algorithm, key_id: 'client-key' };
  });
  host.isRing = ring;
  const client = new core.Client(JSON.stringify({ ...config, credentials: keyed }));
  const sessions = new Map();
  let discovered;
  let device;

  async function perform({ do: what, session: name, again, seconds, ...given }) {
    if (what === 'wait') {
      host.time += seconds;
      return {};
    }
    if (what === 'rotate') {
      host.active = undefined;
      return {};
    }
    const handles = new core.Handles();
    const session = sessions.get(name);
    if (what === 'look') {
      const members = (given.members ?? []).map((member) => [member, session.member(member) ?? null]);
      return { subject: JSON.parse(session.info()).subject ?? null, members: Object.fromEntries(members) };
    }
    if (discovered) handles.discovered(discovered);
    if (device && what === 'poll_device') handles.device(device);
    const repeated = again === true && session !== undefined;
    if (session && (repeated || BY_SESSION.includes(what))) handles.session(session);
    const more = { ...(name && !repeated && !BY_SESSION.includes(what) && { session: name }), ...(repeated && { again: true }) };
    if (what === 'introspect') more.token = session.dangerAccessToken();
    if (given.callback) given.callback = names.show(given.callback);
    const flow = () => drive(client.begin(JSON.stringify({ do: what, ...given, ...more }), handles, host.now()), host);
    const done = await guard(flow);
    const { result } = done;
    const shown = (session) => {
      const info = JSON.parse(session.info());
      return {
        session: info.name,
        level: info.level,
        issuer: info.issuer,
        resource: info.resource ?? null,
        scope: info.scope ?? null,
        key: info.thumbprint ? names.hide(info.thumbprint) : null,
        access_token: session.dangerAccessToken() ?? null,
        expires_at: info.expires_at ?? null,
      };
    };
    switch (result.kind) {
      case 'discovered':
        discovered = done.discovered;
        return { issuer: result.issuer, resource: result.resource ?? null };
      case 'authorization': {
        const [url, query] = result.url.split('?');
        return { url, query: names.form(query), pushed: result.pushed };
      }
      case 'session':
        sessions.set(JSON.parse(done.session.info()).name, done.session);
        return shown(done.session);
      case 'device':
        device = done.device;
        return { user_code: result.user_code, verification_uri: result.verification_uri };
      case 'issued':
        return { token: result.token, token_type: result.token_type };
      case 'claims':
        return JSON.parse(names.hide(JSON.stringify(result.claims)));
      case 'ended':
        return { revoked: result.revoked };
      case 'answer': {
        const { demand } = result;
        const said = demand?.do === 'step_up' ? { step_up: demand.scope } : (demand?.do ?? null);
        const ignored = result.ignored_challenge === undefined ? {} : { ignored_challenge: true };
        return { status: result.status, url: result.url, demand: said, ...ignored };
      }
      default:
        assert.equal(result.kind, 'nothing');
        return ['refresh', 'rekey'].includes(what) ? shown(session) : {};
    }
  }

  // WASM's client has no verifiers, and fetches no keys for ID tokens.
  const keys = vector.flow.flatMap(({ steps }) => steps.map(({ answer }) => answer?.body?.jwks_uri)).filter(Boolean);
  const isPlayed = ({ request }) => verifies || !keys.includes(request?.url);
  for (const { operation, steps: all, outcome } of vector.flow) {
    const steps = all.filter(isPlayed);
    host.steps = [];
    host.answers = steps.filter(({ step }) => step === 'fetch').map(({ answer }) => answer);
    let ended;
    try {
      ended = await perform(structuredClone(operation));
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      // The network's own error comes out as it is; the core calls it the host's.
      ended = { error: error instanceof KeyboundError ? error.reason : 'host' };
    }
    // Locks that a failed flow held are given back without a step of the core.
    const known = steps.map(({ answer, ...step }) => step);
    assert.deepEqual(host.steps.slice(0, known.length), known, JSON.stringify(operation));
    assert(host.steps.slice(known.length).every(({ step }) => step === 'unlock'), JSON.stringify(host.steps.slice(known.length)));
    assert.deepEqual(ended, outcome, JSON.stringify(operation));
    assert.equal(host.held.size, 0, 'a flow that ended holds no lock');
  }
}

async function guard(flow) {
  const { decoded } = await import('../dist/errors.js');
  try {
    return await flow();
  } catch (error) {
    throw decoded(error);
  }
}
