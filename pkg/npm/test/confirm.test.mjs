// Whether a login in a page may be stored is the page's word, and nothing but `true` says yes.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { confirmed } from '../dist/browser/confirm.js';

const ALICE = { issuer: 'https://as.example.com', sub: 'did:plc:alice' };

async function run(confirm, failing) {
  const done = [];
  const end = await confirmed(ALICE, confirm, async (what) => {
    done.push(what);
    if (what === failing) throw new Error(`${what} failed`);
  }).then(() => 'kept', (error) => error);
  return { done, end };
}

test('a login that the page confirms is kept', async () => {
  const asked = [];
  const { done, end } = await run(async (subject) => asked.push(subject) === 1);
  assert.deepEqual([done, end, asked], [['keep'], 'kept', [ALICE]]);
});

test('anything but true ends it, whatever the server makes of that', async () => {
  for (const answer of [false, undefined, 1, 'true', {}]) {
    const { done, end } = await run(() => answer, 'end');
    assert.deepEqual(done, ['end']);
    assert.deepEqual([end.reason, end.constructor.name], ['subject_mismatch', 'LoginRequired']);
  }
});

test('a page that fails to find out ends it, and its error comes out', async () => {
  const { done, end } = await run(async () => {
    throw new Error('no network');
  });
  assert.deepEqual([done, end.message], [['end'], 'no network']);
});

test('a session that cannot be stored is an error', async () => {
  const { done, end } = await run(() => true, 'keep');
  assert.deepEqual([done, end.message], [['keep'], 'keep failed']);
});
