package dev.keybound

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.withContext
import java.io.IOException
import java.nio.channels.FileChannel
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import java.nio.file.StandardOpenOption.CREATE_NEW
import java.nio.file.StandardOpenOption.READ
import java.nio.file.StandardOpenOption.WRITE
import java.nio.file.attribute.PosixFilePermission
import java.nio.file.attribute.PosixFilePermissions
import java.security.SecureRandom
import java.util.Base64

/**
 * Sessions and software keys in a folder, in the files that the Rust library and the program `keybound` write.
 *
 * The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
 * Processes that share the folder take turns by locks of the operating system, which ends them with the process.
 *
 * On Android use the Keystore's classes instead: there, files of software keys are worth as much as the device's lock.
 */
public class FileStore private constructor(private val folder: Path) : ProofKeyStore, SessionStore {
    private val turns = Turns()

    public companion object {
        /** What the first line of each stored value begins with; the version follows. */
        private const val MAGIC = "keybound 1 "

        /** The longest stored value, in bytes. */
        private const val MAX_LENGTH = 4L * 1024 * 1024

        /** After how many milliseconds a login that nobody completed is removed. */
        private const val FORGOTTEN = 3_600_000L

        private val FOLDERS = listOf("session", "login", "registration", "key", "lock")

        private val OWNER = PosixFilePermissions.fromString("rwx------")
        private val isPosix = "posix" in java.nio.file.FileSystems.getDefault().supportedFileAttributeViews()
        private val random = SecureRandom()

        /**
         * Opens a folder, making it if it is not there.
         *
         * @throws IOException if it cannot be made, or others than its owner may look into it
         */
        @JvmStatic
        @Throws(IOException::class)
        public fun open(folder: Path): FileStore {
            for (name in FOLDERS) makeFolder(folder.resolve(name))
            if (isPosix && (Files.getPosixFilePermissions(folder) - OWNER).isNotEmpty()) {
                throw IOException("$folder can be read by others and is to hold tokens; run: chmod 700 $folder")
            }
            return FileStore(folder).apply { removeForgottenLogins() }
        }

        private fun makeFolder(folder: Path) {
            if (Files.isDirectory(folder)) return
            folder.parent?.let { if (!Files.isDirectory(it)) makeFolder(it) }
            try {
                if (isPosix) {
                    Files.createDirectory(folder, PosixFilePermissions.asFileAttribute(OWNER))
                } else {
                    Files.createDirectory(folder)
                }
            } catch (made: java.nio.file.FileAlreadyExistsException) {
                // Another process was faster.
                if (!Files.isDirectory(folder)) throw made
            }
        }
    }

    /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
    @Throws(IOException::class)
    public fun add(key: Key): String {
        val thumbprint = key.thumbprint()
        replace("key", thumbprint, key.dangerPrivateJwk())
        return thumbprint
    }

    /** The names of all stored sessions. */
    @Throws(IOException::class)
    public fun sessions(): List<String> = Files.list(folder.resolve("session")).use { files ->
        val names = files.map { it.fileName.toString() }.filter { !it.startsWith(".") }.toList()
        names.map { java.net.URLDecoder.decode(it.replace("+", "%2B"), Charsets.UTF_8) }.sorted()
    }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey = io {
        val key = generateSoftwareKey(algorithms, protections)
        add(key)
        CreatedKey(key.publicJwk(), key.algorithm(), Protection.SOFTWARE)
    }

    override suspend fun sign(request: SigningRequest): Signature = io {
        val key = try {
            val jwk = read(folder.resolve("key").resolve(storedFileName(request.thumbprint))) ?: throw KeyFaultException.Missing()
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
        Files.deleteIfExists(folder.resolve("key").resolve(storedFileName(thumbprint)))
    }

    override suspend fun load(slot: String): StoredValue? = io { loaded(slot) }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        // One lock file for all logins: each has a name of its own, which is never used again.
        val held = lock("save/" + if (slot.startsWith("login/")) "login/" else slot, 0)
        try {
            return io {
                if (loaded(slot)?.version != expected) return@io false
                val (kind, name) = place(slot)
                if (value == null) {
                    Files.deleteIfExists(folder.resolve(kind).resolve(name))
                } else {
                    replace(kind, name, "$MAGIC$version\n$value")
                }
                true
            }
        } finally {
            held.release()
        }
    }

    override suspend fun lock(name: String, lease: Long): StoreLock {
        val path = folder.resolve("lock").resolve(storedFileName(name)).toString()
        val turn = turns.take(path)
        try {
            var pause = 1L
            while (true) {
                // A lock that was taken is not lost to a cancellation.
                val held = withContext(NonCancellable) { io { tryLockFile(path) } }
                if (held != null) {
                    return StoreLock {
                        held.release()
                        held.close()
                        turn.release()
                    }
                }
                delay(pause)
                pause = (pause * 2).coerceAtMost(50)
            }
        } catch (failure: Throwable) {
            turn.release()
            throw failure
        }
    }

    private suspend fun <T> io(work: () -> T): T = withContext(Dispatchers.IO) { work() }

    private fun loaded(slot: String): StoredValue? {
        val (kind, name) = place(slot)
        val path = folder.resolve(kind).resolve(name)
        val text = read(path) ?: return null
        val end = text.indexOf('\n')
        val version = if (end > 0 && text.startsWith(MAGIC)) text.substring(MAGIC.length, end).toLongOrNull() else null
        version ?: throw IOException("$path is no file of this program; move it away")
        return StoredValue(version, text.substring(end + 1))
    }

    /** The file's text; null if there is no file. */
    private fun read(path: Path): String? = try {
        if (Files.size(path) > MAX_LENGTH) throw IOException("$path is longer than any file of this program")
        Files.readString(path)
    } catch (_: NoSuchFileException) {
        null
    }

    private fun place(slot: String): Pair<String, String> {
        val at = slot.indexOf('/')
        return if (at < 0) "session" to storedFileName(slot) else slot.substring(0, at) to storedFileName(slot.substring(at + 1))
    }

    private fun replace(kind: String, name: String, text: String) {
        val parent = folder.resolve(kind)
        val suffix = ByteArray(9).also(random::nextBytes)
        val fresh = parent.resolve(".new-" + Base64.getUrlEncoder().encodeToString(suffix))
        try {
            open(fresh).use { file ->
                val bytes = java.nio.ByteBuffer.wrap(text.encodeToByteArray())
                while (bytes.hasRemaining()) file.write(bytes)
                file.force(true)
            }
            Files.move(fresh, parent.resolve(name), ATOMIC_MOVE, REPLACE_EXISTING)
        } catch (failure: Throwable) {
            Files.deleteIfExists(fresh)
            throw failure
        }
        // A renamed file is durable when its folder is.
        if (isPosix) FileChannel.open(parent, READ).use { it.force(true) }
    }

    private fun open(path: Path): FileChannel {
        val options = setOf(CREATE_NEW, WRITE)
        if (!isPosix) return FileChannel.open(path, options)
        val owner: Set<PosixFilePermission> = PosixFilePermissions.fromString("rw-------")
        return FileChannel.open(path, options, PosixFilePermissions.asFileAttribute(owner))
    }

    /** Logins that nobody came back from hold a code verifier each, and would pile up. */
    private fun removeForgottenLogins() {
        val before = System.currentTimeMillis() - FORGOTTEN
        Files.list(folder.resolve("login")).use { files ->
            files.forEach { file ->
                val modified = try {
                    Files.getLastModifiedTime(file).toMillis()
                } catch (_: NoSuchFileException) {
                    return@forEach
                }
                if (modified < before) Files.deleteIfExists(file)
            }
        }
    }
}
