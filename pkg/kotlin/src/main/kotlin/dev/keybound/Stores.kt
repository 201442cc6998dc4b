package dev.keybound

/** Where a client's keys live: in this process, in an Android Keystore, in a device of your own. */
public interface ProofKeyStore {
    /**
     * Makes a key for one of [algorithms], best first, in one of the places [protections], and keeps it under its thumbprint.
     *
     * What it throws ends the operation, and comes out of it.
     */
    public suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey

    /**
     * Signs by the key whose thumbprint the request names.
     *
     * @throws KeyFaultException where that key cannot be used
     */
    public suspend fun sign(request: SigningRequest): EncodedSignature

    /** Deletes a key. One that is gone already is no error. */
    public suspend fun deleteKey(thumbprint: String)
}

/** Where a client's sessions live, and how its tasks and processes take turns. What is stored is secret. */
public interface SessionStore {
    /** What is stored in a slot: `session/…`, `login/…` or `registration/…`, up to 2,048 bytes with arbitrary characters. */
    public suspend fun load(slot: String): StoredValue?

    /**
     * Stores [value], or deletes what is there if it is null, if the stored version is [expected] (null: if there is nothing).
     *
     * @return false, if another version is there. Durable when it answers.
     */
    public suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean

    /**
     * Takes a lock, waiting for other tasks and processes for at most [lease] seconds.
     *
     * A store whose locks end by themselves lets them live longer than that. It never takes one from a holder that is merely slow: two who
     * refresh with one token end the session.
     *
     * @throws KeyboundException.Host with the reason `lock_timeout` ([lockTimeout]), if the lock is still held then
     */
    public suspend fun lock(name: String, lease: Long): StoreLock
}

/** A lock of a [SessionStore]. */
public fun interface StoreLock {
    /** Gives it back. */
    public fun release()
}

/** Why a [ProofKeyStore] cannot use a key. What the client makes of it: only a new login helps, or it is to be tried later. */
public sealed class KeyFaultException(message: String, cause: Throwable?) : Exception(message, cause) {
    /** There is no such key any more: a new login is needed. */
    public class Missing @JvmOverloads constructor(cause: Throwable? = null) :
        KeyFaultException("there is no such key any more", cause)

    /** There is another key under its name, or the device changed it: a new login is needed. */
    public class Changed @JvmOverloads constructor(cause: Throwable? = null) :
        KeyFaultException("there is another key under this name", cause)

    /** The key is there and cannot be used now, for example because the device is locked. The session stays. */
    public class Unreadable @JvmOverloads constructor(message: String, cause: Throwable? = null) :
        KeyFaultException(message, cause)
}

/** The time by which proofs are made: whole seconds since 1970. */
public fun interface Clock {
    /** Whole seconds since 1970. */
    public fun now(): Long

    public companion object {
        /** The system's clock. */
        @JvmField
        public val SYSTEM: Clock = Clock { System.currentTimeMillis() / 1000 }

        /** The clock that shows what one of `java.time` shows. */
        @JvmStatic
        public fun of(clock: java.time.Clock): Clock = Clock { clock.instant().epochSecond }
    }
}
