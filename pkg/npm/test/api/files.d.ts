import type { Algorithm, CreatedKey, Protection, Signed, Signing, Store, Stored } from './drive.js';
import { Key } from './key.js';
export declare class FileStore implements Store {
    #private;
    private constructor();
    static open(folder: string): Promise<FileStore>;
    addKey(key: Key): Promise<string>;
    sessions(): Promise<string[]>;
    createKey(algorithms: readonly Algorithm[], protections: readonly Protection[]): Promise<CreatedKey>;
    deleteKey(thumbprint: string): Promise<void>;
    sign({ thumbprint, algorithm, message }: Signing): Promise<Signed>;
    load(slot: string): Promise<Stored | undefined>;
    save(slot: string, expected: number | undefined, version: number, value: string | undefined): Promise<boolean>;
    lock(name: string, lease: number, signal?: AbortSignal): Promise<() => void>;
}
