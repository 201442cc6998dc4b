// Plays requests back: the same events on one server give the same steps and the same ends.
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';

import { drive, fromByteString, toByteString } from '../dist/drive.js';
import { decoded } from '../dist/errors.js';

/** A request as the core takes it. */
const incoming = ({ request: { fields, certificate, ...request } }) => ({
  ...request,
  fields: fields.flat(),
  ...(certificate && { certificate: new Uint8Array(Buffer.from(certificate, 'base64url')) }),
});

/** The server of a vector, and how it is asked. */
function serverOf({ resource, authorization, verifier, store }, core) {
  const [Server, ...options] = resource
    ? [core.ResourceServer, JSON.stringify(resource), JSON.stringify(verifier)]
    : [core.AuthorizationServer, JSON.stringify({ ...authorization, ...verifier })];
  const memory = store && new core.MemoryStore(store.capacity, JSON.stringify(verifier), store.floor);
  const server = memory ? Server.withStore(...options, memory) : new Server(...options);
  const admit = resource
    ? (event) => server.admit(incoming(event), event.now)
    : ({ request, proofs, now }) => server.admit(JSON.stringify(request), proofs, now);
  return { server, admit, check: (event) => server.check(incoming(event), event.now) };
}

export function playBackRequests(vector, core) {
  const { server, admit, check } = serverOf(vector, core);
  const flows = new Map();
  const principals = new Map();

  // A step as vectors show it. Pauses between attempts are random, and shorter than a second.
  const shown = (name, flow, step) => {
    let seen;
    try {
      seen = JSON.parse(step());
    } catch (error) {
      return { error: decoded(error).reason };
    }
    if (seen.result?.kind === 'admitted') principals.set(name, flow.principal());
    return seen.milliseconds < 1000 ? { step: 'wait', below: 1 } : seen;
  };
  const same = (all) => {
    for (const one of all) assert.deepEqual(one, all[0]);
    return all[0];
  };
  const keep = (name, begun) => {
    flows.set(name, begun);
    return same(begun.map((flow) => shown(name, flow, () => flow.step())));
  };
  const begin = ({ as, times = 1 }, one) => {
    try {
      return keep(as, Array.from({ length: times }, one));
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return { error: decoded(error).reason };
    }
  };
  const does = {
    admit: (event) => begin(event, () => admit(event)),
    check: (event) => begin(event, () => check(event)),
    resume: ({ of, reply, now }) => same(flows.get(of).map((flow) => shown(of, flow, () => flow.resume(JSON.stringify(reply), now)))),
    task: ({ of, as, now }) => {
      const task = flows.get(of)[0].task(now);
      return task ? keep(as, [task]) : null;
    },
    abandon: ({ of }) => {
      for (const flow of flows.get(of)) flow.abandon();
      return null;
    },
    carry_out: (event) => begin(event, () => principals.get(event.of).carryOut(event.method, event.url, Buffer.from(event.body), event.now)),
    require_scopes: ({ of, scopes }) => JSON.parse(principals.get(of).requireScopes(scopes) ?? null),
    refuse_revoked: ({ of }) => JSON.parse(principals.get(of).refuseRevoked()),
    route: ({ target, mount_path: mountPath, path }) => JSON.parse(server.route(target, Buffer.from(mountPath, 'latin1'), Buffer.from(path, 'latin1'))),
  };
  for (const [number, event] of vector.events.entries()) {
    assert.deepEqual(does[event.do](event), event.seen, `event ${number}: ${event.do} ${event.as ?? event.of ?? ''}`);
  }
}

/**
 * The same through the driver, which runs shared work itself: the vector's host answers when the vector says, and those who wait go on by
 * the driver's doing. Vectors in which something is given up are for the flows alone: the driver's own clock decides that.
 */
export async function driveRequests(vector, core) {
  const server = serverOf(vector, core);
  const [flows, steps, asked] = [new Map(), new Map(), []];
  let [now, over] = [undefined, false];
  const ask = (what) => new Promise((resolve, reject) => asked.push({ what: JSON.parse(JSON.stringify(what)), resolve, reject }));
  const host = {
    now: () => now,
    fetch: ({ method, url, headers, body, content, maxBody, timeout }) =>
      ask({ step: 'fetch', method, url, headers, body, ...(content && { content: toByteString(content) }), max_body: maxBody, timeout }),
    // A moment before looking again at shared work that another began.
    wait: (seconds) => (seconds < 0.1 && !over ? new Promise(setImmediate) : ask({ step: 'wait', below: 1 })),
    ask: (question, subject) => ask({ step: 'ask', question, subject, timeout: 10 }),
    insert: (entry) => ask({ step: 'insert', entry: JSON.parse(entry.toJson()) }),
  };
  const answer = ({ response, inserted, told, failed }, { resolve, reject }) => {
    if (failed !== undefined) return reject(new Error(failed));
    return resolve(response ? { ...response, body: fromByteString(response.body) } : (inserted ?? told));
  };
  const begin = (name, one) => flows.set(name, drive(one(), host));
  try {
    for (const [number, event] of vector.events.entries()) {
      const about = `event ${number}: ${event.do} ${event.as ?? event.of ?? ''}`;
      const name = event.as ?? event.of;
      now = event.now;
      if ((event.do === 'admit' || event.do === 'check') && !event.seen.error) {
        for (let times = event.times ?? 1; times > 0; times -= 1) begin(name, () => server[event.do](event));
      } else if (event.do === 'carry_out') {
        const { principal } = await flows.get(event.of);
        begin(name, () => principal.carryOut(event.method, event.url, Buffer.from(event.body), now));
      } else if (event.do === 'resume' && steps.get(name).step !== 'share') {
        const found = asked.findIndex(({ what }) => isDeepStrictEqual(what, steps.get(name)));
        assert(found >= 0, `${about}: the driver does not ask for ${JSON.stringify(steps.get(name))}, but for ${JSON.stringify(asked)}`);
        answer(event.reply, asked.splice(found, 1)[0]);
      }
      steps.set(name, event.seen);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      if (event.seen?.step === 'done' && flows.has(name)) assert.deepEqual((await flows.get(name)).result, event.seen.result, about);
    }
  } finally {
    over = true;
  }
  // Nothing is asked for that the vector leaves out.
  const open = [...steps.values()].filter((seen) => ['fetch', 'wait', 'ask', 'insert'].includes(seen?.step));
  assert.deepEqual(asked.map(({ what }) => what.step), open.map(({ step }) => step));
}
