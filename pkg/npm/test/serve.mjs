// `keybound serve` for tests: KEYBOUND_PROGRAM, or the program in target/debug, or that of CARGO_TARGET_DIR.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

const places = [
  process.env.KEYBOUND_PROGRAM,
  process.env.CARGO_TARGET_DIR && `${process.env.CARGO_TARGET_DIR}/debug/keybound`,
  new URL('../../../target/debug/keybound', import.meta.url).pathname,
];

/** The program, which `cargo build -p keybound-cli` makes. */
export function program() {
  const found = places.find((place) => place && existsSync(place));
  if (!found) throw new Error('there is no keybound program: cargo build -p keybound-cli, or name one in KEYBOUND_PROGRAM');
  return found;
}

/** Starts the servers; gives `issuer`, `resource`, `client_id`, `client_secret` and `stop`. */
export async function serve(...options) {
  const child = spawn(program(), ['serve', '--listen', '127.0.0.1:0', '--format', 'json', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  const first = await new Promise((resolve, reject) => {
    lines.once('line', resolve);
    child.once('error', reject).once('exit', (code) => reject(new Error(`keybound serve ended with ${code}`)));
  });
  return { ...JSON.parse(first), stop: () => child.kill() };
}

/** What a browser does: it follows redirects, the last of them to the program that waits on loopback. */
export async function browse(url) {
  await (await fetch(url)).arrayBuffer();
}
