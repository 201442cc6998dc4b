/** `keybound/server`: protects a resource whatever the framework: the parts of a request in, a principal or the answer to send out. */

export { protect, Protection } from './protection.js';
export type { Checked, Decision, Issuer, IssuerProfile, ProtectionOptions, RequestParts } from './protection.js';
export { Principal } from './principal.js';
export { FetchedKeys } from './keys.js';
export type { KeySource } from './keys.js';
export type { RefusedRequest } from './refused.js';
export { IntrospectionEndpoint } from './introspection.js';
export type { Introspection, IntrospectionOptions } from './introspection.js';
export { AuthorizationServer } from './authorization.js';
export type { Admitted, AuthorizationServerOptions, EndpointDecision, EndpointRequest, Grant } from './authorization.js';
export type { Audit, Breaker, Cors, Counters, Limit, ServerOptions } from './options.js';
export { Intent, requestDetail } from './intent.js';
export { partsOf } from './node.js';
export type { NodeRequest } from './node.js';
