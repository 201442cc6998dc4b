/// A ``ProofKeyStore`` that can say which keys it has made, and for which sessions: what no login and no session names any more is deleted.
///
/// A ``KeyboundClient`` looks for it when it begins, and once an hour then, if its sessions are a ``SweptSessionStore``.
public protocol SweptKeyStore: ProofKeyStore {
    /// As `createKey(algorithms:protections:)`, for sessions of `owner`: a key is deleted only by those whose sessions could name it.
    func createKey(algorithms: [String], protections: [Protection], owner: String) async throws -> CreatedKey

    /// The keys that were made for sessions of `owner`. Keys that a caller gave it are not among them.
    func made(owner: String) async throws -> [MadeKey]
}

/// A ``SessionStore`` that can say what it has.
public protocol SweptSessionStore: SessionStore {
    /// By what these sessions are told from others that share the keys: the same after a restart.
    var owner: String { get }

    /// All that is stored. What cannot be read is among it: as long as there is such, no key is deleted for having no name.
    func stored() async throws -> [StoredSlot]
}

/// A key that a store made.
public struct MadeKey: Equatable, Sendable {
    public let thumbprint: String
    /// When, in seconds since 1970.
    public let createdAt: Int64

    public init(thumbprint: String, createdAt: Int64) {
        self.thumbprint = thumbprint
        self.createdAt = createdAt
    }
}

/// What is stored in a slot.
public struct StoredSlot: Sendable {
    public let slot: String
    /// Nil, if it cannot be read.
    public let value: StoredValue?
    /// When it was stored, in seconds since 1970, if the store knows.
    public let storedAt: Int64?

    public init(slot: String, value: StoredValue?, storedAt: Int64? = nil) {
        self.slot = slot
        self.value = value
        self.storedAt = storedAt
    }
}

/// Deletes abandoned logins, and keys that nothing names. The core says which those are.
actor Sweeper {
    private let keys: any SweptKeyStore
    private let sessions: any SweptSessionStore
    private let now: @Sendable () -> Int64
    private var last: Int64?

    /// For stores that can say what they have; nil for others.
    init?(keys: any ProofKeyStore, sessions: any SessionStore, now: @escaping @Sendable () -> Int64) {
        guard let keys = keys as? any SweptKeyStore, let sessions = sessions as? any SweptSessionStore else { return nil }
        self.keys = keys
        self.sessions = sessions
        self.now = now
    }

    func createKey(algorithms: [String], protections: [Protection]) async throws -> CreatedKey {
        try await keys.createKey(algorithms: algorithms, protections: protections, owner: sessions.owner)
    }

    /// Sweeps if the last time is an hour ago. What fails is tried again an hour later: no login fails because of it.
    func sweepIfDue() async {
        let time = now()
        guard isSweepDue(last: last, now: time) else { return }
        last = time
        // One at a time is enough: the holder of the lock does it.
        guard let held = try? await sessions.lock("sweep", lease: 0) else { return }
        try? await sweep(time)
        await held.unlock()
    }

    private func sweep(_ time: Int64) async throws {
        let sweep = Sweep(now: time)
        // Keys first: one that is made meanwhile for a login is not told, and stays.
        for key in try await keys.made(owner: sessions.owner) { try sweep.key(thumbprint: key.thumbprint, createdAt: key.createdAt) }
        for stored in try await sessions.stored() {
            try sweep.stored(slot: stored.slot, value: stored.value, storedAt: stored.storedAt)
        }
        let swept = try sweep.finish()
        for slot in swept.slots {
            _ = try await sessions.save(slot: slot.slot, expected: slot.version, version: slot.version, value: nil)
        }
        for thumbprint in swept.keys { try await keys.deleteKey(thumbprint: thumbprint) }
    }
}
