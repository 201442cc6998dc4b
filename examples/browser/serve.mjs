// Serves the playground, and the built package beside it: `node examples/browser/serve.mjs [--port 8080]`. No dependencies.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const TYPES = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.mjs', 'text/javascript; charset=utf-8'],
  ['.json', 'application/json'],
  ['.svg', 'image/svg+xml'],
  ['.wasm', 'application/wasm'],
]);

/**
 * The headers of every page. Scripts come from here alone, and WebAssembly needs its own word; requests may go to any server,
 * because a playground does not know which. An application names its servers in `connect-src`.
 */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self' http: https:; "
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = fileURLToPath(new URL('../../pkg/npm/dist', import.meta.url));

/**
 * Starts a server on loopback.
 *
 * @param {{ port?: number, root?: string, packageRoot?: string }} [options] port 0 takes a free one
 * @returns {Promise<{ origin: string, close: () => Promise<void> }>}
 */
export function serve({ port = 0, root = here, packageRoot = dist } = {}) {
  const server = createServer((request, response) => {
    answer(request, response, { root, packageRoot }).catch(() => refuse(response, 500));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const close = () => new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      });
      resolve({ origin: `http://127.0.0.1:${server.address().port}`, close });
    });
  });
}

async function answer(request, response, { root, packageRoot }) {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
  const path = pathOf(request.url);
  if (path === null) return refuse(response, 400);
  // Logins come back to /callback: the same page.
  const wanted = path === '/' || path === '/callback' ? '/index.html' : path;
  const inPackage = wanted.startsWith('/keybound/');
  const file = join(inPackage ? packageRoot : root, normalize(inPackage ? wanted.slice('/keybound'.length) : wanted));
  const type = TYPES.get(extname(file));
  const within = file.startsWith((inPackage ? packageRoot : root).replace(/[/\\]?$/, sep));
  const found = within && type !== undefined ? await stat(file).catch(() => null) : null;
  if (found === null || !found.isFile()) return refuse(response, 404);
  response.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': found.size });
  if (request.method === 'HEAD') return response.end();
  createReadStream(file).on('error', () => response.destroy()).pipe(response);
}

function pathOf(target) {
  try {
    return decodeURIComponent(new URL(target, 'http://localhost').pathname);
  } catch {
    return null;
  }
}

function refuse(response, status) {
  if (response.headersSent) return response.destroy();
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${status}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = process.argv.indexOf('--port');
  const port = at < 0 ? 8080 : Number(process.argv[at + 1]);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error('usage: node examples/browser/serve.mjs [--port NUMBER]');
    process.exitCode = 2;
  } else if ((await stat(join(dist, 'wasm', 'full.js')).catch(() => null)) === null) {
    console.error('the package is not built yet: run `cargo xtask build npm`, then start this again');
    process.exitCode = 3;
  } else {
    const { origin } = await serve({ port });
    console.log(`playground  ${origin}\nservers     run "keybound serve" in another terminal, and log in there`);
  }
}
