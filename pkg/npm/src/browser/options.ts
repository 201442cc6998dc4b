// What a browser's client is configured with, and how the core is told.

import { misuse } from '../errors.js';
import type { Source } from '../load/module.js';
import type { ConfirmSubject } from './confirm.js';

/** What a client demands of servers and keys; see the documentation of levels. */
export type SecurityLevel = 'standard' | 'enhanced' | 'maximum';

/** How to find the server, who the client is there, and what its sessions are for. */
export interface ClientOptions {
  /** The level below which no session is. Take `enhanced`: tokens are bound to the key. */
  readonly level: SecurityLevel;
  /** The protected resource, for example `https://api.example.com`: its metadata (RFC 9728) names the authorization server. */
  readonly resource?: string;
  /** The authorization server's issuer identifier. Needed with `clientId`, or where the resource publishes no metadata. */
  readonly issuer?: string;
  /** The tenant of Entra ID, a GUID, whose server is asked where Entra ID is named for many (`common`, `organizations`). */
  readonly entraTenant?: string;
  /** Where logins come back to: a page of this origin that calls `handleRedirect`, byte for byte as registered. */
  readonly redirectUri: string;
  /** The public client's identifier at `issuer`. */
  readonly clientId?: string;
  /** The URL of this client's metadata document, its identifier where servers support that. */
  readonly metadataDocument?: string;
  /** Registers the client where it is not known (RFC 7591), with this metadata, for example `{ client_name: 'Notes' }`. */
  readonly register?: Readonly<Record<string, unknown>>;
  /** The scope that logins ask for. */
  readonly scope?: string;
  /** Asks for a refresh token where the server wants to be asked (`offline_access`). */
  readonly offlineAccess?: boolean;
  /** Origins whose URLs get the token although they lie outside `resource`. */
  readonly alsoOrigins?: readonly string[];
  /** Algorithms of proofs; all that are known otherwise. */
  readonly algorithms?: readonly string[];
  /** Permits `http` on loopback, for development. */
  readonly allowLoopback?: boolean;
  /**
   * The two WebAssembly files, for bundlers that do not follow `new URL(…, import.meta.url)`: their URLs, bytes or modules. `keybound/browser/inline`
   * needs none.
   */
  readonly wasm?: { readonly client?: Source; readonly advice?: Source };
  /** The name of the session, where a page has several. `default` otherwise. */
  readonly session?: string;
  /**
   * Says whether a login may be stored, by the account it came to: in the AT Protocol, whether the DID of the subject resolves to this
   * issuer. A login for which it does not give true is ended, and `login` or `handleRedirect` throws `subject_mismatch`.
   */
  readonly confirmSubject?: ConfirmSubject;
  /** Sends authorization requests in the URL although the server takes pushed requests (RFC 9126). */
  readonly withoutPushedRequest?: boolean;
  /** Sends no `resource` parameter (RFC 8707), for servers whose scopes name the resource. */
  readonly withoutResource?: boolean;
  /** Says the scope again at each refresh. */
  readonly scopeOnRefresh?: boolean;
  /** The name of the database, shared by all clients of this origin that name it. `keybound` otherwise. */
  readonly database?: string;
  /** Takes a server to support PKCE with S256 although it does not say so. If it does not, codes can be injected. */
  readonly dangerAssumePkce?: boolean;
  /** Takes a server without metadata to have `/authorize`, `/token` and `/register`. */
  readonly dangerAssumeEndpoints?: boolean;
  /** Keeps tokens that a server did not bind. A thief can use them. */
  readonly dangerAcceptBearer?: boolean;
}

/** The options of the core's client, as JSON. */
export function coreOptions(options: ClientOptions): string {
  check(options);
  const { clientId, issuer } = options;
  return JSON.stringify({
    level: options.level,
    redirect_uri: options.redirectUri,
    credentials: clientId !== undefined && issuer !== undefined ? [{ issuer, client_id: clientId, method: 'none' }] : undefined,
    metadata_document: options.metadataDocument,
    register: options.register,
    accept_issuers: issuer === undefined ? undefined : [issuer],
    entra_tenant: options.entraTenant,
    also_origins: options.alsoOrigins,
    algorithms: options.algorithms,
    allow_loopback: options.allowLoopback,
    danger_assume_pkce: options.dangerAssumePkce,
    danger_assume_endpoints: options.dangerAssumeEndpoints,
    danger_accept_bearer: options.dangerAcceptBearer,
  });
}

/** What the client's options say of each of its sessions. */
export function sessionOptions(options: ClientOptions): object {
  return {
    offline_access: options.offlineAccess,
    provisional: options.confirmSubject !== undefined,
    without_pushed_request: options.withoutPushedRequest,
    without_resource: options.withoutResource,
    scope_on_refresh: options.scopeOnRefresh,
  };
}

function check(options: ClientOptions): void {
  const { resource, issuer, clientId, metadataDocument, register } = options;
  if (resource === undefined && issuer === undefined) {
    throw misuse('missing_option', 'give the resource that is to be called, or the issuer');
  }
  if (clientId !== undefined && issuer === undefined) {
    throw misuse('missing_option', 'a clientId is known to one server: give its issuer as well');
  }
  if (clientId === undefined && metadataDocument === undefined && register === undefined) {
    throw misuse('missing_option', 'say who the client is: clientId with issuer, metadataDocument, or register');
  }
  if (resource === undefined && (options.alsoOrigins ?? []).length === 0) {
    throw misuse('missing_option', 'without a resource no URL may get the token: name the API in resource or alsoOrigins');
  }
}
