package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.LinkOption.NOFOLLOW_LINKS
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.nio.file.StandardOpenOption.CREATE_NEW
import java.nio.file.StandardOpenOption.READ
import java.nio.file.StandardOpenOption.WRITE
import java.nio.file.attribute.PosixFilePermissions
import java.security.SecureRandom
import java.util.Base64
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** Files for the user of this process alone, and the locks by which processes take turns: what all stores in folders are made of. */
internal object PrivateFiles {
    /** The longest file that is read, in bytes. */
    private const val MAX_LENGTH = 4 * 1024 * 1024

    /** Milliseconds between two looks at a lock, at first and at most. */
    private const val FIRST_PAUSE = 1L
    private const val LAST_PAUSE = 50L

    private val isPosix = "posix" in FileSystems.getDefault().supportedFileAttributeViews()
    private val ownersAlone = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
    private val random = SecureRandom()

    /** Makes a folder with mode 0700, or checks that the one that is there is for this user alone, and no link. */
    fun openFolder(folder: Path) = try {
        privateFolder(folder.toString())
    } catch (refused: KeyboundException.Host) {
        throw IOException(refused.message, refused)
    }

    /** The file's bytes; null if there is no file. Links are not followed. */
    fun read(path: Path): ByteArray? = try {
        FileChannel.open(path, READ, NOFOLLOW_LINKS).use { file ->
            if (file.size() > MAX_LENGTH) throw IOException("$path is longer than any file of this program")
            val bytes = ByteBuffer.allocate(file.size().toInt())
            while (bytes.hasRemaining() && file.read(bytes) >= 0) Unit
            bytes.array().copyOf(bytes.position())
        }
    } catch (_: NoSuchFileException) {
        null
    }

    /** Replaces a file as a whole, durably. */
    fun replace(folder: Path, name: String, content: ByteArray) {
        val suffix = ByteArray(9).also(random::nextBytes)
        val fresh = folder.resolve(".new-" + Base64.getUrlEncoder().encodeToString(suffix))
        try {
            val options = setOf(CREATE_NEW, WRITE)
            val opened = if (isPosix) FileChannel.open(fresh, options, ownersAlone) else FileChannel.open(fresh, options)
            opened.use { file ->
                val bytes = ByteBuffer.wrap(content)
                while (bytes.hasRemaining()) file.write(bytes)
                file.force(true)
            }
            Files.move(fresh, folder.resolve(name), ATOMIC_MOVE, REPLACE_EXISTING)
        } catch (failure: Throwable) {
            Files.deleteIfExists(fresh)
            throw failure
        }
        // A renamed file is durable when its folder is.
        if (isPosix) FileChannel.open(folder, READ).use { it.force(true) }
    }

    /** Waits for the lock on a file, which the operating system takes back when the process ends. Cancelled or not, none is lost. */
    suspend fun lock(path: Path): StoreLock {
        var pause = FIRST_PAUSE
        while (true) {
            // Both contexts: leaving one for another thread throws the result away if the coroutine was cancelled meanwhile.
            val held = withContext(NonCancellable) { withContext(Dispatchers.IO) { tryLockFile(path.toString()) } }
            if (held != null) {
                return StoreLock {
                    held.release()
                    held.close()
                }
            }
            delay(pause)
            pause = (pause * 2).coerceAtMost(LAST_PAUSE)
        }
    }
}

/**
 * Takes a lock, waiting for at most [lease] seconds; with none, it is tried once.
 *
 * @throws KeyboundException.Host `lock_timeout`: the holder of the lock is slow, and keeps it
 */
internal suspend fun takenWithin(lease: Long, take: suspend () -> StoreLock): StoreLock {
    var held: StoreLock? = null
    try {
        // Time may run out, or the coroutine be cancelled, when the lock was just taken.
        withTimeoutOrNull(lease.seconds.coerceAtLeast(1.milliseconds)) { held = take() }
    } catch (failure: Throwable) {
        held?.release()
        throw failure
    }
    return held ?: throw KeyboundException.Host(lockTimeout(lease))
}
