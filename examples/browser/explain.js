// The first section: why a proof was refused, check by check, or what a 401 means.

import { advice as advising, core, decode, now, wording } from './core.js';
import { at, bringIntoView, element, facts, show } from './dom.js';
import { read } from './paste.js';

const MARKS = { passed: '✓', failed: '✗', not_judged: '·' };
const SAYS = { passed: 'passed', failed: 'failed', not_judged: 'not judged' };

/** Wires the section. */
export function setUp() {
  at('paste').addEventListener('input', () => fill());
  at('paste').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) at('explain-form').requestSubmit();
  });
  at('explain-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void explain();
  });
  at('example-proof').addEventListener('click', () => void exampleProof());
  at('example-response').addEventListener('click', () => {
    at('paste').value = EXAMPLE_RESPONSE;
    fill();
    void explain();
  });
}

/** Puts a proof and its request into the form and explains them. */
export async function explainProof({ proof, method, url, token }) {
  at('paste').value = proof;
  fill();
  Object.entries({ method, url, token }).forEach(([id, value]) => (at(id).value = value));
  await explain();
  at('explained').focus({ preventScroll: true });
  at('explain').scrollIntoView({ behavior: 'instant' });
  bringIntoView(at('explained'));
}

/** Reads what was pasted into the fields of the request. */
function fill() {
  const pasted = read(at('paste').value);
  const isResponse = pasted?.kind === 'response';
  at('request-fields').hidden = isResponse;
  if (pasted === null) {
    at('paste-kind').textContent = at('paste').value.trim() === '' ? 'Nothing pasted yet.' : 'This is neither a proof nor a request nor a response.';
    return;
  }
  if (isResponse) {
    at('paste-kind').textContent = `A response with status ${pasted.status}.`;
    return;
  }
  const claims = decode(pasted.proofs[0] ?? '')?.claims;
  at('paste-kind').textContent = pasted.method === undefined ? 'A proof.' : `A request with ${pasted.proofs.length === 1 ? 'one proof' : `${pasted.proofs.length} proofs`}.`;
  if (pasted.method !== undefined) at('method').value = pasted.method;
  else if (typeof claims?.htm === 'string') at('method').value = claims.htm;
  if (pasted.url !== undefined) at('url').value = pasted.url;
  else if (at('url').value === '' && typeof claims?.htu === 'string') at('url').value = claims.htu;
  if (pasted.token !== undefined) at('token').value = pasted.token;
}

async function explain() {
  const region = at('explained');
  const pasted = read(at('paste').value);
  try {
    if (pasted === null) show(region, element('p', { class: 'empty' }, 'Paste a proof, a request, a curl command or a 401 first.'));
    else if (pasted.kind === 'response') show(region, ...(await explainedResponse(pasted)));
    else show(region, ...(await explainedProof(pasted)));
  } catch (error) {
    show(region, element('p', { class: 'verdict' }, wording(error)));
  }
}

async function explainedResponse({ status, headers, body }) {
  const { explainResponse } = await advising();
  const byteString = (text) => String.fromCharCode(...new TextEncoder().encode(text));
  const advice = JSON.parse(explainResponse(JSON.stringify({
    status, headers: headers.map(([name, value]) => [name, byteString(value)]), body: byteString(body),
  })));
  const head = element('p', { class: status < 400 ? 'verdict good' : 'verdict' }, advice.wrong,
    element('small', {}, [advice.error, advice.reason].filter(Boolean).join(' · ')));
  const nodes = [head, facts([
    ['Cause', advice.cause], ['Do', advice.next], ['Nonce', advice.nonce && element('code', {}, advice.nonce)],
    ['Clock', advice.clock_offset === null ? null : `the server's is ${advice.clock_offset} s ahead of this one`],
  ])];
  for (const challenge of advice.challenges.length > 1 ? advice.challenges : []) {
    nodes.push(element('h3', { class: 'bar' }, challenge.scheme), facts([['Error', challenge.error], ['Means', challenge.meaning]]));
  }
  const algs = advice.challenges.flatMap(({ algs }) => algs);
  if (algs.length > 0) nodes.push(facts([['Algorithms', algs.join(', ')]]));
  return nodes;
}

async function explainedProof({ proofs }) {
  const { Verifier, reasons, thumbprint } = await core();
  const [proof = ''] = proofs;
  const decoded = decode(proof);
  const token = at('token').value.trim() || undefined;
  const boundTo = at('bound').value.trim() || (token === undefined ? undefined : binding(token, decoded, thumbprint));
  const made = Math.floor(decoded?.claims.iat ?? now());
  const time = at('when').value === 'iat' ? made : now();
  const options = JSON.stringify({ preset: at('policy').value });
  const expectedNonce = at('expected-nonce').value.trim() || undefined;
  const presented = { method: at('method').value.trim(), url: at('url').value.trim(), proofs, accessToken: token, boundTo, expectedNonce };
  const explanation = JSON.parse(new Verifier(options).explain(presented, time));
  const questions = new Map(JSON.parse(reasons()).checks.map(({ check, question }) => [check, question]));
  const verdict = explanation.accepted
    ? element('p', { class: 'verdict good' }, 'Accepted', element('small', {}, 'if it was not used before'))
    : element('p', { class: 'verdict' }, `Refused: ${explanation.reason}`, element('small', {}, explanation.section));
  const list = element('ol', { class: 'checks' });
  for (const { check, outcome, because, expected, found, cause, fix } of explanation.checks) {
    list.append(element('li', { class: outcome },
      element('span', { class: 'mark', role: 'img', 'aria-label': SAYS[outcome] }, MARKS[outcome]),
      element('div', {}, element('h3', {}, questions.get(check) ?? check),
        because !== undefined && element('small', {}, `not judged because of “${questions.get(because) ?? because}”`),
        outcome === 'failed' && facts([['Expected', expected], ['Found', found], ['Cause', cause], ['Fix', fix]]))));
  }
  return [verdict, list, decoded && shownJwt(decoded)].filter(Boolean);
}

/** The key that a token is bound to: what it says itself, else the proof's, so that everything but the binding is judged. */
function binding(token, decoded, thumbprint) {
  const said = decode(token)?.claims?.cnf?.jkt;
  if (typeof said === 'string') return said;
  try {
    return thumbprint(JSON.stringify(decoded.header.jwk));
  } catch {
    // Without a usable key the binding is not judged.
    return 'A'.repeat(43);
  }
}

/** A decoded proof. */
export function shownJwt({ header, claims }) {
  const block = element('pre', { class: 'block', tabindex: '0', 'aria-label': 'The decoded proof' });
  block.append(element('span', { class: 'a' }, JSON.stringify(header, null, 2)), '\n', element('span', { class: 'b' }, JSON.stringify(claims, null, 2)));
  return block;
}

/** A proof for another method than the request's, made on the spot. */
async function exampleProof() {
  const { Key, proof } = await core();
  const key = Key.generate('ES256');
  at('token').value = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
  const text = proof('GET', 'https://api.example.com/items', at('token').value, undefined, key, now());
  at('paste').value = text;
  fill();
  at('method').value = 'POST';
  at('url').value = 'https://api.example.com/items?page=2';
  at('bound').value = '';
  at('expected-nonce').value = '';
  await explain();
}

const EXAMPLE_RESPONSE = `HTTP/1.1 401 Unauthorized
WWW-Authenticate: Bearer, DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof", algs="ES256 Ed25519"
DPoP-Nonce: eyJ7S_zG.eyJH0-Z.HX4w-7v
Cache-Control: no-store
`;
