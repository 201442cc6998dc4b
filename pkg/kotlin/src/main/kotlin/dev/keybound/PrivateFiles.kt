package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import java.io.IOException
import java.nio.file.Path
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** What the operating system, or the state of a folder, refuses is an [IOException]. */
internal fun <T> filed(work: () -> T): T = try {
    work()
} catch (refused: KeyboundException) {
    val isOfFiles = refused.reason == "file" || refused.reason.contains("folder")
    throw if (isOfFiles) IOException(refused.message, refused) else refused
}

/** Files for the user of this process alone, and the locks by which processes take turns: what all stores in folders are made of. */
internal object PrivateFiles {
    /** Makes a folder with mode 0700, or checks that the one that is there is for this user alone, and no link. */
    fun openFolder(folder: Path) = filed { privateFolder(folder.toString()) }

    /** The file's bytes; null if there is no file. Links are not followed. */
    fun read(path: Path): ByteArray? = filed { privateFile(path.toString()) }

    /** Replaces a file as a whole, durably. */
    fun replace(folder: Path, name: String, content: ByteArray) = filed { replacePrivateFile(folder.toString(), name, content) }

    suspend fun <T> io(work: () -> T): T = withContext(Dispatchers.IO) { work() }

    /** Tries until there is something. Cancelled or not, no try that had an effect is lost. */
    suspend fun <T : Any> until(attempt: () -> T?): T {
        var attempts = 1
        while (true) {
            // Both contexts: leaving one for another thread throws the result away if the coroutine was cancelled meanwhile.
            withContext(NonCancellable) { io(attempt) }?.let { return it }
            delay(lockPause(attempts))
            attempts += 1
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
