package dev.keybound

import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.nio.file.Files
import java.nio.file.Path

/** Every example of the README and the guide is one that is compiled here. */
class ReadmeTest {
    @Test
    fun `examples are compiled`() {
        val root = generateSequence(Path.of("").toAbsolutePath()) { it.parent }.first { Files.exists(it.resolve("Cargo.lock")) }
        val library = root.resolve("pkg/kotlin")
        val compiled = listOf(
            "src/test/kotlin/dev/keybound/Readme.kt", "src/test/java/dev/keybound/ReadmeJava.java",
            "android/src/test/kotlin/dev/keybound/android/ReadmeAndroid.kt",
            "testing/src/test/kotlin/app/ItemsTest.kt", "testing/src/test/java/app/ItemsInJavaTest.java",
        ).joinToString("\n") { plain(Files.readString(library.resolve(it))) }
        var seen = 0
        for (page in listOf(library.resolve("README.md"), root.resolve("docs/kotlin.md"))) {
            val blocks = Regex("```(?:kotlin|java)\n(.*?)```", RegexOption.DOT_MATCHES_ALL).findAll(Files.readString(page))
            for (block in blocks) {
                assertTrue(plain(block.groupValues[1]) in compiled, "${page.fileName} has an example that is not compiled:\n${block.value}")
                seen += 1
            }
        }
        assertTrue(seen >= 18, "$seen examples")
    }

    /** Lines without their indent, which differs. */
    private fun plain(text: String) = text.lines().joinToString("\n") { it.trim() }.trim()

    @Test
    fun `the first proof runs`() {
        Readme.firstProof()
        assertEquals("ES256", Key.generate().algorithm())
    }

    @Test
    fun `the test of an app runs`() = runBlocking { Readme.TestServers(Served.program()).use { Readme.test(it) } }
}
