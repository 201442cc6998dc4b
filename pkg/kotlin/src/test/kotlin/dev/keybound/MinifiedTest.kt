package dev.keybound

import com.sun.jna.Native
import kotlinx.coroutines.CoroutineScope
import okhttp3.OkHttpClient
import okio.Buffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.readText
import kotlin.io.path.writeText
import kotlin.reflect.KClass

/** The rules that the AAR ships are enough: an app that ProGuard shrank, optimized and renamed with them still finds the native library. */
class MinifiedTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun `a minified app runs`() {
        val (library, tests) = listOf(Key::class, MinifiedTest::class).map(::place)
        val jars = listOf(Unit::class, CoroutineScope::class, OkHttpClient::class, Buffer::class).map(::place)
        val modules = Path.of(System.getProperty("java.home"), "jmods")
        val minified = folder.resolve("minified.jar")
        // As `proguard-android-optimize.txt` goes about it, without the attributes that it keeps: the rules name those they need.
        val settings = """
            -injars '$library'
            -injars '$tests'(app/**.class)
            ${jars.joinToString("\n") { "-injars '$it'(**.class)" }}
            -injars '${place(Native::class)}'(!META-INF/**)
            -outjars '$minified'
            -libraryjars '$modules/java.base.jmod'(!**.jar;!module-info.class)
            -libraryjars '$modules/java.logging.jmod'(!**.jar;!module-info.class)
            -keep class app.MinifiedKt { public static void main(java.lang.String[]); }
            -allowaccessmodification
            -repackageclasses
            -dontwarn kotlinx.coroutines.**,okhttp3.**,okio.**,org.jetbrains.annotations.**
            -dontnote
            -include '${Path.of("android/consumer-rules.pro").toAbsolutePath()}'
        """
        val file = folder.resolve("app.pro").apply { writeText(settings.trimIndent()) }
        java("-cp", System.getProperty("java.class.path"), "proguard.ProGuard", "@$file")
        assertEquals("ok", java("-cp", "$minified", "app.MinifiedKt").trim())
    }

    /** The jar or folder that a class is loaded from. */
    private fun place(type: KClass<*>): Path = Path.of(type.java.protectionDomain.codeSource.location.toURI())

    /** Runs Java, which has to end well, and gives what it printed. The fast compiler alone suits programs that run for seconds. */
    private fun java(vararg arguments: String): String {
        val output = Files.createTempFile(folder, "java", ".txt")
        val command = listOf(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1") + arguments
        val status = ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start().waitFor()
        return output.readText().also { assertEquals(0, status, it) }
    }
}
