/**
 * `keybound/testing`: tests of applications that this package protects, without sockets: an issuer, clients that sign, a clock that the test moves.
 *
 * Programs that serve requests never import it: its issuer signs whatever it is told, and what admits requests without a proof has a name that
 * begins with `danger`.
 */

export { dangerAdmit } from './admit.js';
export { TestClient } from './client.js';
export type { FetchHandler, Injected, SupertestRequest } from './client.js';
export { TestClock } from './clock.js';
export { TestIssuer } from './issuer.js';
export type { TestToken } from './issuer.js';
