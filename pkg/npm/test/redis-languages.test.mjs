// A program in Rust, one in Python and one in Node use up the same proofs in one Redis: each is accepted once by all of them together.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Key, Verifier, proof } from 'keybound';

import { Server, skip } from './redis-server.mjs';

const SECRET = '5e'.repeat(32);
const PROOFS = 40;
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

// `cargo xtask test` names the two others; a missing one is a failure in the gate.
const { KEYBOUND_REDIS_ONCE: rust, KEYBOUND_PYTHON: python, CI } = process.env;
const missing = [rust, python].some((program) => program === undefined || !existsSync(program));
assert(!missing || CI === undefined, 'KEYBOUND_REDIS_ONCE and KEYBOUND_PYTHON name the programs of the other languages');

/** A program that prints the epoch of its store and then what becomes of each line. */
class Program {
  #child;
  #lines;

  constructor(command, ...given) {
    this.#child = spawn(command, given, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async line() {
    const { value, done } = await this.#lines.next();
    assert(!done, `${this.#child.spawnargs} has ended`);
    return value;
  }

  async present(shown) {
    this.#child.stdin.write(`${shown}\n`);
    return this.line();
  }

  async end() {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin.end();
    await once(this.#child, 'exit');
  }
}

suite('one Redis for three languages', { skip: skip || (missing && 'run by cargo xtask test, which builds the programs of the other languages') }, () => {
  const programs = [];
  let server;
  before(async () => (server = await Server.start()));
  after(async () => {
    await Promise.all(programs.map((program) => program.end()));
    await server?.stop();
  });

  test('rust_python_and_node_accept_one_proof_once', async () => {
    const shared = [`redis://127.0.0.1:${server.port}`, 'languages', SECRET];
    programs.push(
      new Program(rust, ...shared),
      new Program(python, path('../../python/tests/redis_once.py'), ...shared),
      new Program(process.execPath, path('redis-once.mjs'), ...shared, 'ioredis'),
      new Program(process.execPath, path('redis-once.mjs'), ...shared, 'redis'),
    );
    const epochs = await Promise.all(programs.map((program) => program.line()));
    assert.equal(new Set(epochs).size, 1, `they agree on the epoch: ${epochs}`);

    // Nonces of the store's life, as each of the programs would give them.
    const store = { epoch: () => epochs[0], insert: () => 'unavailable' };
    const nonces = { keys: [{ id: 1, secret: Buffer.from(SECRET, 'hex').toString('base64url') }] };
    const issuer = new Verifier({ nonces, store });
    const key = Key.generate();
    const made = { method: 'GET', url: 'https://api.example.com/items', key };
    const accepted = programs.map(() => 0);
    for (let number = 0; number < PROOFS; number += 1) {
      const shown = await proof({ ...made, nonce: issuer.freshNonce('token') });
      const insertions = await Promise.all(programs.map((program) => program.present(shown)));
      const counts = insertions.reduce((sum, insertion) => ({ ...sum, [insertion]: (sum[insertion] ?? 0) + 1 }), {});
      assert.deepEqual(counts, { fresh: 1, seen: programs.length - 1 }, `proof ${number}: ${insertions}`);
      accepted[insertions.indexOf('fresh')] += 1;
    }
    assert.equal(accepted.reduce((sum, count) => sum + count), PROOFS);
  });
});
