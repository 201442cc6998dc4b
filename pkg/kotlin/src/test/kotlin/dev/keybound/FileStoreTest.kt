package dev.keybound

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.IOException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.attribute.PosixFilePermissions
import kotlin.io.path.deleteExisting
import kotlin.io.path.writeText

/** Sessions and keys in a folder. */
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
