/// Where a client's keys live: in this process, in the Secure Enclave, in a device of your own.
public protocol ProofKeyStore: Sendable {
    /// Makes a key for one of `algorithms`, best first, in one of the places `protections`, and keeps it under its thumbprint.
    ///
    /// What it throws ends the operation, and comes out of it as ``ClientError/store(_:)``.
    func createKey(algorithms: [String], protections: [Protection]) async throws -> CreatedKey

    /// Signs by the key whose thumbprint the request names.
    ///
    /// - Throws: ``KeyFault`` where that key cannot be used.
    func sign(_ request: SigningRequest) async throws -> Signature

    /// Deletes a key. One that is gone already is no error.
    func deleteKey(thumbprint: String) async throws
}

/// Where a client's sessions live, and how its tasks and processes take turns. What is stored is secret.
public protocol SessionStore: Sendable {
    /// What is stored in a slot: `session/…`, `login/…` or `registration/…`, up to 2,048 bytes with arbitrary characters.
    func load(slot: String) async throws -> StoredValue?

    /// Stores `value`, or deletes what is there if it is nil, if the stored version is `expected` (nil: if there is nothing).
    ///
    /// - Returns: false, if another version is there. Durable when it answers.
    func save(slot: String, expected: Int64?, version: Int64, value: String?) async throws -> Bool

    /// Takes a lock, waiting for other tasks and processes for at most `lease` seconds.
    ///
    /// A store whose locks end by themselves lets them live longer than that. It never takes one from a holder that is merely slow: two who
    /// refresh with one token end the session.
    ///
    /// - Throws: `KeyboundError.host` with the reason `lock_timeout` (``lockTimeout(lease:)``), if the lock is still held then.
    func lock(_ name: String, lease: Int64) async throws -> any StoreLock
}

/// A lock of a ``SessionStore``.
public protocol StoreLock: Sendable {
    /// Gives it back.
    func unlock() async
}

/// Why a ``ProofKeyStore`` cannot use a key.
public enum KeyFault: Error, Equatable, Sendable {
    /// There is no such key any more: a new login is needed.
    case missing
    /// There is another key under its name, or the device changed it: a new login is needed.
    case changed
    /// The key is there and cannot be used now, for example because the device is locked. The session stays.
    case unreadable(String)
}
