export { dangerAdmit } from './admit.js';
export { TestClient } from './client.js';
export type { FetchHandler, Injected, SupertestRequest } from './client.js';
export { TestClock } from './clock.js';
export { TestIssuer } from './issuer.js';
export type { TestToken } from './issuer.js';
