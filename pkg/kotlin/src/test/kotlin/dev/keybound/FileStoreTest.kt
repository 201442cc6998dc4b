package dev.keybound

import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.test.currentTime
import kotlinx.coroutines.test.runTest
import okhttp3.OkHttpClient
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.IOException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.attribute.FileTime
import java.nio.file.attribute.PosixFilePermissions
import kotlin.io.path.deleteExisting
import kotlin.io.path.writeText

/** Sessions and keys in a folder. */
@OptIn(ExperimentalCoroutinesApi::class)
class FileStoreTest {
    @TempDir
    lateinit var temporary: Path

    private fun mode(path: Path) = PosixFilePermissions.toString(Files.getPosixFilePermissions(path))

    @Test
    fun `keeps sessions over processes, for their owner alone`() = runBlocking<Unit> {
        val folder = temporary.resolve("sessions")
        Served().use { served ->
            val first = FileStore.open(folder)
            val client = KeyboundClient(served.options(), first, first)
            val session = client.login(served)
            for (kind in listOf("session", "key")) {
                assertEquals("rwx------", mode(folder.resolve(kind)))
                Files.list(folder.resolve(kind)).use { files -> files.forEach { assertEquals("rw-------", mode(it)) } }
            }
            val store = FileStore.open(folder)
            assertEquals(listOf("work"), store.sessions())
            val again = KeyboundClient(served.options(), store, store)
            val thumbprint = session.info().thumbprint!!
            again.call(again.open("work", thumbprint), get(served.resource)).use { assertEquals(200, it.code) }
            val other = assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { again.open("work", Key.generate().thumbprint()) } }
            assertEquals("stored_key", other.reason)
            val none = assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { again.open("none") } }
            assertEquals("no_session", none.reason)
            val opened = again.open("work")
            folder.resolve("key").resolve(storedFileName(thumbprint)).let { key ->
                key.writeText("no key")
                assertThrows(KeyFaultException.Unreadable::class.java) { runBlocking { again.call(opened, get(served.resource)) } }
                key.writeText(Key.generate().dangerPrivateJwk())
                val changed = assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { again.call(opened, get(served.resource)) } }
                assertEquals("key_changed", changed.reason)
            }
        }
    }

    @Test
    fun `a session of the program keybound is used here`() = runBlocking<Unit> {
        Served().use { served ->
            val folder = temporary.resolve("shared")
            val login = listOf(Served.program(), "login", served.resource, "--device", "--session", "work", "--folder", "$folder")
            val program = ProcessBuilder(login).redirectErrorStream(true).start()
            val said = program.inputStream.bufferedReader().readText()
            assertEquals(0, program.waitFor(), said)
            val store = FileStore.open(folder)
            val client = KeyboundClient(ClientOptions(SecurityLevel.ENHANCED, allowLoopback = true), store, store)
            client.call(client.open("work"), get(served.resource)).use { assertEquals(200, it.code) }
        }
    }

    @Test
    fun `a lost key needs a new login`() = runBlocking<Unit> {
        Served().use { served ->
            val store = FileStore.open(temporary.resolve("lost"))
            val client = KeyboundClient(served.options(), store, store)
            val session = client.login(served)
            temporary.resolve("lost/key").resolve(storedFileName(session.info().thumbprint!!)).deleteExisting()
            val error = assertThrows(KeyboundException.LoginRequired::class.java) { runBlocking { client.call(session, get(served.resource)) } }
            assertEquals("key_missing", error.reason)
        }
    }

    @Test
    fun `a folder that others can read is refused`() {
        val folder = Files.createDirectory(temporary.resolve("open"))
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"))
        val error = assertThrows(IOException::class.java) { FileStore.open(folder) }
        assertTrue("chmod 700" in error.message!!)
    }

    @Test
    fun `a folder that is a link or another user's is refused, and links in it are not followed`() = runBlocking<Unit> {
        val own = temporary.resolve("own")
        val store = FileStore.open(own)
        fun refused(folder: Path) = assertThrows(IOException::class.java) { FileStore.open(folder) }.message!!
        assertTrue("is a link" in refused(Files.createSymbolicLink(temporary.resolve("link"), own)))

        // What lies elsewhere is neither read nor written.
        assertTrue(store.save("session/work", null, 1, "secret"))
        val elsewhere = Files.move(own.resolve("session/work"), temporary.resolve("elsewhere"))
        Files.createSymbolicLink(own.resolve("session/work"), elsewhere)
        assertThrows(IOException::class.java) { runBlocking { store.load("session/work") } }
        Files.createSymbolicLink(own.resolve("lock").resolve(storedFileName("a")), temporary.resolve("made"))
        assertThrows(KeyboundException.Host::class.java) { runBlocking { store.lock("a", 30) } }
        assertFalse(Files.exists(temporary.resolve("made")))

        val others = own.resolve("login")
        Files.move(others, temporary.resolve("login"))
        Files.createSymbolicLink(others, temporary.resolve("login"))
        assertTrue("is a link" in refused(own), "nor is a folder in it")
        others.deleteExisting()
        // Root alone can give a folder away.
        val given = FileStore.open(temporary.resolve("given")).let { temporary.resolve("given") }
        if (runCatching { Files.setAttribute(given, "unix:uid", 4242) }.isSuccess) assertTrue("user 4242" in refused(given))
    }

    @Test
    fun `a lock that stays held for the whole lease is given up`() = runTest {
        for (store in listOf(FileStore.open(temporary.resolve("leases")), MemorySessions())) {
            val held = store.lock("session/work", 90)
            val began = currentTime
            val error = runCatching { store.lock("session/work", 90) }.exceptionOrNull() as KeyboundException.Host
            assertEquals("lock_timeout", error.reason)
            assertEquals(90_000, currentTime - began)
            held.release()
            store.lock("session/work", 90).release()
        }
        // So between processes, or between two stores of one.
        val (one, other) = FileStore.open(temporary.resolve("shared")) to FileStore.open(temporary.resolve("shared"))
        val held = one.lock("session/work", 90)
        assertEquals("lock_timeout", (runCatching { other.lock("session/work", 90) }.exceptionOrNull() as KeyboundException).reason)
        held.release()
        other.lock("session/work", 90).release()
    }

    @Test
    fun `nobody refreshes beside a holder that is slow`() = runBlocking<Unit> {
        Served().use { served ->
            val wire = Counting()
            val store = FileStore.open(temporary.resolve("slow"))
            val session = KeyboundClient(served.options(), store, store).login(served)
            // Another process refreshes for longer than the lease, in which waiting is done in no time.
            val held = FileStore.open(temporary.resolve("slow")).lock("session/work", 90)
            val impatient = object : SessionStore by store {
                override suspend fun lock(name: String, lease: Long) = store.lock(name, lease / 90)
            }
            val client = KeyboundClient(served.options(), store, impatient, OkHttpClient.Builder().addInterceptor(wire).build())
            val opened = client.open("work")
            val error = assertThrows(KeyboundException.Host::class.java) { runBlocking { client.refresh(opened) } }
            assertEquals("lock_timeout", error.reason)
            assertEquals(0, wire.seen.size, "nothing is redeemed")
            assertEquals(session.dangerAccessToken(), opened.dangerAccessToken())
            held.release()
            client.refresh(opened)
        }
    }

    @Test
    fun `a login that nobody came back from takes its key with it, and a key without a name is found`() = runBlocking<Unit> {
        Served().use { served ->
            val folder = temporary.resolve("swept")
            val file = FileStore.open(folder)
            val (software, memory) = SoftwareKeys() to MemorySessions()
            for ((keys, sessions) in listOf<Pair<SweptKeyStore, SweptSessionStore>>(file to file, software to memory)) {
                var now = Clock.SYSTEM.now()
                val client = KeyboundClient(served.options(), keys, sessions, clock = { now })
                val session = client.login(served)
                client.authorize(SessionRequest(SessionStart.New("abandoned", client.discover(served.resource))))
                keys.createKey(listOf("ES256"), listOf(Protection.SOFTWARE), sessions.owner)
                val others = keys.createKey(listOf("ES256"), listOf(Protection.SOFTWARE), "the sessions of another store")
                val given = Key.generate().also { if (keys is FileStore) keys.add(it) else (keys as SoftwareKeys).add(it) }
                assertEquals(3, keys.made(sessions.owner).size)
                assertEquals(1, sessions.stored().count { it.slot.startsWith("login/") })

                now += 3 * 3_600
                client.open("work")
                assertEquals(listOf(session.info().thumbprint), keys.made(sessions.owner).map { it.thumbprint })
                assertEquals(0, sessions.stored().count { it.slot.startsWith("login/") })
                for (jwk in listOf(others.publicJwk, given.publicJwk())) {
                    keys.sign(SigningRequest(thumbprint(jwk), KeyPurpose.PROOF, "ES256", "kept".toByteArray(), null))
                }
                client.end(session)
                assertEquals(0, keys.made(sessions.owner).size)
            }
            assertEquals(0, Files.list(folder.resolve("made")).use { it.count() })
        }
    }

    @Test
    fun `what a write has left behind is removed, when it is old`() {
        val folder = temporary.resolve("left")
        FileStore.open(folder)
        val part = folder.resolve("session/.new-a").also { it.writeText("a secret") }
        val mark = folder.resolve("made/b").also { it.writeText("") }
        FileStore.open(folder)
        assertTrue(Files.exists(part) && Files.exists(mark), "somebody may be writing them")
        for (file in listOf(part, mark)) Files.setLastModifiedTime(file, FileTime.fromMillis(System.currentTimeMillis() - 3_700_000))
        FileStore.open(folder)
        assertFalse(Files.exists(part) || Files.exists(mark))
    }

    @Test
    fun `values are replaced by version, and locks are taken in turn`() = runBlocking<Unit> {
        val (one, other) = FileStore.open(temporary.resolve("versions")) to FileStore.open(temporary.resolve("versions"))
        val slot = "session/" + "ä/".repeat(900)
        assertTrue(one.save(slot, null, 1, "first\nsecond"))
        assertFalse(other.save(slot, null, 1, "late"))
        assertEquals("first\nsecond", other.load(slot)!!.value)
        assertTrue(other.save(slot, 1, 2, "new"))
        assertTrue(one.save(slot, 2, 3, null))
        assertEquals(null, one.load(slot))
        val held = one.lock("a", 30)
        var taken = false
        val waiting = kotlin.concurrent.thread { runBlocking { other.lock("a", 30).also { taken = true }.release() } }
        Thread.sleep(100)
        assertFalse(taken)
        held.release()
        waiting.join(5_000)
        assertTrue(taken)
    }

    @Test
    fun `names of files are those of the other languages`() {
        assertEquals("a-b_C9%2F%C3%A4%2E%20", storedFileName("a-b_C9/ä. "))
        assertEquals(43, storedFileName("x".repeat(121)).length)
    }
}
