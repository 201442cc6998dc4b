/** `keybound` wherever JavaScript runs: proofs, their verification, keys, replay stores, and the OAuth client. */

export { build, ready } from '#native';
export type { Advice, HeadersLike, ResponseToExplain } from './advice.js';
export { Client } from './client.js';
export { KeyFault, NotSent } from './drive.js';
export type { Algorithm, CreatedKey, Protection, PublicJwk, Signed, Signing, Store, Stored } from './drive.js';
export {
  BindingMismatch, FlowFailed, HostFailed, KeyboundError, LoginRequired, Misuse, NonceRequired, ProofRejected, ReplayDetected,
} from './errors.js';
export type { FlowReason, HostReason, MisuseReason, Reason, Refusal, RefusalReason } from './errors.js';
export type { Settings } from './http.js';
export { Key, thumbprint, webCryptoSigner } from './key.js';
export type { CryptoKeyLike, CryptoKeyPairLike, PrivateJwk, Signer } from './key.js';
export { MemoryStore } from './memory.js';
export { Discovered, Session, demandOf, ignoredChallengeOf } from './oauth.js';
export type {
  Authorization, ClientOptions, Credentials, Demand, DevicePrompt, HeldToken, IssuedToken, Level, SessionRequest, Subject, TokenExchange,
} from './oauth.js';
export type { NonceOptions, Policy } from './policy.js';
export { NonceCache, proof, proofSync } from './proof.js';
export type { ProofRequest, Role } from './proof.js';
export type { Check, IntentRejection, OtherRejection, RedisFaultName, Rejection, TokenRejection } from './reasons.js';
export { explainResponse } from './refused.js';
export { MemoryReplayStore } from './replay.js';
export type { Inserted, Insertion, MemoryReplayOptions, ReplayEntry, ReplayStore } from './replay.js';
export { PendingProof, Verifier, explain, verify, verifyMany, verifySync } from './verify.js';
export type {
  Explanation, Presented, PresentedAtAuthorizationServer, PresentedAtResource, ProofToExplain, Verified, VerifierOptions,
} from './verify.js';
