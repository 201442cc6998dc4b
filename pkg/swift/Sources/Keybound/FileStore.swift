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
public actor FileStore: ProofKeyStore, SessionStore {
    /// What the first line of each stored value begins with; the version follows.
    private static let magic = "keybound 1 "
    /// The longest stored value, in bytes.
    private static let maxLength = 4 * 1024 * 1024
    /// After how many seconds a login that nobody completed is removed.
    private static let forgotten: TimeInterval = 3600
    private static let folders = ["session", "login", "registration", "key", "lock"]

    private let folder: URL
    private let turns = Turns()

    /// Opens a folder, making it if it is not there.
    ///
    /// - Throws: ``FileStoreError`` if it cannot be made, or others than its owner may look into it.
    public init(folder: URL) throws {
        self.folder = folder
        let manager = FileManager.default
        for name in Self.folders {
            let path = folder.appendingPathComponent(name, isDirectory: true)
            try manager.createDirectory(at: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        let mode = try manager.attributesOfItem(atPath: folder.path)[.posixPermissions] as? Int ?? 0
        guard mode & 0o077 == 0 else {
            throw FileStoreError("\(folder.path) can be read by others and is to hold tokens; run: chmod 700 \(folder.path)")
        }
        // Logins that nobody came back from hold a code verifier each, and would pile up.
        let logins = folder.appendingPathComponent("login")
        for file in try manager.contentsOfDirectory(at: logins, includingPropertiesForKeys: [.contentModificationDateKey]) {
            let modified = try? file.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate
            if let modified, modified.timeIntervalSinceNow < -Self.forgotten { try? manager.removeItem(at: file) }
        }
    }

    /// Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint.
    @discardableResult
    public func add(_ key: Key) throws -> String {
        try replace("key", key.thumbprint(), try key.dangerPrivateJwk())
        return key.thumbprint()
    }

    /// The names of all stored sessions.
    public func sessions() throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("session").path)
        return names.filter { !$0.hasPrefix(".") }.compactMap(\.removingPercentEncoding).sorted()
    }

    public func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        let key = try Key.generated(for: algorithms, in: protections)
        try add(key)
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: .software)
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
        let held = try await lock("save/\(slot.hasPrefix("login/") ? "login/" : slot)", lease: 0)
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
        let file = path("lock", name).path
        let turn = try await turns.take(file)
        var pause: UInt64 = 1_000_000
        do {
            while true {
                if let held = try tryLockFile(path: file) { return Held(file: held, turn: turn) }
                try await Task.sleep(nanoseconds: pause)
                pause = min(pause * 2, 50_000_000)
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

    private func path(_ kind: String, _ name: String) -> URL {
        folder.appendingPathComponent(kind).appendingPathComponent(storedFileName(text: name))
    }

    /// The file's text; nil if there is no file.
    private func read(_ file: URL) throws -> String? {
        let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
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
