// The playground: wires the page's three sections, and the theme.

import { at, element, recall, remember } from './dom.js';
import * as explain from './explain.js';
import * as live from './live.js';
import * as make from './make.js';

const THEMES = ['system', 'light', 'dark'];

function setTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember('theme', theme);
  at('theme').replaceChildren('◐ ', element('span', {}, theme));
  at('theme').setAttribute('aria-label', `Theme: ${theme}`);
}

const known = recall('theme');
setTheme(THEMES.includes(known) ? known : 'system');
at('theme').addEventListener('click', () => {
  setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? 'system') + 1) % THEMES.length]);
});

explain.setUp();
make.setUp();
await live.setUp();

const size = async (build) => {
  const answer = await fetch(`/keybound/wasm/${build}_bg.wasm`, { method: 'HEAD' });
  return `${Math.round(Number(answer.headers.get('content-length')) / 1000)} kB`;
};
at('sizes').textContent = `${await size('client')} for a client, ${await size('full')} for everything, before compression`;
document.documentElement.dataset.loaded = 'yes';
