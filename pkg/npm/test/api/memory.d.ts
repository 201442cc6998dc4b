import type { Algorithm, CreatedKey, Protection, Signed, Signing, Store, Stored } from './drive.js';
import { Key } from './key.js';
import type { Signer } from './key.js';
export declare class MemoryStore implements Store {
    #private;
    addKey(key: Key | Signer): Promise<string>;
    createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey>;
    deleteKey(thumbprint: string): Promise<void>;
    sign({ thumbprint, message, digest }: Signing): Promise<Signed>;
    load(slot: string): Promise<Stored | undefined>;
    save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean>;
    lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void>;
}
