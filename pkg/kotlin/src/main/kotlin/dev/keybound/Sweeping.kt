package dev.keybound

import kotlinx.coroutines.CancellationException

/**
 * A [ProofKeyStore] that can say which keys it has made, and for which sessions: what no login and no session names any more is deleted.
 *
 * A [KeyboundClient] looks for it when it begins, and once an hour then, if its sessions are a [SweptSessionStore].
 */
public interface SweptKeyStore : ProofKeyStore {
    /** As [createKey], for sessions of [owner]: a key is deleted only by those whose sessions could name it. */
    public suspend fun createKey(algorithms: List<String>, protections: List<Protection>, owner: String): CreatedKey

    /** The keys that were made for sessions of [owner]. Keys that a caller gave it are not among them. */
    public suspend fun made(owner: String): List<MadeKey>
}

/** A [SessionStore] that can say what it has. */
public interface SweptSessionStore : SessionStore {
    /** By what these sessions are told from others that share the keys: the same after a restart. */
    public val owner: String

    /** All that is stored. What cannot be read is among it: as long as there is such, no key is deleted for having no name. */
    public suspend fun stored(): List<StoredSlot>
}

/** A key that a store made. */
public class MadeKey(public val thumbprint: String, /** When, in seconds since 1970. */ public val createdAt: Long)

/** What is stored in a slot. */
public class StoredSlot(
    public val slot: String,
    /** Null, if it cannot be read. */
    public val value: StoredValue?,
    /** When it was stored, in seconds since 1970, if the store knows. */
    public val storedAt: Long?,
)

/** Deletes abandoned logins, and keys that nothing names. The core says which those are. */
internal class Sweeper private constructor(private val keys: SweptKeyStore, private val sessions: SweptSessionStore, private val clock: Clock) {
    private var last: Long? = null

    val owner: String get() = sessions.owner

    /** Sweeps if the last time is an hour ago. What fails is tried again an hour later: no login fails because of it. */
    suspend fun sweepIfDue() {
        val now = clock.now()
        synchronized(this) {
            if (!isSweepDue(last, now)) return
            last = now
        }
        try {
            // One at a time is enough: the holder of the lock does it.
            val held = sessions.lock("sweep", 0)
            try {
                sweep(now)
            } finally {
                held.release()
            }
        } catch (cancelled: CancellationException) {
            throw cancelled
        } catch (_: Exception) {
            return
        }
    }

    private suspend fun sweep(now: Long) = Sweep(now).use { sweep ->
        // Keys first: one that is made meanwhile for a login is not told, and stays.
        for (key in keys.made(owner)) sweep.key(key.thumbprint, key.createdAt)
        for (stored in sessions.stored()) sweep.stored(stored.slot, stored.value, stored.storedAt)
        val swept = sweep.finish()
        for (slot in swept.slots) sessions.save(slot.slot, slot.version, slot.version, null)
        for (thumbprint in swept.keys) keys.deleteKey(thumbprint)
    }

    companion object {
        /** For stores that can say what they have; null for others. */
        fun of(keys: ProofKeyStore, sessions: SessionStore, clock: Clock): Sweeper? =
            if (keys is SweptKeyStore && sessions is SweptSessionStore) Sweeper(keys, sessions, clock) else null
    }
}
