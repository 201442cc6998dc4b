// The third section: a login at a server, calls with the session, and what went over the wire.

import { createClient } from '/keybound/browser/index.js';

import { decode } from './core.js';
import { at, bringIntoView, element, facts, recall, remember, show } from './dom.js';

/** The session is the default one; a playground asks for what `keybound serve` has to give. */
const CLIENT = { level: 'enhanced', register: { client_name: 'Keybound playground' }, scope: 'read', allowLoopback: true };

let client = null;
/** The last token that was sent, for the thief, and the origin that it was sent to: it is shown to no other server. */
let stolen = null;

/** Wires the section, and completes a login that came back. */
export async function setUp() {
  watchRequests();
  at('resource').value = recall('resource') ?? at('resource').value;
  at('login').addEventListener('click', () => acted(() => current().login()));
  at('refresh').addEventListener('click', () => acted(() => current().refresh()));
  at('logout').addEventListener('click', () => acted(() => {
    stolen = null;
    return current().logout();
  }));
  at('clear').addEventListener('click', () => show(at('log')));
  at('bearer').addEventListener('click', () => acted(steal));
  at('live-form').addEventListener('submit', (event) => {
    event.preventDefault();
    acted(call);
  });
  at('resource').addEventListener('change', () => void act(() => current().open()));
  await act(async () => {
    await current().handleRedirect();
    await current().open();
  });
  if (location.pathname !== '/callback') return;
  history.replaceState(null, '', '/#live');
  at('live').scrollIntoView();
}

/** The client for the resource that the form names. */
function current() {
  const resource = at('resource').value.trim();
  if (client?.resource === resource) return client.made;
  client?.made.close();
  stolen = null;
  remember('resource', resource);
  const made = createClient({ ...CLIENT, resource, redirectUri: `${location.origin}/callback`, database: `playground:${resource}` });
  made.onChange(() => showSession(made));
  client = { resource, made };
  return made;
}

/** Does what a button says, and brings what came of it into view. */
function acted(work) {
  void act(work).then(showLast);
}

async function act(work) {
  try {
    await work();
  } catch (error) {
    const advice = client === null || !(error instanceof TypeError) ? null : await client.made.explain(error);
    note('error', error.reason ?? error.name, advice === null ? error.message : `${advice.wrong}: ${advice.cause}`);
  }
  if (client !== null) showSession(client.made);
}

function showSession(made) {
  const state = made.session;
  const isActive = state.state === 'active';
  for (const id of ['refresh', 'logout', 'call', 'bearer']) at(id).disabled = !isActive;
  at('login').textContent = isActive ? 'Log in again' : 'Log in';
  const says = { opening: 'opening', none: 'nobody is logged in', active: 'logged in', login_required: `log in again (${state.reason})` };
  const entries = facts([
    ['Session', says[state.state]],
    ['Scope', isActive ? state.session.scope : null],
    ['Key', isActive ? element('code', {}, state.session.thumbprint ?? 'none') : null],
    ['Token until', isActive && state.session.expiresAt !== undefined ? new Date(state.session.expiresAt * 1000).toLocaleTimeString() : null],
    ['Kept in', made.storage === 'indexeddb' ? 'IndexedDB, not extractable' : 'memory: ends with this page'],
  ]);
  at('session').replaceChildren(...entries.childNodes);
}

/** The URL that the form names. */
function target() {
  return new URL(client.resource.replace(/\/$/, '') + at('path').value.trim());
}

async function call() {
  const made = current();
  const response = await made.fetch(target(), { method: at('live-method').value });
  if (response.ok) return;
  const advice = await made.explain(response);
  const need = made.needs(response);
  note('error', `${response.status}`, `${advice.wrong}: ${advice.next}${need?.need === 'scope' ? `; log in with the scope ${need.scope}` : ''}`);
}

/** The same call with the token alone, as a thief would make it. */
async function steal() {
  const made = current();
  if (stolen === null) await call();
  // A token tried at another server would be stolen indeed: this page gives it to the one that it is for, and to no other.
  if (stolen === null || stolen.origin !== target().origin) {
    note('error', 'the thief', 'has no token of this server');
    return;
  }
  const response = await fetch(target(), {
    headers: { Authorization: `Bearer ${stolen.token}` }, redirect: 'manual', credentials: 'omit', cache: 'no-store',
  });
  const advice = await made.explain(response);
  note(response.ok ? 'error' : 'info', 'the thief', response.ok ? 'got in: this server takes tokens without a proof' : `gets nothing: ${advice.wrong}`);
}

/** Shows every request that goes through `fetch` in this page. */
function watchRequests() {
  const send = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const proof = decode(request.headers.get('dpop') ?? '');
    const [scheme, token] = (request.headers.get('authorization') ?? '').split(' ');
    if (scheme === 'DPoP') stolen = { token, origin: new URL(request.url).origin };
    const line = begin(request, scheme, proof);
    try {
      // What is shown is what is sent.
      const response = await send(request);
      finish(line, response, proof);
      return response;
    } catch (error) {
      line.status.textContent = '✗';
      line.status.classList.add('bad');
      throw error;
    }
  };
}

function begin(request, scheme, proof) {
  const url = new URL(request.url);
  // Files of this page are no part of the story.
  const status = element('span', { class: 'status' }, '…');
  const what = element('span', {}, `${request.method} ${url.host}${url.pathname}${url.search}`);
  const details = element('details', {}, element('summary', {}, status, what, element('small', {}, proof === null ? scheme : `${scheme} proof`.trim())));
  if (url.origin !== location.origin) append(element('li', {}, details));
  return { status, details };
}

function finish({ status, details }, response, proof) {
  const challenge = response.headers.get('www-authenticate');
  const wantsNonce = /use_dpop_nonce/.test(challenge ?? '') || (response.status === 400 && response.headers.has('dpop-nonce'));
  status.textContent = String(response.status || '→');
  if (wantsNonce) status.classList.add('warn');
  else if (response.status >= 400) status.classList.add('bad');
  const code = (text) => text && element('code', {}, text);
  details.append(facts([
    ['htm, htu', proof && `${proof.claims.htm} ${proof.claims.htu}`],
    ['jti', code(proof?.claims.jti)], ['ath', code(proof?.claims.ath)], ['nonce sent', code(proof?.claims.nonce)],
    ['nonce received', code(response.headers.get('dpop-nonce'))], ['challenge', code(challenge)],
  ]));
  if (wantsNonce) details.after(element('p', { class: 'note' }, 'The server hands out its nonce; the client sends the request again with it.'));
}

function note(kind, title, text) {
  append(element('li', { class: kind }, element('strong', {}, title), ` ${text}`));
}

/** Brings what came last into view: on a phone the requests are below the form. */
function showLast() {
  const last = at('log').lastElementChild;
  if (last !== null) bringIntoView(last);
}

function append(line) {
  const log = at('log');
  log.append(line);
  while (log.children.length > 60) log.firstElementChild.remove();
}
