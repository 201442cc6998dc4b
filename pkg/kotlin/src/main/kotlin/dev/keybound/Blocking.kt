package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runInterruptible

/**
 * A [ProofKeyStore] whose functions block: for Java, which extends this class and passes it to a client.
 *
 * They are called on threads that may wait ([Dispatchers.IO]), several at a time. Where an operation is cancelled, its thread is interrupted.
 */
public abstract class BlockingKeyStore : ProofKeyStore {
    /** As [ProofKeyStore.createKey]. */
    @Throws(Exception::class)
    protected abstract fun createKeyBlocking(algorithms: List<String>, protections: List<Protection>): CreatedKey

    /** As [ProofKeyStore.sign]. */
    @Throws(Exception::class)
    protected abstract fun signBlocking(request: SigningRequest): EncodedSignature

    /** As [ProofKeyStore.deleteKey]. */
    @Throws(Exception::class)
    protected abstract fun deleteKeyBlocking(thumbprint: String)

    final override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey =
        blocking { createKeyBlocking(algorithms, protections) }

    final override suspend fun sign(request: SigningRequest): EncodedSignature = blocking { signBlocking(request) }

    final override suspend fun deleteKey(thumbprint: String): Unit = blocking { deleteKeyBlocking(thumbprint) }
}

/**
 * A [SessionStore] whose functions block: for Java, which extends this class and passes it to a client.
 *
 * They are called on threads that may wait ([Dispatchers.IO]), several at a time. Where an operation is cancelled, its thread is interrupted.
 */
public abstract class BlockingSessionStore : SessionStore {
    /** As [SessionStore.load]. */
    @Throws(Exception::class)
    protected abstract fun loadBlocking(slot: String): StoredValue?

    /** As [SessionStore.save]. */
    @Throws(Exception::class)
    protected abstract fun saveBlocking(slot: String, expected: Long?, version: Long, value: String?): Boolean

    /** As [SessionStore.lock]. */
    @Throws(Exception::class)
    protected abstract fun lockBlocking(name: String, lease: Long): StoreLock

    final override suspend fun load(slot: String): StoredValue? = blocking { loadBlocking(slot) }

    final override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean =
        blocking { saveBlocking(slot, expected, version, value) }

    final override suspend fun lock(name: String, lease: Long): StoreLock {
        var held: StoreLock? = null
        try {
            // A coroutine may be cancelled when the lock was just taken.
            blocking { held = lockBlocking(name, lease) }
        } catch (failure: Throwable) {
            held?.release()
            throw failure
        }
        return checkNotNull(held)
    }
}

/** A [ProofSigner] whose function blocks: for Java, which extends this class. */
public abstract class BlockingSigner : ProofSigner {
    /** As [ProofSigner.sign]. */
    @Throws(Exception::class)
    public abstract fun signBlocking(request: SigningRequest): EncodedSignature

    final override suspend fun sign(request: SigningRequest): EncodedSignature = blocking { signBlocking(request) }

    /**
     * A proof by this signer.
     *
     * @throws KeyboundException.Misuse if the request cannot be proved, or the signature does not fit
     * @throws Exception what [signBlocking] throws
     */
    @JvmOverloads
    @Throws(Exception::class)
    public fun proof(method: String, url: String, accessToken: String? = null, nonce: String? = null, now: Long? = null): String =
        unsigned(this, method, url, accessToken, nonce, now).use { it.attach(signBlocking(request(this, it))) }
}

/** Makes a signer's key, and blocks: what Java gives to [SignerKeys]. */
public fun interface SignerFactory {
    /** Makes a key for one of the algorithms, in one of the places. */
    @Throws(Exception::class)
    public fun create(algorithms: List<String>, protections: List<Protection>): ProofSigner
}

internal suspend fun <T> blocking(work: () -> T): T = runInterruptible(Dispatchers.IO, work)
