// The second section: a key of WebCrypto, and proofs by it.

import { core, decode, now, wording } from './core.js';
import { at, copyButton, element, show } from './dom.js';
import { explainProof, shownJwt } from './explain.js';

const KEYS = {
  ES256: { make: { name: 'ECDSA', namedCurve: 'P-256' }, sign: { name: 'ECDSA', hash: 'SHA-256' }, members: ['crv', 'kty', 'x', 'y'] },
  Ed25519: { make: { name: 'Ed25519' }, sign: { name: 'Ed25519' }, members: ['crv', 'kty', 'x'] },
};

let key = null;

/** Wires the section. */
export function setUp() {
  at('make-key').addEventListener('click', () => void guarded(makeKey));
  at('make-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void guarded(makeProof);
  });
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    show(at('made'), element('p', { class: 'verdict' }, wording(error)));
  }
}

async function makeKey() {
  const algorithm = at('algorithm').value;
  const { make, members } = KEYS[algorithm];
  const pair = await crypto.subtle.generateKey(make, false, ['sign', 'verify']);
  const jwk = await crypto.subtle.exportKey('jwk', pair.publicKey);
  const publicJwk = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])));
  key = { algorithm, publicJwk, privateKey: pair.privateKey };
  at('jkt').textContent = (await core()).thumbprint(publicJwk);
}

async function makeProof() {
  if (key === null || key.algorithm !== at('algorithm').value) await makeKey();
  const [method, url, token] = ['make-method', 'make-url', 'make-token'].map((id) => at(id).value.trim());
  const nonce = at('make-nonce').value.trim();
  const { prepare } = await core();
  const unsigned = prepare(method, url, token || undefined, nonce || undefined, key.publicJwk, key.algorithm, now());
  const signature = await crypto.subtle.sign(KEYS[key.algorithm].sign, key.privateKey, unsigned.message());
  const proof = unsigned.attach(new Uint8Array(signature), 'raw');
  const explain = element('button', { type: 'button' }, 'Explain it');
  explain.addEventListener('click', () => void explainProof({ proof, method, url, token }));
  const [header, claims, sealed] = proof.split('.');
  show(at('made'),
    element('pre', { class: 'block', tabindex: '0', id: 'proof' }, element('span', { class: 'a' }, header), '.', element('span', { class: 'b' }, claims), '.', element('span', { class: 'c' }, sealed)),
    element('div', { class: 'actions' }, explain, copyButton(proof)),
    shownJwt(decode(proof)));
}
