package dev.keybound

import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path
import java.util.Base64
import kotlin.io.path.isRegularFile
import kotlin.io.path.readBytes
import kotlin.io.path.readText
import kotlin.io.path.relativeTo
import kotlin.io.path.writeBytes

/** The folder that the stores of all languages read, and write byte for byte (`tests/vectors/files`). */
class RecordedFilesTest {
    @TempDir
    lateinit var temporary: Path

    private val recorded = Vectors.path("vectors/files/folder")
    private val contents = Vectors.read("vectors/files/contents.json").jsonObject

    private fun all(name: String): List<JsonObject> = contents[name]!!.jsonArray.map { it.jsonObject }

    /** All files as text, by their names below the folder. No byte is lost. */
    private fun tree(folder: Path): Map<String, String> = Files.walk(folder).use { paths ->
        paths.filter { it.isRegularFile() }.toList().associate { "${it.relativeTo(folder)}" to it.readBytes().toString(Charsets.ISO_8859_1) }
    }

    @Test
    fun `what is written is what is recorded`() = runBlocking<Unit> {
        val folder = temporary.resolve("folder")
        val store = FileStore.open(folder)
        for (value in all("values")) {
            assertTrue(store.save(value.text("slot")!!, null, value["version"]!!.jsonPrimitive.content.toLong(), value.text("value")))
        }
        for (key in all("keys")) assertEquals(key.text("thumbprint"), store.add(Key.fromJwk(key.text("jwk")!!)))
        store.lock(contents.text("lock")!!, 0).release()
        assertEquals(tree(recorded), tree(folder))

        store.createKey(listOf("ES256"), listOf(Protection.SOFTWARE), store.owner).let { made ->
            val written = folder.resolve("key").resolve(thumbprint(made.publicJwk)).readText()
            assertEquals(written, Key.fromJwk(written).dangerPrivateJwk())
            assertEquals("", folder.resolve("made").resolve(thumbprint(made.publicJwk)).readText())
        }
    }

    @Test
    fun `what is recorded is read`() = runBlocking<Unit> {
        val folder = temporary.resolve("folder")
        // Git keeps no modes: the store makes the folders.
        FileStore.open(folder)
        for (name in tree(recorded).keys) folder.resolve(name).writeBytes(recorded.resolve(name).readBytes())
        val store = FileStore.open(folder)
        for (value in all("values")) {
            val stored = store.load(value.text("slot")!!)
            assertEquals(StoredValue(value["version"]!!.jsonPrimitive.content.toLong(), value.text("value")!!), stored)
        }
        assertEquals(contents["sessions"]!!.jsonArray.map { it.jsonPrimitive.content }, store.sessions())
        for (key in all("keys")) {
            val message = contents.text("message")!!.toByteArray()
            val request = SigningRequest(key.text("thumbprint")!!, KeyPurpose.PROOF, key.text("algorithm")!!, message, null)
            val signed = Base64.getUrlEncoder().withoutPadding().encodeToString(store.sign(request).bytes)
            // Where the algorithm gives one message one signature.
            key.text("signature")?.let { assertEquals(it, signed) }
        }
        val session = KeyboundClient(ClientOptions(SecurityLevel.ENHANCED, credentials = listOf(Credentials("https://as.example.com", "app"))), store, store).open("work")
        assertEquals(all("keys").first().text("thumbprint"), session.info().thumbprint)
        assertEquals(tree(recorded), tree(folder), "the sweep of opening left everything where it was")
    }
}
