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
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import kotlin.io.path.isRegularFile
import kotlin.io.path.outputStream
import kotlin.io.path.readBytes
import kotlin.io.path.readText
import kotlin.io.path.relativeTo
import kotlin.io.path.writeText
import kotlin.reflect.KClass

/** The rules that the AAR ships are enough: an app that was shrunk, optimized and renamed with them still finds the native library. */
class MinifiedTest {
    @TempDir
    lateinit var folder: Path

    private val minified get() = folder.resolve("minified.jar")
    private val library = place(Key::class)
    private val native = place(Native::class)
    private val others = listOf(Unit::class, CoroutineScope::class, OkHttpClient::class, Buffer::class).map(::place)

    // As `proguard-android-optimize.txt` goes about it, without the attributes that it keeps: the rules name those they need.
    private val settings = """
        -keep class app.MinifiedKt { public static void main(java.lang.String[]); }
        -allowaccessmodification
        -repackageclasses
        -dontwarn kotlinx.coroutines.**,okhttp3.**,okio.**,org.jetbrains.annotations.**
        -include '${Path.of("android/consumer-rules.pro").toAbsolutePath()}'
    """.trimIndent()

    @Test
    fun `an app that ProGuard minified runs`() {
        val modules = Path.of(System.getProperty("java.home"), "jmods")
        val file = folder.resolve("app.pro")
        file.writeText(
            """
            -injars '$library'
            -injars '${place(MinifiedTest::class)}'(app/**.class)
            ${others.joinToString("\n") { "-injars '$it'(**.class)" }}
            -injars '$native'(!META-INF/**)
            -outjars '$minified'
            -libraryjars '$modules/java.base.jmod'(!**.jar;!module-info.class)
            -libraryjars '$modules/java.logging.jmod'(!**.jar;!module-info.class)
            -dontnote
            """.trimIndent() + "\n" + settings,
        )
        java("-cp", System.getProperty("java.class.path"), "proguard.ProGuard", "@$file")
        runs()
    }

    @Test
    fun `an app that R8 minified runs`() {
        val rules = folder.resolve("app.pro").apply { writeText(settings) }
        // R8 reads jars alone.
        val own = jar("library.jar", library) { true }
        val app = jar("app.jar", place(MinifiedTest::class)) { it.startsWith("app") }
        val options = arrayOf("--release", "--classfile", "--lib", System.getProperty("java.home"), "--pg-conf", "$rules", "--output", "$minified")
        val jars = (listOf(own, app, native) + others).map { "$it" }.toTypedArray()
        java("-cp", System.getProperty("java.class.path"), "com.android.tools.r8.R8", *options, *jars)
        runs()
    }

    private fun runs() = assertEquals("ok", java("-cp", "$minified", "app.MinifiedKt").trim())

    /** The jar or folder that a class is loaded from. */
    private fun place(type: KClass<*>): Path = Path.of(type.java.protectionDomain.codeSource.location.toURI())

    /** A jar of those files of a folder whose paths in it are wanted. */
    private fun jar(name: String, from: Path, isWanted: (Path) -> Boolean): Path {
        val jar = folder.resolve(name)
        val files = Files.walk(from).use { all -> all.filter { it.isRegularFile() && isWanted(it.relativeTo(from)) }.toList() }
        ZipOutputStream(jar.outputStream()).use { zip ->
            for (file in files) {
                zip.putNextEntry(ZipEntry(file.relativeTo(from).joinToString("/")))
                zip.write(file.readBytes())
            }
        }
        return jar
    }

    /** Runs Java, which has to end well, and gives what it printed. The fast compiler alone suits programs that run for seconds. */
    private fun java(vararg arguments: String): String {
        val output = Files.createTempFile(folder, "java", ".txt")
        val command = listOf(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1") + arguments
        val status = ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start().waitFor()
        return output.readText().also { assertEquals(0, status, it) }
    }
}
