package dev.keybound

import java.io.IOException
import java.nio.file.Path

/**
 * Sessions and software keys in a folder, in the files that the Rust library, the program `keybound` and the packages of other languages
 * write.
 *
 * The folder is made with mode 0700, files with 0600. A file is replaced as a whole, by a rename after its bytes have reached the disk.
 * Processes that share the folder take turns by locks of the operating system, which ends them with the process.
 *
 * On Android use the Keystore's classes instead: there, files of software keys are worth as much as the device's lock.
 */
public class FileStore private constructor(private val files: FileFolder, override val owner: String) : SweptKeyStore, SweptSessionStore {
    private val turns = Turns()

    public companion object {
        /**
         * Opens a folder, making it if it is not there, and deletes what has ended in it.
         *
         * @throws IOException if it cannot be made, is a link or another user's, or others than its owner may look into it
         */
        @JvmStatic
        @Throws(IOException::class, KeyboundException::class)
        public fun open(folder: Path): FileStore = FileStore(filed { FileFolder.open(folder.toString()) }, "folder $folder")
    }

    /** Keeps a key that the caller has, for example the one a client authenticates with. Gives its thumbprint. */
    @Throws(IOException::class, KeyboundException::class)
    public fun add(key: Key): String {
        filed { files.addKey(key) }
        return key.thumbprint()
    }

    /** The names of all stored sessions. */
    @Throws(IOException::class, KeyboundException::class)
    public fun sessions(): List<String> = filed { files.sessions() }

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>): CreatedKey =
        created(algorithms, protections, isMarked = false)

    override suspend fun createKey(algorithms: List<String>, protections: List<Protection>, owner: String): CreatedKey =
        created(algorithms, protections, isMarked = owner == this.owner)

    private suspend fun created(algorithms: List<String>, protections: List<Protection>, isMarked: Boolean): CreatedKey = io {
        files.createKey(algorithms, protections, isMarked).use { CreatedKey(it.publicJwk(), it.algorithm(), Protection.SOFTWARE) }
    }

    override suspend fun made(owner: String): List<MadeKey> = io {
        if (owner == this.owner) files.made().map { MadeKey(it.thumbprint, it.createdAt) } else emptyList()
    }

    override suspend fun stored(): List<StoredSlot> = io { files.values().map { StoredSlot(it.slot, it.value, it.storedAt) } }

    override suspend fun sign(request: SigningRequest): EncodedSignature = io {
        when (val found = files.key(request.thumbprint, request.algorithm)) {
            is FiledKey.Usable -> found.key.use { EncodedSignature(it.sign(request.message), SignatureEncoding.RAW) }
            is FiledKey.Missing -> throw KeyFaultException.Missing()
            is FiledKey.Changed -> throw KeyFaultException.Changed()
            is FiledKey.Unreadable -> throw KeyFaultException.Unreadable(found.detail)
        }
    }

    override suspend fun deleteKey(thumbprint: String): Unit = io { files.deleteKey(thumbprint) }

    override suspend fun load(slot: String): StoredValue? = io { files.load(slot) }

    override suspend fun save(slot: String, expected: Long?, version: Long, value: String?): Boolean {
        val lock = savingLock(slot)
        var saved: Boolean? = null
        // The turn is given back at once: what was to be done under it is done.
        takenWithin(lock.lease) {
            turns.take(lock.name, { filed { files.trySave(slot, expected, version, value) } }) { saved = it }
        }.release()
        return saved == true
    }

    override suspend fun lock(name: String, lease: Long): StoreLock = takenWithin(lease) { turns.takeFile(name) { files.tryLock(name) } }

    private suspend fun <T> io(work: () -> T): T = PrivateFiles.io { filed(work) }
}
