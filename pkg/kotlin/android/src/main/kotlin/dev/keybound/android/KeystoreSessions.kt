package dev.keybound.android

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import dev.keybound.KeyFaultException
import dev.keybound.SessionStore
import dev.keybound.StoreLock
import dev.keybound.StoredValue
import dev.keybound.Turns
import dev.keybound.storedFileName
import dev.keybound.tryLockFile
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.withContext
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
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
 * @param folder of the app alone: a folder in `context.noBackupFilesDir`
 * @param account whose sessions they are: one name for each account of the app
 */
public class KeystoreSessions(private val folder: File, account: String) : SessionStore {
    private val alias = "dev.keybound/sessions/$account"
    private val place = File(folder, storedFileName(account))
    private val turns = Turns()

    override suspend fun load(slot: String): StoredValue? = withContext(Dispatchers.IO) { read(slot) }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        val held = lock("save/" + if (slot.startsWith("login/")) "login/" else slot, 0)
        try {
            return withContext(Dispatchers.IO) {
                if (read(slot)?.version != expected) return@withContext false
                if (value == null) delete(slot) else write(slot, "$version\n$value")
                true
            }
        } finally {
            held.release()
        }
    }

    override suspend fun lock(name: String, lease: Long): StoreLock {
        val turn = turns.take(name)
        try {
            val path = file("lock/$name").path
            while (true) {
                // For apps with several processes. A lock that was taken is not lost to a cancellation.
                val held = withContext(NonCancellable + Dispatchers.IO) { made(place).let { tryLockFile(path) } }
                if (held != null) {
                    return StoreLock {
                        held.release()
                        held.close()
                        turn.release()
                    }
                }
                delay(PAUSE)
            }
        } catch (failure: Throwable) {
            turn.release()
            throw failure
        }
    }

    private fun file(slot: String) = File(place, storedFileName(slot))

    private fun made(folder: File): File {
        if (!folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) throw IOException("$folder cannot be made")
        return folder
    }

    private fun read(slot: String): StoredValue? {
        val file = file(slot)
        if (!file.exists()) return null
        val sealed = file.readBytes()
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
        val fresh = File.createTempFile(".new-", null, made(place))
        try {
            FileOutputStream(fresh).use {
                it.write(sealed)
                it.fd.sync()
            }
            if (!fresh.renameTo(file(slot))) throw IOException("${file(slot)} cannot be written")
        } finally {
            fresh.delete()
        }
    }

    private fun delete(slot: String) {
        if (!file(slot).delete() && file(slot).exists()) throw IOException("${file(slot)} cannot be deleted")
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

        /** Milliseconds between two looks at a lock. */
        const val PAUSE = 10L
    }
}
