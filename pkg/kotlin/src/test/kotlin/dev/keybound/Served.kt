package dev.keybound

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.TimeUnit

/** `keybound serve`: KEYBOUND_PROGRAM, or the program in the workspace's target folder. */
class Served(vararg options: String) : AutoCloseable {
    private val process: Process
    val issuer: String
    val resource: String
    val secret: String

    init {
        val command = listOf(program(), "serve", "--listen", "127.0.0.1:0", "--format", "json") + options
        process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        val first = process.inputStream.bufferedReader().readLine() ?: error("keybound serve ended with ${process.waitFor()}")
        val told = Json.parseToJsonElement(first).jsonObject
        issuer = told.text("issuer")!!
        resource = told.text("resource")!!
        secret = told.text("client_secret")!!
    }

    val credentials = listOf(Credentials(issuer, "keybound-demo"))

    fun options(level: SecurityLevel = SecurityLevel.ENHANCED) =
        ClientOptions(level, redirectUri = "http://127.0.0.1:7391/callback", credentials = credentials, allowLoopback = true)

    override fun close() {
        process.destroy()
        process.waitFor(5, TimeUnit.SECONDS)
    }

    companion object {
        fun program(): String {
            val root = generateSequence(Path.of("").toAbsolutePath()) { it.parent }.first { Files.exists(it.resolve("Cargo.lock")) }
            val places = listOfNotNull(
                System.getenv("KEYBOUND_PROGRAM"),
                System.getenv("CARGO_TARGET_DIR")?.let { "$it/debug/keybound" },
                "$root/target/debug/keybound",
            )
            return places.firstOrNull { Files.isExecutable(Path.of(it)) }
                ?: error("there is no keybound program: cargo build -p keybound-cli, or name one in KEYBOUND_PROGRAM")
        }
    }
}

/** What a browser does with a login that is approved at once: where it is sent in the end. */
fun browse(url: String): String {
    val browser = OkHttpClient.Builder().followRedirects(false).build()
    return browser.newCall(Request.Builder().url(url).build()).execute().use { it.header("Location") ?: error("${it.code}: ${it.body?.string()}") }
}

/** Notes what goes over the wire. */
class Counting : Interceptor {
    val seen = ConcurrentLinkedQueue<Request>()

    override fun intercept(chain: Interceptor.Chain): Response {
        seen += chain.request()
        return chain.proceed(chain.request())
    }

    fun count(what: String) = seen.count { "${it.method} ${it.url.encodedPath}" == what }
}

/** Discovers and logs in. */
suspend fun KeyboundClient.login(served: Served, name: String = "work", scope: String? = null): Session {
    val request = SessionRequest(SessionStart.New(name, discover(served.resource)), scope)
    return exchange(browse(authorize(request).url))
}

fun get(url: String): Request = Request.Builder().url(url).build()
