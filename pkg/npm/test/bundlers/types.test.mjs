// What TypeScript sees, in each way of resolving packages.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { folder, missing } from './work.mjs';

const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));

const PROGRAM = `import { Client, FileStore, Key, Loopback, MemoryReplayStore, Verifier, proof } from 'keybound';
import { createClient, type ClientOptions } from 'keybound/browser';
import { createClient as inline } from 'keybound/browser/inline';
import * as page from 'keybound/inline';
import { protect } from 'keybound/express';
import { protect as hono } from 'keybound/hono';
import { protect as server, type Decision } from 'keybound/server';
import { RedisReplayStore } from 'keybound/redis';

const loopback: Loopback = await Loopback.listen();
const client = new Client({ level: 'enhanced', redirectUri: loopback.redirectUri }, await FileStore.open('./sessions'));
const discovered = await client.discover('https://api.example.com');
const session = await client.login({ session: 'work', discovered }, loopback, (url: string) => console.log(url));
const response: Response = await client.fetch(session)('https://api.example.com');
const made: string = await proof({ method: 'GET', url: 'https://api.example.com', key: Key.generate() });
const options: ClientOptions = { level: 'enhanced', redirectUri: 'https://a.example', wasm: { client: new Uint8Array(8) } };
export { MemoryReplayStore, RedisReplayStore, Verifier, createClient, hono, inline, made, options, page, protect, response, server };
export type { Decision };
// @ts-expect-error There is no such export.
export { nothing } from 'keybound';
`;

describe('TypeScript', { skip: missing }, () => {
  for (const [module, moduleResolution] of [['esnext', 'bundler'], ['preserve', 'bundler'], ['node16', 'node16'], ['nodenext', 'nodenext']]) {
    test(`module ${module}, moduleResolution ${moduleResolution}`, async () => {
      const path = await folder(`types-${module}`);
      await writeFile(`${path}program.ts`, PROGRAM);
      await writeFile(`${path}package.json`, '{ "type": "module" }');
      const compilerOptions = { module, moduleResolution, target: 'es2022', lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable'], types: [], strict: true, noEmit: true, skipLibCheck: true };
      await writeFile(`${path}tsconfig.json`, JSON.stringify({ compilerOptions, include: ['program.ts'] }));
      const said = await promisify(execFile)(process.execPath, [compiler, '--project', path]).then(() => '', ({ stdout }) => stdout);
      assert.equal(said, '');
    });
  }
});
