package dev.keybound

import kotlinx.coroutines.runBlocking
import okhttp3.Dns
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.io.IOException
import java.net.ConnectException
import java.net.InetAddress
import java.net.ProtocolException
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread

/** What is sent again when the network fails. */
class NetworkTest {
    @Test
    fun `a lost answer to a post is not repeated`() = runBlocking<Unit> {
        Losing().use { api ->
            Served("--resource", api.url).use { served ->
                val client = KeyboundClient(served.options())
                val session = client.logIn(served, api.url)
                val http = client.install(OkHttpClient.Builder(), session)
                val ways = listOf<suspend (Request) -> Int>(
                    { request -> client.call(session, request).use { it.code } },
                    { request -> http.newCall(request).execute().use { it.code } },
                )
                for (way in ways) {
                    // The connection is kept open: OkHttp by itself takes another one for what was lost on it.
                    assertEquals(200, way(get(api.url)))
                    for (method in listOf("POST", "GET")) {
                        val before = api.count("$method /lost")
                        val lost = get("${api.url}lost").newBuilder().method(method, if (method == "POST") "text".toRequestBody() else null)
                        val error = assertThrows(IOException::class.java) { runBlocking { way(lost.build()) } }
                        assertFalse(error is ProtocolException, "OkHttp's own exception")
                        assertEquals(before + 1, api.count("$method /lost"), method)
                    }
                }
            }
        }
    }

    @Test
    fun `what was not sent is sent again with a new proof`() = runBlocking<Unit> {
        Served("--no-nonces").use { served ->
            val unsent = ConcurrentLinkedQueue<String>()
            val wire = Counting()
            val http = OkHttpClient.Builder().addInterceptor { chain ->
                val proof = chain.request().header("DPoP")
                if (chain.request().method == "POST" && chain.request().url.encodedPath == "/api" && unsent.isEmpty()) {
                    unsent += proof!!
                    throw ConnectException("the tunnel is down")
                }
                chain.proceed(chain.request())
            }.addInterceptor(wire).build()
            val client = KeyboundClient(served.options(), http = http)
            val session = client.login(served)
            val post = Request.Builder().url(served.resource).post("text".toRequestBody()).build()
            client.call(session, post).use { assertEquals(200, it.code) }
            assertEquals(1, wire.count("POST /api"))
            assertTrue(wire.seen.none { it.header("DPoP") in unsent }, "the proof is new")
        }
    }

    @Test
    fun `of several addresses one that takes connections is found`() {
        Losing().use { api ->
            // Nothing listens at the first.
            val addresses = listOf("127.0.0.2", "127.0.0.1").map { InetAddress.getByName(it) }
            val http = OkHttpClient.Builder().dns(object : Dns { override fun lookup(hostname: String) = addresses }).build().forSessions()
            http.newCall(get(api.url.replace("127.0.0.1", "api.example.com"))).execute().use { assertEquals(401, it.code) }
        }
    }

    @Test
    fun `what could not be sent in the end is the network's own error`() = runBlocking<Unit> {
        Served("--no-nonces").use { served ->
            val client = KeyboundClient(served.options(), http = OkHttpClient.Builder().addInterceptor(Readme.Tunnel { false }).build())
            val error = assertThrows(IOException::class.java) { runBlocking { client.discover(served.resource) } }
            assertInstanceOf(ConnectException::class.java, error)
        }
    }

    /** Logs in for an API that publishes nothing. */
    private suspend fun KeyboundClient.logIn(served: Served, url: String): Session {
        val start = SessionStart.New("work", discover(url, issuer = served.issuer))
        return exchange(browse(authorize(SessionRequest(start, resource = url)).url))
    }
}

/** An API whose answers to requests for `/lost` are lost; their connection ends. Others are kept open. */
private class Losing : AutoCloseable {
    private val socket = ServerSocket(0, 10, InetAddress.getLoopbackAddress())
    private val seen = ConcurrentLinkedQueue<String>()
    val url = "http://127.0.0.1:${socket.localPort}/"

    init {
        thread(isDaemon = true) { generateSequence { runCatching { socket.accept() }.getOrNull() }.forEach { thread(isDaemon = true) { serve(it) } } }
    }

    /** How many requests came that begin with this. */
    fun count(what: String) = seen.count { it.startsWith(what) }

    override fun close() = socket.close()

    private fun serve(connection: Socket) = connection.use {
        val (input, output) = it.getInputStream().bufferedReader(Charsets.ISO_8859_1) to it.getOutputStream()
        while (true) {
            val head = generateSequence { input.readLine()?.takeIf(String::isNotEmpty) }.toList()
            val first = head.firstOrNull() ?: break
            fun field(name: String) = head.firstOrNull { line -> line.startsWith("$name:", ignoreCase = true) }?.substringAfter(':')?.trim()
            repeat(field("content-length")?.toInt() ?: 0) { input.read() }
            seen += first
            if ("/lost" in first) break
            val status = if ("/.well-known/" in first) "404 Not Found" else if (field("authorization") == null) "401 Unauthorized" else "200 OK"
            output.write("HTTP/1.1 $status\r\nContent-Length: 0\r\n\r\n".toByteArray())
        }
    }
}
