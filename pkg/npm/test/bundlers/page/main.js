// An application's page, as a bundler sees it. The client is made again with the same options when a login comes back.

import { Key, MemoryReplayStore, explain, proof, ready, verify } from 'keybound';
import { createClient } from 'keybound/browser';

globalThis.make = (options) => {
  sessionStorage.setItem('options', JSON.stringify(options));
  globalThis.client = createClient(options);
};

/** Makes a proof and verifies it, twice: what came of it. */
globalThis.prove = async () => {
  await ready();
  const key = Key.generate();
  const request = { method: 'GET', url: 'https://api.example.com/a', accessToken: 't' };
  const shown = { ...request, proof: await proof({ ...request, key }), boundTo: key.thumbprint };
  const store = new MemoryReplayStore({ workers: 1, dangerFirstStart: true });
  const { algorithm } = await verify({ ...shown, store });
  return [algorithm, (await explain(shown)).accepted, await verify({ ...shown, store }).catch((error) => error.reason)];
};

const options = sessionStorage.getItem('options');
if (options !== null) globalThis.client = createClient(JSON.parse(options));
document.documentElement.dataset.loaded = 'yes';
