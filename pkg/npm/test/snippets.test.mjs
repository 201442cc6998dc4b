// Every snippet of the README and the guides compiles as TypeScript with `strict`, and what would weaken a check does not.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a snippet goes on with that another one, or the reader, made: the first whose snippets have the word, and lack what declares it. */
const AROUND = [
  [/client\.(fetch|needs|onChange|logout|explain)\(/, "declare const client: import('keybound/browser').Client;", /new Client|createClient/],
  [/openBrowser/, 'declare function openBrowser(url: string): void;'],
  [/request\.headers\.dpop/, "declare const request: import('node:http').IncomingMessage;"],
  [/database/, 'declare const database: { insertIfAbsent(key: string, lifetime: number): Promise<boolean> };'],
  [/^const store = await RedisReplayStore/, "import { Redis } from 'ioredis'; import { RedisReplayStore } from 'keybound/redis'; declare const url: string;"],
  [/^const pending = /, "declare const verifier: import('keybound').Verifier; declare const presented: import('keybound').Presented; declare const store: import('keybound').ReplayStore;"],
  [/^app\.get\('\/health'/, "import express from 'express'; import { protect, type ProtectionOptions } from 'keybound/express'; const app = express(); declare const options: ProtectionOptions;"],
  [/request\(app\)/, "declare const issuer: import('keybound/testing').TestIssuer; declare const app: import('express').Express & import('fastify').FastifyInstance;"],
];
/** One line each for frameworks that have a name in common, some of packages that are not installed here. */
const PARTS = /\/\/ (Express|Fastify|Hono)\b.*\n.*\/\/ (Express|Fastify|Hono)\b/;

async function snippets(path) {
  const text = await readFile(join(root, path), 'utf8');
  return [...text.matchAll(/^```(?:js|ts)\n(.*?)^```/gms)].map(([, code]) => code);
}

function asTypeScript(code) {
  const around = AROUND.filter(([word, , own]) => word.test(code) && own?.test(code) !== true).map(([, text]) => text);
  // As the README says beside it.
  const typed = code.replace('createApp(options)', "createApp(options: import('keybound/hono').ProtectionOptions)");
  return `${around.join('\n')}\n${typed}\nexport {};\n`;
}

/** What the compiler says about `files`, in a folder where the package is installed. */
async function compiled(files) {
  const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules', 'keybound'));
    for (const name of ['express', 'fastify', 'hono', 'ioredis', 'supertest', '@types']) await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    for (const [name, text] of files) await writeFile(join(folder, `${name}.ts`), text);
    const compilerOptions = { target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, lib: ['es2023', 'dom', 'dom.iterable'], types: ['node'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    return await promisify(execFile)(process.execPath, [compiler, '--project', folder]).then(() => '', ({ stdout }) => stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('snippets compile with strict', async () => {
  const files = [];
  let left = 0;
  for (const path of ['README.md', '../../docs/node.md', '../../docs/browser.md']) {
    for (const code of await snippets(path)) {
      if (PARTS.test(code)) {
        left += 1;
        continue;
      }
      const name = /^\/\/ (\S+)\.js\b/.exec(code)?.[1] ?? `snippet-${String(files.length)}`;
      files.push([name, asTypeScript(code)]);
    }
  }
  assert.equal(await compiled(files), '');
  assert.ok(files.length >= 22 && left <= 3, `${String(files.length)} compiled, ${String(left)} left out`);
});

test('a proof is verified with its access token, or said to be presented at an authorization server', async () => {
  const program = `
import { explain, verify, type ReplayStore, type Verifier } from 'keybound';
declare const verifier: Verifier;
declare const store: ReplayStore;
declare const proof: string | undefined;
declare const jkt: string;
const request = { method: 'GET', url: 'https://api.example.com/items', proof };
verifier.check({ ...request, accessToken: 't', boundTo: jkt });
verifier.check({ ...request, atAuthorizationServer: true });
verifier.check({ ...request, atAuthorizationServer: true, boundTo: jkt });
await verify({ ...request, accessToken: 't', boundTo: jkt, store });
await verify({ ...request, atAuthorizationServer: true, store, policy: { maxAge: 60 } });
await verifier.verifyMany([{ ...request, accessToken: 't', boundTo: jkt }, { ...request, atAuthorizationServer: true }]);
await explain(request);
await verifier.explain({ ...request, accessToken: 't' });
// @ts-expect-error: the token is forgotten
verifier.check(request);
// @ts-expect-error: the token is forgotten
verifier.check({ ...request, boundTo: jkt });
// @ts-expect-error: the token is forgotten
await verify({ ...request, boundTo: jkt, store });
// @ts-expect-error: the token may be missing
await verifier.verify({ ...request, accessToken: proof, boundTo: jkt });
// @ts-expect-error: nothing says what the token is bound to
await verifier.verify({ ...request, accessToken: 't' });
// @ts-expect-error: there is no token yet
verifier.verifySync({ ...request, accessToken: 't', boundTo: jkt, atAuthorizationServer: true });
// @ts-expect-error: one of them is without a token
await verifier.verifyMany([{ ...request, accessToken: 't', boundTo: jkt }, request]);
`;
  assert.equal(await compiled([['program', program]]), '');
});
