import Foundation

/// Sessions and software keys in a folder, in the files that the Rust library, the program `keybound` and the packages of other languages
/// write.
///
/// The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
/// Processes that share the folder take turns by locks of the operating system, which ends them with the process.
///
/// In apps use the Keychain and the Secure Enclave instead: there, files of software keys are worth as much as the device's lock.
public actor FileStore: SweptKeyStore, SweptSessionStore {
    private let files: FileFolder
    private let turns = Turns()
    public nonisolated let owner: String

    /// Opens a folder, making it if it is not there, and deletes what has ended in it.
    ///
    /// - Throws: ``FileStoreError`` if it cannot be made, is a link or another user's, or others than its owner may look into it.
    public init(folder: URL) throws {
        owner = "folder \(folder.path)"
        do {
            files = try FileFolder.open(path: folder.path)
        } catch {
            throw FileStoreError(error.fault.detail)
        }
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint.
    @discardableResult
    public func add(_ key: Key) throws -> String {
        try filed { () throws(KeyboundError) in try files.addKey(key: key) }
        return key.thumbprint()
    }

    /// The names of all stored sessions.
    public func sessions() throws -> [String] {
        try filed { () throws(KeyboundError) in try files.sessions() }
    }

    public func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        try created(algorithms, protections, isMarked: false)
    }

    public func createKey(algorithms: [String], protections: [Protection], owner: String) throws -> CreatedKey {
        try created(algorithms, protections, isMarked: owner == self.owner)
    }

    private func created(_ algorithms: [String], _ protections: [Protection], isMarked: Bool) throws -> CreatedKey {
        let key = try filed { () throws(KeyboundError) in
            try files.createKey(algorithms: algorithms, protections: protections, isMarked: isMarked)
        }
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: .software)
    }

    public func made(owner: String) throws -> [MadeKey] {
        guard owner == self.owner else { return [] }
        let marks = try filed { () throws(KeyboundError) in try files.made() }
        return marks.map { MadeKey(thumbprint: $0.thumbprint, createdAt: $0.createdAt) }
    }

    public func stored() throws -> [StoredSlot] {
        let values = try filed { () throws(KeyboundError) in try files.values() }
        return values.map { StoredSlot(slot: $0.slot, value: $0.value, storedAt: $0.storedAt) }
    }

    public func sign(_ request: SigningRequest) throws -> Signature {
        switch files.key(thumbprint: request.thumbprint, algorithm: request.algorithm) {
        case .usable(let key): return Signature(bytes: try key.sign(request.message), encoding: .raw)
        case .missing: throw KeyFault.missing
        case .changed: throw KeyFault.changed
        case .unreadable(let detail): throw KeyFault.unreadable(detail)
        }
    }

    public func deleteKey(thumbprint: String) throws {
        try filed { () throws(KeyboundError) in try files.deleteKey(thumbprint: thumbprint) }
    }

    public func load(slot: String) throws -> StoredValue? {
        try filed { () throws(KeyboundError) in try files.load(slot: slot) }
    }

    public func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool {
        let (lock, files) = (savingLock(slot: slot), files)
        let (saved, turn) = try await turns.take(lock.name, within: lock.lease) {
            try filed { () throws(KeyboundError) in try files.trySave(slot: slot, expected: expected, version: version, value: value) }
        }
        await turn.unlock()
        return saved
    }

    public func lock(_ name: String, lease: Int64) async throws -> any StoreLock {
        let files = files
        return try await turns.takeFile(name, within: lease) { try files.tryLock(name: name) }
    }
}

/// What the operating system refuses is a ``FileStoreError``.
private func filed<T>(_ work: () throws(KeyboundError) -> T) throws -> T {
    do {
        return try work()
    } catch {
        throw error.reason == "file" ? FileStoreError(error.fault.detail) : error
    }
}

/// A file or folder of a ``FileStore`` cannot be used.
public struct FileStoreError: LocalizedError, CustomStringConvertible, Sendable {
    public let description: String
    public var errorDescription: String? { description }

    init(_ description: String) {
        self.description = description
    }
}
