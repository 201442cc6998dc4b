// Holds a client under `globalThis.client`, made again with the same options when the page is loaded again.

import * as keybound from '/keybound/browser/index.js';

globalThis.keybound = keybound;

globalThis.make = (options) => {
  sessionStorage.setItem('options', JSON.stringify(options));
  globalThis.client = keybound.createClient(options);
};

const options = sessionStorage.getItem('options');
if (options !== null) globalThis.client = keybound.createClient(JSON.parse(options));

document.querySelector('#popup').addEventListener('click', () => {
  // The window of a login begins with a copy of this; one that another site opens does not.
  sessionStorage.setItem('popup', 'yes');
  globalThis.popup = globalThis.client.login({ mode: 'popup' });
});

// As an application does on each of its pages; in the window of a login nothing may come of it.
if (sessionStorage.getItem('popup') !== null && window.name.startsWith('keybound-login-') && location.pathname === '/callback') {
  globalThis.client.handleRedirect().then(() => globalThis.client.login());
}

document.documentElement.dataset.loaded = 'yes';
