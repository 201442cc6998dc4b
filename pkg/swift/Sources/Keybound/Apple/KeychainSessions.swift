#if canImport(Security)
import Foundation
import Security

/// Sessions as items of the Keychain: encrypted by the device, and not in its backups.
public actor KeychainSessions: SessionStore {
    private let place: KeychainPlace
    private let lockFolder: URL?
    private let turns = Turns()

    /// - Parameters:
    ///   - place: whose sessions they are, and when they can be read.
    ///   - lockFolder: where an app and its extensions, which share an access group, take turns: a folder of their app group. Without it
    ///     the tasks of one process do.
    public init(place: KeychainPlace, lockFolder: URL? = nil) {
        self.place = place
        self.lockFolder = lockFolder
    }

    public func load(slot: String) throws -> StoredValue? {
        var query = query(slot)
        query[kSecReturnData as String] = true
        var item: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &item)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let data = item as? Data else { throw KeychainError(status: status) }
        let parts = String(decoding: data, as: UTF8.self).split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let version = Int64(parts[0]) else { throw KeychainError(status: errSecDecode) }
        return StoredValue(version: version, value: String(parts[1]))
    }

    public func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool {
        let held = try await lock("save/\(slot.hasPrefix("login/") ? "login/" : slot)", lease: 0)
        let saved = Result { try replaced(slot, expected, version, value) }
        await held.unlock()
        return try saved.get()
    }

    private func replaced(_ slot: String, _ expected: Int64?, _ version: Int64, _ value: String?) throws -> Bool {
        guard try load(slot: slot)?.version == expected else { return false }
        let status: OSStatus
        if let value {
            let data = Data("\(version)\n\(value)".utf8)
            let change: [String: Any] = [kSecValueData as String: data]
            if expected != nil {
                status = SecItemUpdate(query(slot) as CFDictionary, change as CFDictionary)
            } else {
                var item = query(slot)
                item[kSecValueData as String] = data
                item[kSecAttrAccessible as String] = place.accessibility.attribute
                status = SecItemAdd(item as CFDictionary, nil)
            }
        } else {
            let deleted = SecItemDelete(query(slot) as CFDictionary)
            status = deleted == errSecItemNotFound ? errSecSuccess : deleted
        }
        guard status == errSecSuccess else { throw KeychainError(status: status) }
        return true
    }

    public func lock(_ name: String, lease: Int64) async throws -> any StoreLock {
        let turn = try await turns.take(name)
        guard let lockFolder else { return turn }
        let file = lockFolder.appendingPathComponent(storedFileName(text: "\(place.account)/\(name)")).path
        do {
            while true {
                if let held = try tryLockFile(path: file) { return Held(file: held, turn: turn) }
                try await Task.sleep(nanoseconds: 10_000_000)
            }
        } catch {
            await turn.unlock()
            throw error
        }
    }

    private struct Held: StoreLock {
        let file: FileLock
        let turn: Turns.Turn

        func unlock() async {
            file.release()
            await turn.unlock()
        }
    }

    private func query(_ slot: String) -> [String: Any] {
        place.query(kSecClassGenericPassword, [kSecAttrService: "dev.keybound.\(place.account)", kSecAttrAccount: slot])
    }
}
#endif
