package dev.keybound.android

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import dev.keybound.KeyFaultException
import dev.keybound.PrivateFiles
import dev.keybound.StoreLock
import dev.keybound.StoredSlot
import dev.keybound.StoredValue
import dev.keybound.SweptSessionStore
import dev.keybound.Turns
import dev.keybound.savingLock
import dev.keybound.storedFileName
import dev.keybound.takenWithin
import dev.keybound.tryLockFile
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import java.io.File
import java.io.IOException
import java.net.URLDecoder
import java.nio.file.Files
import java.nio.file.Path
import java.security.KeyStore
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Sessions in files that a key of Android's Keystore encrypts (AES-256-GCM, each file for its own name).
 *
 * If that key is lost, for example because the app's data came to another device, what is stored counts as not there: a new login is
 * needed. If it cannot be used for the moment, that is an error, and nothing is lost.
 *
 * Tasks and processes of the app take turns by locks on files, which are given back when a coroutine is cancelled.
 *
 * @param folder of the app alone: a folder in `context.noBackupFilesDir`
 * @param account whose sessions they are: one name for each account of the app
 */
public class KeystoreSessions(folder: File, account: String) : SweptSessionStore {
    private val alias = "dev.keybound/sessions/$account"
    private val place: Path = File(folder, storedFileName(account)).toPath()
    private val turns = Turns()

    override val owner: String = "keystore $place"

    override suspend fun stored(): List<StoredSlot> = withContext(Dispatchers.IO) {
        place.toFile().listFiles().orEmpty().mapNotNull { file ->
            val slot = URLDecoder.decode(file.name.replace("+", "%2B"), "UTF-8")
            if (KINDS.none(slot::startsWith)) {
                // The file of a long slot is named by a hash, which does not say what it holds: it may name any key. Locks are empty.
                val isHashed = !file.name.startsWith(".") && file.length() > 0
                return@mapNotNull if (isHashed) StoredSlot(file.name, null, file.lastModified() / 1000) else null
            }
            try {
                // One that another key sealed is not there any more.
                read(slot)?.let { StoredSlot(slot, it, file.lastModified() / 1000) }
            } catch (_: KeyFaultException) {
                StoredSlot(slot, null, file.lastModified() / 1000)
            } catch (_: IOException) {
                StoredSlot(slot, null, file.lastModified() / 1000)
            }
        }
    }

    override suspend fun load(slot: String): StoredValue? = withContext(Dispatchers.IO) { read(slot) }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        val saving = savingLock(slot)
        val held = lock(saving.name, saving.lease)
        try {
            return withContext(Dispatchers.IO) {
                if (read(slot)?.version != expected) return@withContext false
                if (value == null) Files.deleteIfExists(file(slot)) else write(slot, "$version\n$value")
                true
            }
        } finally {
            held.release()
        }
    }

    override suspend fun lock(name: String, lease: Long): StoreLock {
        withContext(Dispatchers.IO) { PrivateFiles.openFolder(place) }
        val file = file("lock/$name").toString()
        return takenWithin(lease) { turns.takeFile(file) { tryLockFile(file) } }
    }

    private fun file(slot: String): Path = place.resolve(storedFileName(slot))

    private fun read(slot: String): StoredValue? {
        val file = file(slot)
        val sealed = PrivateFiles.read(file) ?: return null
        val text = try {
            mapped { opened(slot, sealed) }
        } catch (_: KeyFaultException.Missing) {
            return null
        } catch (_: KeyFaultException.Changed) {
            return null
        } ?: return null
        val version = text.substringBefore('\n').toLongOrNull() ?: throw IOException("$file is no file of this app")
        return StoredValue(version, text.substringAfter('\n'))
    }

    /** What a file holds; null if another key sealed it. */
    private fun opened(slot: String, sealed: ByteArray): String? {
        if (sealed.size <= IV_LENGTH) return null
        val key = key() ?: throw KeyFaultException.Missing()
        val cipher = Cipher.getInstance(CIPHER)
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, sealed, 0, IV_LENGTH))
        cipher.updateAAD(slot.encodeToByteArray())
        return try {
            cipher.doFinal(sealed, IV_LENGTH, sealed.size - IV_LENGTH).decodeToString()
        } catch (_: AEADBadTagException) {
            null
        }
    }

    private fun write(slot: String, text: String) {
        val sealed = mapped {
            val cipher = Cipher.getInstance(CIPHER)
            cipher.init(Cipher.ENCRYPT_MODE, key() ?: generated())
            cipher.updateAAD(slot.encodeToByteArray())
            check(cipher.iv.size == IV_LENGTH) { "the Keystore chose an IV of another length" }
            cipher.iv + cipher.doFinal(text.encodeToByteArray())
        }
        PrivateFiles.replace(place, storedFileName(slot), sealed)
    }

    private fun key(): SecretKey? = KeyStore.getInstance(PROVIDER).apply { load(null) }.getKey(alias, null) as? SecretKey

    private fun generated(): SecretKey {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(KEY_BITS)
        return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER).apply { init(spec.build()) }.generateKey()
    }

    private companion object {
        const val CIPHER = "AES/GCM/NoPadding"
        const val KEY_BITS = 256
        const val TAG_BITS = 128
        const val IV_LENGTH = 12
        val KINDS = listOf("session/", "login/", "registration/")
    }
}
