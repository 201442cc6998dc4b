import type { Store } from './drive.js';
import type { Settings } from './http.js';
import { OAuthClient } from './oauth.js';
import type { ClientOptions } from './oauth.js';
export declare class Client extends OAuthClient {
    constructor(options: ClientOptions, store: Store, settings?: Settings);
}
