package dev.keybound

import kotlinx.coroutines.runBlocking
import okhttp3.Authenticator
import okhttp3.Cache
import okhttp3.Call
import okhttp3.Callback
import okhttp3.Cookie
import okhttp3.CookieJar
import okhttp3.HttpUrl
import okhttp3.MediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.Response
import okhttp3.Route
import okio.BufferedSink
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.io.IOException
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

/** Where a client meets an `OkHttpClient` and a store that are the caller's. */
class EdgesTest {
    @TempDir
    lateinit var folder: File

    /** Cookies in memory. */
    private class Jar : CookieJar {
        val kept = ConcurrentLinkedQueue<Cookie>()
        override fun loadForRequest(url: HttpUrl): List<Cookie> = kept.toList()
        override fun saveFromResponse(url: HttpUrl, cookies: List<Cookie>) {
            kept += cookies
        }
    }

    private object Passwords : Authenticator {
        override fun authenticate(route: Route?, response: Response): Request? =
            if (response.priorResponse != null) null else response.request.newBuilder().header("Authorization", "Basic secret").build()
    }

    @Test
    fun `a program that closes nothing ends with its main function`() {
        Served().use { served ->
            val output = folder.resolve("output.txt")
            val java = listOf("${System.getProperty("java.home")}/bin/java", "-cp", System.getProperty("java.class.path"))
            val program = ProcessBuilder(java + listOf("app.FirstTry", served.resource)).redirectErrorStream(true).redirectOutput(output).start()
            // OkHttp's own threads stay for 60 seconds.
            val hasEnded = program.waitFor(40, TimeUnit.SECONDS)
            program.destroyForcibly()
            assertEquals(served.issuer, output.readText().trim())
            assertTrue(hasEnded, "threads keep the process alive")
        }
    }

    private val jar = Jar()
    private val sent = ConcurrentLinkedQueue<Request>()

    /** A client whose server lets answers be kept and sets a cookie. */
    private fun shared(): OkHttpClient.Builder = OkHttpClient.Builder()
        .cache(Cache(folder, 1 shl 20))
        .cookieJar(jar)
        .authenticator(Passwords)
        .addNetworkInterceptor { chain ->
            sent += chain.request()
            chain.proceed(chain.request()).newBuilder().header("Cache-Control", "max-age=600").header("Set-Cookie", "account=first").build()
        }

    private fun Response.account(): String = use { Regex("\"bound_to\":\"([^\"]*)").find(it.body!!.string())!!.groupValues[1] }

    @Test
    fun `the caller's cache, cookies and authenticator give no account what is another's`() = runBlocking<Unit> {
        Served("--no-nonces").use { served ->
            val builder = shared()
            val client = KeyboundClient(served.options(), http = builder.build())
            val (one, other) = client.login(served, "one") to client.login(served, "other")
            for (session in listOf(one, other)) assertEquals(session.info().thumbprint, client.call(session, get(served.resource)).account())
            for (session in listOf(one, other)) {
                val http = client.install(builder, session)
                assertEquals(session.info().thumbprint, http.newCall(get(served.resource)).execute().account())
            }
            assertTrue(jar.kept.isEmpty() && sent.none { it.header("Cookie") != null })
            // Discovery is answered by 401, and by none of the application's own credentials.
            assertTrue(sent.none { it.header("Authorization")?.startsWith("Basic") == true })
            val still = builder.build()
            assertTrue(still.followRedirects && still.cache != null && still.cookieJar === jar, "the caller's builder stays as it is")
        }
    }

    @Test
    fun `what the authenticator has authorized is not cached`() = runBlocking<Unit> {
        Served("--no-nonces").use { served ->
            val client = KeyboundClient(served.options())
            var session = client.login(served, "one")
            val other = client.login(served, "other")
            val http = shared().followRedirects(false).cookieJar(CookieJar.NO_COOKIES).authenticator(KeyboundAuthenticator(client) { session }).build()
            assertEquals(session.info().thumbprint, http.newCall(get(served.resource)).execute().account())
            session = other
            assertEquals(other.info().thumbprint, http.newCall(get(served.resource)).execute().account())
        }
    }

    @Test
    fun `an interceptor on a client that is unfit sends nothing, and nothing is tried again`() = runBlocking<Unit> {
        Served().use { served ->
            val client = KeyboundClient(served.options())
            val session = client.login(served)
            val asked = AtomicInteger()
            val fit = OkHttpClient.Builder().followRedirects(false).retryOnConnectionFailure(false).addNetworkInterceptor { chain ->
                sent += chain.request()
                chain.proceed(chain.request())
            }.addInterceptor { chain ->
                asked.incrementAndGet()
                chain.proceed(chain.request())
            }.addInterceptor(KeyboundInterceptor(client) { session }).build()
            val unfit = listOf(
                "redirects" to fit.newBuilder().followRedirects(true), "repeats" to fit.newBuilder().retryOnConnectionFailure(true),
                "cache" to fit.newBuilder().cache(Cache(folder, 1 shl 20)),
                "cookies" to fit.newBuilder().cookieJar(jar), "authenticator" to fit.newBuilder().authenticator(Passwords),
            )
            for ((what, builder) in unfit) {
                asked.set(0)
                val error = assertThrows(KeyboundIOException::class.java) { builder.build().newCall(get(served.resource)).execute() }
                val misuse = assertInstanceOf(KeyboundException.Misuse::class.java, error.error)
                assertEquals("unfit_http_client", misuse.reason)
                assertTrue(what in misuse.message && "KeyboundClient.install" in misuse.message, misuse.message)
                assertEquals(1, asked.get())
            }
            assertTrue(sent.isEmpty(), "$sent")
            fit.newCall(get(served.resource)).execute().use { assertEquals(200, it.code) }
        }
    }

    @Test
    fun `a body is asked once how often it can be sent`() = runBlocking<Unit> {
        Served("--no-nonces").use { served ->
            val attempts = AtomicInteger()
            val http = OkHttpClient.Builder().addInterceptor { chain ->
                if (chain.request().method != "PUT") return@addInterceptor chain.proceed(chain.request())
                attempts.incrementAndGet()
                throw IOException("no network")
            }
            val client = KeyboundClient(served.options(), http = http.build())
            val session = client.login(served)
            val body = object : RequestBody() {
                private val looks = AtomicInteger()
                override fun contentType(): MediaType? = null
                override fun isOneShot() = looks.getAndIncrement() == 0
                override fun writeTo(sink: BufferedSink) {
                    sink.writeUtf8("a part")
                }
            }
            assertThrows(IOException::class.java) { runBlocking { client.call(session, Request.Builder().url(served.resource).put(body).build()) } }
            assertEquals(1, attempts.get(), "what could be sent once at the first look is sent once")
        }
    }

    @Test
    fun `a call that waits for its turn ends when it is cancelled`() = runBlocking<Unit> {
        Served().use { served ->
            val inner = MemorySessions()
            val waits = CompletableFuture<Unit>()
            val sessions = object : SessionStore by inner {
                override suspend fun lock(name: String, lease: Long): StoreLock {
                    if (name == "session/work") waits.complete(Unit)
                    return inner.lock(name, lease)
                }
            }
            val keys = SoftwareKeys()
            KeyboundClient(served.options(), keys, inner).login(served)
            // Its token is over, so it has to be renewed; another task does that, slowly.
            val later = KeyboundClient(served.options(), keys, sessions, clock = { Clock.SYSTEM.now() + 86_400 })
            val held = inner.lock("session/work", 90)
            val call = later.install(OkHttpClient.Builder(), later.open("work")).newCall(get(served.resource))
            val ended = CompletableFuture<IOException>()
            call.enqueue(object : Callback {
                override fun onFailure(call: Call, e: IOException) {
                    ended.complete(e)
                }

                override fun onResponse(call: Call, response: Response) {
                    ended.completeExceptionally(IllegalStateException("it went on"))
                }
            })
            waits.get(30, TimeUnit.SECONDS)
            call.cancel()
            assertEquals("Canceled", ended.get(30, TimeUnit.SECONDS).message)
            held.release()
        }
    }

    @Test
    fun `no field of a request or answer shows its value`() {
        val header = Header("Authorization", "DPoP the-token")
        val texts = listOf(
            header, header.copy(value = "the-token again"), listOf(header), mapOf(1 to header), header to 1,
            Refusal(401, "replayed", null, listOf(header), ""), RefusedResponse(401, listOf(header), "the-token".toByteArray()),
            Authorization("https://as.example.com/?state=the-token", "the-token", 1, true), DevicePrompt("the-token", "https://as.example.com", "the-token", 1),
            Outcome.LoginBegun(Authorization("the-token", "the-token", 1, true)),
        )
        for (one in texts) assertTrue("the-token" !in one.toString(), one.toString())
        assertTrue("Authorization" in header.toString())
        assertEquals(Header("a", "b"), Header("a", "b").copy())
    }

    @Test
    fun `a session says where its key lives`() = runBlocking<Unit> {
        Served().use { served ->
            val session = KeyboundClient(served.options()).login(served)
            assertEquals(Protection.SOFTWARE, session.info().protection)
            assertNotNull(session.info().thumbprint)
            assertNull(session.info().authorizationDetails)
        }
    }
}
