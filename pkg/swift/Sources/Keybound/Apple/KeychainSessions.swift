#if canImport(Security)
import Foundation
import Security

/// Sessions as items of the Keychain: encrypted by the device, and not in its backups.
public actor KeychainSessions: SweptSessionStore {
    private let place: KeychainPlace
    private let lockFolder: URL?
    private let turns = Turns()
    public nonisolated let owner: String

    /// - Parameters:
    ///   - place: whose sessions they are, and when they can be read.
    ///   - lockFolder: where an app and its extensions, which share an access group, take turns: a folder of their app group. Without it
    ///     the tasks of one process do.
    public init(place: KeychainPlace, lockFolder: URL? = nil) {
        self.place = place
        owner = "keychain \(place.account) \(place.accessGroup ?? "")"
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

    public func stored() throws -> [StoredSlot] {
        let all = place.query(kSecClassGenericPassword, [kSecAttrService: service])
        return try place.attributes(of: all).compactMap { item in
            guard let slot = item[kSecAttrAccount as String] as? String else { return nil }
            // One that cannot be read now is told without its value.
            return StoredSlot(slot: slot, value: try? load(slot: slot))
        }
    }

    public func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool {
        let saving = savingLock(slot: slot)
        let held = try await lock(saving.name, lease: saving.lease)
        let saved = Result { try replaced(slot, expected, version, value) }
        await held.unlock()
        return try saved.get()
    }

    private func replaced(_ slot: String, _ expected: Int64?, _ version: Int64, _ value: String?) throws -> Bool {
        guard try load(slot: slot)?.version == expected else { return false }
        let status: OSStatus
        if let value {
            let data = Data("\(version)\n\(value)".utf8)
            // An item that is replaced is readable when those made now are, and not when the one before it was.
            let content: [String: Any] = [
                kSecValueData as String: data, kSecAttrAccessible as String: place.accessibility.attribute,
            ]
            if expected != nil {
                status = SecItemUpdate(query(slot) as CFDictionary, content as CFDictionary)
            } else {
                status = SecItemAdd(query(slot).merging(content) { $1 } as CFDictionary, nil)
            }
        } else {
            let deleted = SecItemDelete(query(slot) as CFDictionary)
            status = deleted == errSecItemNotFound ? errSecSuccess : deleted
        }
        guard status == errSecSuccess else { throw KeychainError(status: status) }
        return true
    }

    public func lock(_ name: String, lease: Int64) async throws -> any StoreLock {
        guard let lockFolder else { return try await turns.take(name, within: lease) }
        let file = lockFolder.appendingPathComponent(storedFileName(text: "\(place.account)/\(name)")).path
        return try await turns.takeFile(file, within: lease) { try tryLockFile(path: file) }
    }

    private var service: String { "dev.keybound.\(place.account)" }

    private func query(_ slot: String) -> [String: Any] {
        place.query(kSecClassGenericPassword, [kSecAttrService: service, kSecAttrAccount: slot])
    }
}
#endif
