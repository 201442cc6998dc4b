package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import java.io.IOException
import java.nio.file.Files
import java.nio.file.LinkOption.NOFOLLOW_LINKS
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.io.path.name

/**
 * Sessions and software keys in a folder, in the files that the Rust library and the program `keybound` write.
 *
 * The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
 * Processes that share the folder take turns by locks of the operating system, which ends them with the process.
 *
 * On Android use the Keystore's classes instead: there, files of software keys are worth as much as the device's lock.
 */
public class FileStore private constructor(private val folder: Path) : SweptKeyStore, SweptSessionStore {
    private val turns = Turns()

    override val owner: String = "folder $folder"

    public companion object {
        /** What the first line of each stored value begins with; the version follows. */
        private const val MAGIC = "keybound 1 "

        /** After how many seconds what a write has left behind that broke off is removed. */
        private const val LEFT_BEHIND = 3_600L

        /** For how many seconds a change waits for others, which hold this lock for as long as a file takes to be written. */
        private const val SAVING = 30L

        private val FOLDERS = listOf("session", "login", "registration", "key", "made", "lock")

        /**
         * Opens a folder, making it if it is not there.
         *
         * @throws IOException if it cannot be made, is a link or another user's, or others than its owner may look into it
         */
        @JvmStatic
        @Throws(IOException::class)
        public fun open(folder: Path): FileStore {
            PrivateFiles.openFolder(folder)
            for (name in FOLDERS) PrivateFiles.openFolder(folder.resolve(name))
            return FileStore(folder).apply { removeLeftBehind() }
        }
    }

    /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
    @Throws(IOException::class)
    public fun add(key: Key): String {
        val thumbprint = key.thumbprint()
        replace("key", thumbprint, key.dangerPrivateJwk())
        Files.deleteIfExists(path("made", thumbprint))
        return thumbprint
    }

    /** The names of all stored sessions. */
    @Throws(IOException::class)
    public fun sessions(): List<String> = files("session").map { plainName(it.name) }.sorted()

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey = io {
        val key = generateSoftwareKey(algorithms, protections)
        add(key)
        CreatedKey(key.publicJwk(), key.algorithm(), Protection.SOFTWARE)
    }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>, owner: String): CreatedKey {
        if (owner != this.owner) return createKey(algorithms, protections)
        return io {
            val key = generateSoftwareKey(algorithms, protections)
            // The mark first: a key without one is never found again.
            replace("made", key.thumbprint(), "")
            replace("key", key.thumbprint(), key.dangerPrivateJwk())
            CreatedKey(key.publicJwk(), key.algorithm(), Protection.SOFTWARE)
        }
    }

    override suspend fun made(owner: String): List<MadeKey> = io {
        if (owner != this.owner) return@io emptyList()
        files("made").mapNotNull { mark -> modified(path("key", mark.name))?.let { MadeKey(mark.name, it) } }
    }

    override suspend fun stored(): List<StoredSlot> = io {
        listOf("session", "login", "registration").flatMap { kind ->
            files(kind).map { file ->
                // The slot of a name that was too long for a file is not known; the file is found by the name it has.
                val slot = "$kind/" + plainName(file.name)
                val value = try {
                    loaded(slot)
                } catch (_: IOException) {
                    null
                }
                StoredSlot(slot, value, modified(file))
            }
        }
    }

    override suspend fun sign(request: SigningRequest): Signature = io {
        val key = try {
            val jwk = read(path("key", request.thumbprint)) ?: throw KeyFaultException.Missing()
            Key.fromJwk(jwk, request.algorithm)
        } catch (fault: KeyFaultException) {
            throw fault
        } catch (failure: Exception) {
            throw KeyFaultException.Unreadable(failure.message ?: failure.toString(), failure)
        }
        key.use {
            if (it.thumbprint() != request.thumbprint) throw KeyFaultException.Changed()
            Signature(it.sign(request.message), SignatureEncoding.RAW)
        }
    }

    override suspend fun deleteKey(thumbprint: String): Unit = io {
        Files.deleteIfExists(path("key", thumbprint))
        Files.deleteIfExists(path("made", thumbprint))
    }

    override suspend fun load(slot: String): StoredValue? = io { loaded(slot) }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        // One lock file for all logins: each has a name of its own, which is never used again.
        val held = lock("save/" + if (slot.startsWith("login/")) "login/" else slot, SAVING)
        try {
            return io {
                if (loaded(slot)?.version != expected) return@io false
                val (kind, name) = place(slot)
                if (value == null) {
                    Files.deleteIfExists(path(kind, name))
                } else {
                    replace(kind, name, "$MAGIC$version\n$value")
                }
                true
            }
        } finally {
            held.release()
        }
    }

    override suspend fun lock(name: String, lease: Long): StoreLock =
        takenWithin(lease) { turns.takeFile(folder.resolve("lock").resolve(storedFileName(name))) }

    private suspend fun <T> io(work: () -> T): T = withContext(Dispatchers.IO) { work() }

    private fun loaded(slot: String): StoredValue? {
        val (kind, name) = place(slot)
        val path = path(kind, name)
        val text = read(path) ?: return null
        val end = text.indexOf('\n')
        val version = if (end > 0 && text.startsWith(MAGIC)) text.substring(MAGIC.length, end).toLongOrNull() else null
        version ?: throw IOException("$path is no file of this program; move it away")
        return StoredValue(version, text.substring(end + 1))
    }

    /** The file's text; null if there is no file. */
    private fun read(path: Path): String? = PrivateFiles.read(path)?.decodeToString(throwOnInvalidSequence = true)

    private fun place(slot: String): Pair<String, String> {
        val at = slot.indexOf('/')
        return if (at < 0) "session" to slot else slot.substring(0, at) to slot.substring(at + 1)
    }

    private fun replace(kind: String, name: String, text: String) =
        PrivateFiles.replace(folder.resolve(kind), storedFileName(name), text.encodeToByteArray())

    private fun path(kind: String, name: String): Path = folder.resolve(kind).resolve(storedFileName(name))

    /** The files of a kind, without those that are being written. */
    private fun files(kind: String, areWritten: Boolean = true): List<Path> =
        Files.newDirectoryStream(folder.resolve(kind)).use { files -> files.filter { it.name.startsWith(".") != areWritten } }

    private fun plainName(file: String): String = java.net.URLDecoder.decode(file.replace("+", "%2B"), Charsets.UTF_8)

    /** When a file was written, in seconds since 1970; null if there is none. */
    private fun modified(file: Path): Long? = try {
        Files.getLastModifiedTime(file, NOFOLLOW_LINKS).to(TimeUnit.SECONDS)
    } catch (_: NoSuchFileException) {
        null
    }

    /** What writes that broke off have left: parts of files, which hold secrets, and marks of keys that never came. */
    private fun removeLeftBehind() {
        val before = System.currentTimeMillis() / 1000 - LEFT_BEHIND
        val marks = files("made").filter { modified(path("key", it.name)) == null }
        for (file in marks + FOLDERS.flatMap { files(it, areWritten = false) }) {
            if (modified(file)?.let { it < before } == true) Files.deleteIfExists(file)
        }
    }
}
