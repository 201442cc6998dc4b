// Every snippet of the README and the guides compiles as TypeScript with `strict`.
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

test('snippets compile with strict', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'keybound-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules', 'keybound'));
    for (const name of ['express', 'fastify', 'hono', 'ioredis', 'supertest', '@types']) await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    let [compiled, left] = [0, 0];
    for (const path of ['README.md', '../../docs/node.md', '../../docs/browser.md']) {
      for (const code of await snippets(path)) {
        if (PARTS.test(code)) {
          left += 1;
          continue;
        }
        const name = /^\/\/ (\S+)\.js\b/.exec(code)?.[1] ?? `snippet-${String(compiled)}`;
        await writeFile(join(folder, `${name}.ts`), asTypeScript(code));
        compiled += 1;
      }
    }
    const compilerOptions = { target: 'es2022', module: 'nodenext', moduleResolution: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, lib: ['es2023', 'dom', 'dom.iterable'], types: ['node'] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const said = await promisify(execFile)(process.execPath, [compiler, '--project', folder]).then(() => '', ({ stdout }) => stdout);
    assert.equal(said, '');
    assert.ok(compiled >= 22 && left <= 3, `${String(compiled)} compiled, ${String(left)} left out`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
