// Servers of `server/app.js`: how they are started, and what they have to do.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';

// The same copy of the package as that of the key, which is not the packed one.
import { proof } from '../../dist/index.node.js';
import { ISSUER, key, optionsFor, tokenFor } from '../protected.mjs';
import { application } from './work.mjs';

const RESOURCE = 'https://api.example.com';

/** Starts a program and waits until it says where it listens: `port 1234`, as workerd in `"port":1234` (in the third file), or as Next.js in its URL. */
export async function started(command, args, { cwd, from = 'stdout', env = {} } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  let complained = '';
  child.stderr.on('data', (text) => (complained += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  const port = await new Promise((resolve, reject) => {
    createInterface(from === 'stdout' ? child.stdout : child.stdio[3]).on('line', (line) => {
      const said = /(?:port"?[ :]|Local: +http:\/\/[^:]+:)(\d+)/.exec(line);
      if (said !== null) resolve(Number(said[1]));
    });
    ended.then(() => reject(new Error(`${basename(command)} ended: ${complained}`)));
  });
  const stop = () => {
    child.kill();
    return ended;
  };
  return { origin: `http://127.0.0.1:${port}`, stop, said: () => complained };
}

/** Asks a server of `server/app.js` everything. */
export async function works({ origin, stop, said }, build) {
  try {
    const made = await fetch(`${origin}/proof`);
    assert.equal(made.status, 200, `${await made.clone().text()}${said()}`);
    assert.deepEqual(await made.json(), ['ES256', 'replayed', false, 'no_session']);
    const url = `${RESOURCE}/items`;
    const token = await tokenFor(RESOURCE);
    const asked = async (nonce, again) => {
      const shown = again ?? (await proof({ method: 'GET', url, key, accessToken: token, ...(nonce && { nonce }) }));
      return [await fetch(`${origin}/items`, { headers: { authorization: `DPoP ${token}`, dpop: shown } }), shown];
    };
    assert.equal((await fetch(`${origin}/items`)).status, 401);
    const [challenge] = await asked();
    assert.equal(challenge.status, 401, `${await challenge.clone().text()}${said()}`);
    const [answer, shown] = await asked(challenge.headers.get('dpop-nonce'));
    assert.equal(answer.status, 200, `${await answer.clone().text()}${said()}`);
    assert.deepEqual(await answer.json(), { hello: 'alice', build });
    assert.equal((await asked(undefined, shown))[0].status, 401, 'a second time');
  } finally {
    await stop();
  }
}

/** The application in a folder of its own. */
export async function written(name) {
  const path = await application(name, 'server/app.js', 'server/edge.js', 'server/listen.js');
  await configure(path);
  return path;
}

/** Says in a folder which issuer and resource the application there has. */
export async function configure(path) {
  const [{ keys }] = optionsFor(RESOURCE).issuers;
  const config = { issuer: ISSUER, keys, resource: RESOURCE };
  await writeFile(`${path}config.js`, Object.entries(config).map(([is, value]) => `export const ${is} = ${JSON.stringify(value)};\n`).join(''));
}
