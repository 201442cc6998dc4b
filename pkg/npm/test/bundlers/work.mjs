// Where the tests of bundlers build: folders of this one, so that the packed package is found as an application finds it.

import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const HERE = fileURLToPath(new URL('.', import.meta.url));
const PACKED = `${HERE}node_modules/keybound/`;

/** Why the tests cannot run here; false if they can. For `skip`. */
export const missing = !existsSync(`${PACKED}dist/index.js`) && `${PACKED} is missing; run cargo xtask test --only bundlers`;

/** An empty folder. */
export async function folder(name) {
  const path = `${HERE}work/${name}/`;
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  return path;
}

/** A copy of an application of this folder. */
export async function application(name, ...files) {
  const path = await folder(name);
  for (const file of files) await cp(`${HERE}${file}`, path + file.split('/').at(-1), { recursive: true });
  return path;
}

/** Copies the WebAssembly beside a bundle, as the message of a bundle without it says. */
export async function copyWasm(to, names) {
  for (const name of names) await copyFile(`${PACKED}dist/wasm/${name}_bg.wasm`, `${to}${name}_bg.wasm`);
}

/** The page that loads a bundle: `script` are the attributes of its element. */
export async function writePage(to, script) {
  const page = await readFile(`${HERE}page/index.html`, 'utf8');
  await writeFile(`${to}index.html`, page.replace('type="module" src="./main.js"', script));
}

/** The names of the files in a folder and below. */
export async function files(path) {
  return (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);
}
