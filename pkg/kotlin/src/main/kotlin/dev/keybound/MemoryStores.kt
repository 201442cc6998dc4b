package dev.keybound

import kotlinx.coroutines.sync.Mutex
import java.util.UUID
import java.util.concurrent.ConcurrentHashMap

/** The permitted algorithms that software keys are made for, the one that most servers know first. */
private val PREFERRED = listOf("ES256", "Ed25519", "EdDSA", "ES384", "ES512")

/** A new software key for one of [algorithms], if one may live in software. */
internal fun generateSoftwareKey(algorithms: List<String>, protections: List<Protection>): Key {
    check(Protection.SOFTWARE in protections) {
        "a key in hardware is asked for, and this store has software keys alone; give the client one that has others"
    }
    val algorithm = PREFERRED.firstOrNull { it in algorithms }
    checkNotNull(algorithm) { "no software key can be made for the permitted algorithms: ${algorithms.joinToString()}" }
    return Key.generate(algorithm)
}

/** Software keys in the memory of this process: for tools, tests and services that log in anew when they start. */
public class SoftwareKeys : SweptKeyStore {
    private class Made(val owner: String, val at: Long)

    private val keys = ConcurrentHashMap<String, Key>()
    private val made = ConcurrentHashMap<String, Made>()

    /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
    public fun add(key: Key): String = key.thumbprint().also {
        keys[it] = key
        made.remove(it)
    }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey {
        val key = generateSoftwareKey(algorithms, protections)
        add(key)
        return CreatedKey(key.publicJwk(), key.algorithm(), Protection.SOFTWARE)
    }

    override suspend fun sign(request: SigningRequest): EncodedSignature {
        val key = keys[request.thumbprint] ?: throw KeyFaultException.Missing()
        return EncodedSignature(key.sign(request.message), SignatureEncoding.RAW)
    }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>, owner: String): CreatedKey =
        createKey(algorithms, protections).also { made[thumbprint(it.publicJwk)] = Made(owner, Clock.SYSTEM.now()) }

    override suspend fun made(owner: String): List<MadeKey> =
        made.filterValues { it.owner == owner }.map { (thumbprint, made) -> MadeKey(thumbprint, made.at) }

    override suspend fun deleteKey(thumbprint: String) {
        keys.remove(thumbprint)
        made.remove(thumbprint)
    }
}

/** Sessions in the memory of this process. */
public class MemorySessions : SweptSessionStore {
    private val slots = HashMap<String, StoredValue>()
    private val turns = Turns()

    override val owner: String = "memory ${UUID.randomUUID()}"

    override suspend fun stored(): List<StoredSlot> = synchronized(slots) { slots.map { (slot, value) -> StoredSlot(slot, value, null) } }

    override suspend fun load(slot: String): StoredValue? = synchronized(slots) { slots[slot] }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean = synchronized(slots) {
        if (slots[slot]?.version != expected) return@synchronized false
        if (value == null) slots.remove(slot) else slots[slot] = StoredValue(version, value)
        true
    }

    override suspend fun lock(name: String, lease: Long): StoreLock = takenWithin(lease) { turns.take(name) }
}

/** Turns for a name among the tasks of this process. */
internal class Turns {
    private class Turn {
        val mutex = Mutex()
        var wanted = 0
    }

    private val turns = HashMap<String, Turn>()

    /** Waits for its turn; gives what ends it. */
    suspend fun take(name: String): StoreLock {
        val turn = synchronized(turns) { turns.getOrPut(name) { Turn() }.also { it.wanted += 1 } }
        try {
            turn.mutex.lock()
        } catch (cancelled: Throwable) {
            leave(name, turn)
            throw cancelled
        }
        return StoreLock {
            turn.mutex.unlock()
            leave(name, turn)
        }
    }

    /** Waits for its turn, and then until [attempt] gives something, which others in this and other processes can keep from it. */
    suspend fun <T : Any> take(name: String, attempt: () -> T?, taken: (T) -> Unit): StoreLock {
        val turn = take(name)
        try {
            taken(PrivateFiles.until(attempt))
        } catch (failure: Throwable) {
            turn.release()
            throw failure
        }
        return turn
    }

    /** The same for a lock on a file, which is given back with the turn. */
    suspend fun takeFile(name: String, attempt: () -> FileLock?): StoreLock {
        var held: FileLock? = null
        val turn = take(name, attempt) { held = it }
        return StoreLock {
            held?.release()
            held?.close()
            turn.release()
        }
    }

    private fun leave(name: String, turn: Turn) = synchronized(turns) {
        turn.wanted -= 1
        if (turn.wanted == 0) turns.remove(name)
    }
}
