import Foundation

/// Software keys in the memory of this process: for tools, tests and services that log in anew when they start.
public actor SoftwareKeys: SweptKeyStore {
    private var keys: [String: Key] = [:]
    private var owned: [String: (owner: String, at: Int64)] = [:]

    public init() {}

    /// Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint.
    @discardableResult
    public func add(_ key: Key) -> String {
        keys[key.thumbprint()] = key
        owned[key.thumbprint()] = nil
        return key.thumbprint()
    }

    public func createKey(algorithms: [String], protections: [Protection]) throws -> CreatedKey {
        let key = try Key.generated(for: algorithms, in: protections)
        add(key)
        return CreatedKey(publicJwk: key.publicJwk(), algorithm: key.algorithm(), protection: .software)
    }

    public func sign(_ request: SigningRequest) throws -> Signature {
        guard let key = keys[request.thumbprint] else { throw KeyFault.missing }
        return Signature(bytes: try key.sign(request.message), encoding: .raw)
    }

    public func createKey(algorithms: [String], protections: [Protection], owner: String) throws -> CreatedKey {
        let created = try createKey(algorithms: algorithms, protections: protections)
        owned[try thumbprint(of: created.publicJwk)] = (owner, Int64(Date().timeIntervalSince1970))
        return created
    }

    public func made(owner: String) -> [MadeKey] {
        owned.filter { $0.value.owner == owner }.map { MadeKey(thumbprint: $0.key, createdAt: $0.value.at) }
    }

    public func deleteKey(thumbprint: String) {
        keys[thumbprint] = nil
        owned[thumbprint] = nil
    }
}

/// A key is asked for that a store cannot make.
public struct NoSuchKey: Error, CustomStringConvertible, Sendable {
    public let description: String
}

extension Key {
    /// The algorithms that software keys are made for, the one that most servers know first.
    private static let preferred = ["ES256", "Ed25519", "EdDSA", "ES384", "ES512"]

    /// A new software key, if one may live in software.
    static func generated(for algorithms: [String], in protections: [Protection]) throws -> Key {
        guard protections.contains(.software) else {
            throw NoSuchKey(description: "a key in hardware is asked for, and this store has software keys alone")
        }
        guard let algorithm = preferred.first(where: algorithms.contains) else {
            let wanted = algorithms.joined(separator: ", ")
            throw NoSuchKey(description: "no software key can be made for the permitted algorithms: \(wanted)")
        }
        return try Key.generate(algorithm: algorithm)
    }
}

/// Sessions in the memory of this process.
public actor MemorySessions: SweptSessionStore {
    private var slots: [String: StoredValue] = [:]
    private let turns = Turns()
    public nonisolated let owner = "memory \(UUID().uuidString)"

    public init() {}

    public func stored() -> [StoredSlot] { slots.map { StoredSlot(slot: $0.key, value: $0.value) } }

    public func load(slot: String) -> StoredValue? { slots[slot] }

    public func save(slot: String, expected: Int64?, version: Int64, value: String?) -> Bool {
        guard slots[slot]?.version == expected else { return false }
        slots[slot] = value.map { StoredValue(version: version, value: $0) }
        return true
    }

    public func lock(_ name: String, lease: Int64) async throws -> any StoreLock {
        try await turns.take(name, within: lease)
    }
}

/// Turns for a name among the tasks of this process, in the order they were asked for.
actor Turns {
    private struct Waiting {
        let number: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    /// A turn that somebody has.
    struct Turn: StoreLock {
        fileprivate let turns: Turns
        fileprivate let name: String

        func unlock() async { await turns.end(name) }
    }

    /// Those who wait for a name that somebody has.
    private var waiting: [String: [Waiting]] = [:]
    private var last: UInt64 = 0

    /// Waits for its turn, for at most `lease` seconds; a cancelled task stops waiting.
    func take(_ name: String, within lease: Int64) async throws -> Turn {
        guard waiting[name] != nil else {
            waiting[name] = []
            return Turn(turns: self, name: name)
        }
        last += 1
        let number = last
        let timer = Task {
            try await Task.sleep(nanoseconds: Self.nanoseconds(lease))
            giveUp(name, number, KeyboundError.host(fault: lockTimeout(lease: lease)))
        }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else {
                    waiting[name]?.append(Waiting(number: number, continuation: continuation))
                }
            }
        } onCancel: {
            Task { await self.giveUp(name, number, CancellationError()) }
        }
        return Turn(turns: self, name: name)
    }

    /// Waits for its turn, and then until `attempt` gives something, which others in this and other processes can keep from it: for at most
    /// `lease` seconds in all. The turn is the caller's to end.
    func take<T: Sendable>(_ name: String, within lease: Int64, _ attempt: @Sendable () throws -> T?) async throws -> (T, Turn) {
        let end = DispatchTime.now().uptimeNanoseconds + Self.nanoseconds(lease)
        let turn = try await take(name, within: lease)
        do {
            var attempts: Int32 = 1
            while true {
                if let taken = try attempt() { return (taken, turn) }
                guard DispatchTime.now().uptimeNanoseconds < end else { throw KeyboundError.host(fault: lockTimeout(lease: lease)) }
                try await Task.sleep(nanoseconds: UInt64(lockPause(attempts: attempts)) * 1_000_000)
                attempts += 1
            }
        } catch {
            await turn.unlock()
            throw error
        }
    }

    /// The same for a lock on a file, which is given back with the turn.
    func takeFile(_ name: String, within lease: Int64, _ attempt: @Sendable () throws -> FileLock?) async throws -> any StoreLock {
        let (file, turn) = try await take(name, within: lease, attempt)
        return HeldFile(file: file, turn: turn)
    }

    private struct HeldFile: StoreLock {
        let file: FileLock
        let turn: Turn

        func unlock() async {
            file.release()
            await turn.unlock()
        }
    }

    /// A lease, of at most a day.
    private static func nanoseconds(_ lease: Int64) -> UInt64 { UInt64(min(max(lease, 0), 86_400)) * 1_000_000_000 }

    private func end(_ name: String) {
        if waiting[name]?.isEmpty == false {
            let next = waiting[name]?.removeFirst()
            next?.continuation.resume()
        } else {
            waiting[name] = nil
        }
    }

    private func giveUp(_ name: String, _ number: UInt64, _ error: any Error) {
        guard let at = waiting[name]?.firstIndex(where: { $0.number == number }) else { return }
        let left = waiting[name]?.remove(at: at)
        left?.continuation.resume(throwing: error)
    }
}
