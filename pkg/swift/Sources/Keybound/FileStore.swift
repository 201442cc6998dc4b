import Foundation

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Sessions and software keys in a folder, in the files that the Rust library and the program `keybound` write.
///
/// The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
/// Processes that share the folder take turns by locks of the operating system, which ends them with the process.
///
/// In apps use the Keychain and the Secure Enclave instead: there, files of software keys are worth as much as the device's lock.
public actor FileStore: SweptKeyStore, SweptSessionStore {
    /// What the first line of each stored value begins with; the version follows.
    private static let magic = "keybound 1 "
    /// The longest stored value, in bytes.
    private static let maxLength = 4 * 1024 * 1024
    /// After how many seconds what a write has left behind that broke off is removed.
    private static let leftBehind: Int64 = 3_600
    /// For how many seconds a change waits for others, which hold its lock for as long as a file takes to be written.
    private static let saving: Int64 = 30
    private static let folders = ["session", "login", "registration", "key", "made", "lock"]

    private let folder: URL
    private let turns = Turns()
    public nonisolated let owner: String

    /// Opens a folder, making it if it is not there.
    ///
    /// - Throws: ``FileStoreError`` if it cannot be made, is a link or another user's, or others than its owner may look into it.
    public init(folder: URL) throws {
        self.folder = folder
        owner = "folder \(folder.path)"
        for path in [folder] + Self.folders.map({ folder.appendingPathComponent($0, isDirectory: true) }) {
            do {
                try privateFolder(path: path.path)
            } catch {
                throw FileStoreError(error.fault.detail)
            }
        }
        try Self.removeLeftBehind(folder)
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint.
    @discardableResult
    public func add(_ key: Key) throws -> String {
        try replace("key", key.thumbprint(), try key.dangerPrivateJwk())
        try remove(path("made", key.thumbprint()))
        return key.thumbprint()
    }

    /// The names of all stored sessions.
    public func sessions() throws -> [String] {
        try Self.files(folder, "session").map(Self.plain).sorted()
    }

    public func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        let key = try Key.generated(for: algorithms, in: protections)
        try add(key)
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: .software)
    }

    public func createKey(algorithms: [String], protections: [Protection], owner: String) throws -> CreatedKey {
        guard owner == self.owner else { return try createKey(algorithms: algorithms, protections: protections) }
        let key = try Key.generated(for: algorithms, in: protections)
        // The mark first: a key without one is never found again.
        try replace("made", key.thumbprint(), "")
        try replace("key", key.thumbprint(), try key.dangerPrivateJwk())
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: .software)
    }

    public func made(owner: String) throws -> [MadeKey] {
        guard owner == self.owner else { return [] }
        return try Self.files(folder, "made").compactMap { mark in
            Self.modified(path("key", mark)).map { MadeKey(thumbprint: mark, createdAt: $0) }
        }
    }

    public func stored() throws -> [StoredSlot] {
        try ["session", "login", "registration"].flatMap { kind in
            try Self.files(folder, kind).map { file in
                // The slot of a name that was too long for a file is not known; the file is found by the name it has.
                let slot = "\(kind)/\(Self.plain(file))"
                return StoredSlot(slot: slot, value: try? load(slot: slot), storedAt: Self.modified(path(kind, Self.plain(file))))
            }
        }
    }

    public func sign(_ request: SigningRequest) throws -> Signature {
        let key: Key
        do {
            guard let jwk = try read(path("key", request.thumbprint)) else { throw KeyFault.missing }
            key = try Key.fromJwk(jwk: jwk, algorithm: request.algorithm)
        } catch let fault as KeyFault {
            throw fault
        } catch {
            throw KeyFault.unreadable("\(error)")
        }
        guard key.thumbprint() == request.thumbprint else { throw KeyFault.changed }
        return Signature(bytes: try key.sign(message: request.message), encoding: .raw)
    }

    public func deleteKey(thumbprint: String) throws {
        try remove(path("key", thumbprint))
        try remove(path("made", thumbprint))
    }

    public func load(slot: String) throws -> StoredValue? {
        let (kind, name) = Self.place(slot)
        let file = path(kind, name)
        guard let text = try read(file) else { return nil }
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].hasPrefix(Self.magic), let version = Int64(parts[0].dropFirst(Self.magic.count)) else {
            throw FileStoreError("\(file.path) is no file of this program; move it away")
        }
        return StoredValue(version: version, value: String(parts[1]))
    }

    public func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool {
        // One lock file for all logins: each has a name of its own, which is never used again.
        let held = try await lock("save/\(slot.hasPrefix("login/") ? "login/" : slot)", lease: Self.saving)
        do {
            let saved = try replaced(slot, expected, version, value)
            await held.unlock()
            return saved
        } catch {
            await held.unlock()
            throw error
        }
    }

    public func lock(_ name: String, lease: Int64) async throws -> any StoreLock {
        try await turns.takeFile(path("lock", name).path, within: lease)
    }

    private func replaced(_ slot: String, _ expected: Int64?, _ version: Int64, _ value: String?) throws -> Bool {
        guard try load(slot: slot)?.version == expected else { return false }
        let (kind, name) = Self.place(slot)
        if let value {
            try replace(kind, name, "\(Self.magic)\(version)\n\(value)")
        } else {
            try remove(path(kind, name))
        }
        return true
    }

    private static func place(_ slot: String) -> (kind: String, name: String) {
        guard let slash = slot.firstIndex(of: "/") else { return ("session", slot) }
        return (String(slot[..<slash]), String(slot[slot.index(after: slash)...]))
    }

    /// The names of a kind's files, without those that are being written.
    private static func files(_ folder: URL, _ kind: String, areWritten: Bool = true) throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(kind).path)
        return names.filter { $0.hasPrefix(".") != areWritten }
    }

    private static func plain(_ file: String) -> String { file.removingPercentEncoding ?? file }

    /// When a file was written, in seconds since 1970; nil if there is none.
    private static func modified(_ file: URL) -> Int64? {
        var found = stat()
        guard lstat(file.path, &found) == 0 else { return nil }
        #if canImport(Darwin)
        return Int64(found.st_mtimespec.tv_sec)
        #else
        return Int64(found.st_mtim.tv_sec)
        #endif
    }

    /// What writes that broke off have left: parts of files, which hold secrets, and marks of keys that never came.
    private static func removeLeftBehind(_ folder: URL) throws {
        let before = Int64(Date().timeIntervalSince1970) - leftBehind
        let keys = folder.appendingPathComponent("key")
        let marks = try files(folder, "made").filter { modified(keys.appendingPathComponent($0)) == nil }.map { ("made", $0) }
        let parts = try folders.flatMap { kind in try files(folder, kind, areWritten: false).map { (kind, $0) } }
        for (kind, name) in marks + parts {
            let file = folder.appendingPathComponent(kind).appendingPathComponent(name)
            if let time = modified(file), time < before { unlink(file.path) }
        }
    }

    private func path(_ kind: String, _ name: String) -> URL {
        folder.appendingPathComponent(kind).appendingPathComponent(storedFileName(text: name))
    }

    /// The file's text; nil if there is no file. Links are not followed.
    private func read(_ file: URL) throws -> String? {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw FileStoreError.system("\(file.path) cannot be read")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        let data = try handle.read(upToCount: Self.maxLength + 1) ?? Data()
        guard data.count <= Self.maxLength else { throw FileStoreError("\(file.path) is longer than any file of this program") }
        guard let text = String(data: data, encoding: .utf8) else {
            throw FileStoreError("\(file.path) is no file of this program; move it away")
        }
        return text
    }

    private func remove(_ file: URL) throws {
        if unlink(file.path) != 0 && errno != ENOENT { throw FileStoreError.system("\(file.path) cannot be deleted") }
    }

    private func replace(_ kind: String, _ name: String, _ text: String) throws {
        let parent = folder.appendingPathComponent(kind)
        let fresh = parent.appendingPathComponent(".new-\(UUID().uuidString)").path
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileStoreError.system("\(fresh) cannot be made") }
        do {
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try handle.write(contentsOf: Data(text.utf8))
            try handle.synchronize()
            try handle.close()
            guard rename(fresh, path(kind, name).path) == 0 else { throw FileStoreError.system("\(fresh) cannot be renamed") }
        } catch {
            unlink(fresh)
            throw error
        }
        // A renamed file is durable when its folder is.
        let folder = open(parent.path, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { throw FileStoreError.system("\(parent.path) cannot be opened") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw FileStoreError.system("\(parent.path) cannot be written") }
    }
}

/// A file or folder of a ``FileStore`` cannot be used.
public struct FileStoreError: LocalizedError, CustomStringConvertible, Sendable {
    public let description: String
    public var errorDescription: String? { description }

    init(_ description: String) {
        self.description = description
    }

    static func system(_ what: String) -> FileStoreError {
        FileStoreError("\(what): \(String(cString: strerror(errno)))")
    }
}
