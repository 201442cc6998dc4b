package app

import dev.keybound.ClientOptions
import dev.keybound.Credentials
import dev.keybound.Demand
import dev.keybound.Header
import dev.keybound.KeyboundClient
import dev.keybound.KeyboundException
import dev.keybound.RefusedResponse
import dev.keybound.SecurityLevel
import dev.keybound.demand
import dev.keybound.explainResponse
import dev.keybound.testing.TestApi
import dev.keybound.testing.TestClock
import dev.keybound.testing.TestIssuer
import dev.keybound.testing.TestResponse
import kotlinx.coroutines.runBlocking
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import java.util.concurrent.ConcurrentLinkedQueue

/** The testing module, by a client of an app. */
class TestIssuerTest {
    private val seen = ConcurrentLinkedQueue<Pair<String, Int>>()

    private fun client(issuer: TestIssuer): KeyboundClient {
        val notes = Interceptor { chain ->
            chain.proceed(chain.request()).also { seen += "${it.request.method} ${it.request.url.encodedPath}" to it.code }
        }
        val http = OkHttpClient.Builder().addInterceptor(notes).addInterceptor(issuer.interceptor).build()
        return KeyboundClient(issuer.options(), http = http, clock = issuer.clock)
    }

    private fun get(url: String) = Request.Builder().url(url).build()

    private fun reason(response: Response) =
        explainResponse(RefusedResponse(response.code, response.headers.map { (name, value) -> Header(name, value) })).reason

    @Test
    fun `the first call is admitted after the API's nonce`() = runBlocking<Unit> {
        TestIssuer("https://api.example.com/v1", issuer = "https://login.example.com/realm").use { issuer ->
            val client = client(issuer)
            val session = issuer.login(client)
            assertEquals(listOf(issuer.issuer, issuer.resource), listOf(session.info().issuer, session.info().resource))
            assertTrue(session.info().bound)
            assertTrue("POST /realm/token" to 400 in seen, "the token endpoint demands a nonce: $seen")
            seen.clear()
            client.call(session, get("https://api.example.com/v1/items?a=b")).use {
                assertEquals(200, it.code)
                assertTrue("\"query\":\"a=b\"" in it.body!!.string())
            }
            assertEquals(listOf("GET /v1/items" to 401, "GET /v1/items" to 200), seen.toList())
        }
    }

    @Test
    fun `a token that was stolen is refused for its key`() = runBlocking<Unit> {
        for (nonces in listOf(true, false)) {
            TestIssuer("https://api.example.com", nonces = nonces).use { issuer ->
                val session = issuer.login(client(issuer))
                issuer.sendAsThief(session, get("https://api.example.com/")).use {
                    assertEquals(401, it.code)
                    assertEquals("binding_mismatch", reason(it))
                }
            }
        }
    }

    @Test
    fun `an expired token is refused, and renewed by the client that reads the clock`() = runBlocking<Unit> {
        val issuer = TestIssuer("https://api.example.com", tokenLifetime = 600)
        val late = KeyboundClient(issuer.options(), http = issuer.http, clock = TestClock())
        val session = issuer.login(late)
        val token = session.dangerAccessToken()
        // The client's own clock stands still, so that it learns from the refusal.
        issuer.clock.advance(3600)
        late.call(session, get("https://api.example.com/items")).use { assertEquals(200, it.code) }
        assertNotEquals(token, session.dangerAccessToken())
    }

    @Test
    fun `a path that requires more scope asks for it`() = runBlocking<Unit> {
        val issuer = TestIssuer(
            "https://api.example.com", scopes = listOf("items:read", "items:write"), scopesAt = mapOf("/orders" to "items:write"),
        )
        val client = client(issuer)
        val session = issuer.login(client, scope = "items:read")
        client.call(session, get("https://api.example.com/items")).use { assertEquals(200, it.code) }
        val more = client.call(session, get("https://api.example.com/orders")).use { it.demand as Demand.StepUp }
        val raised = client.exchange(issuer.browse(client.stepUp(session, more.scope).url))
        client.call(raised, get("https://api.example.com/orders")).use { assertEquals(200, it.code) }
    }

    @Test
    fun `the API answers what the test says to admitted requests alone`() = runBlocking<Unit> {
        val issuer = TestIssuer("https://api.example.com", subject = "bob")
        val bodies = ConcurrentLinkedQueue<String>()
        issuer.api = TestApi { request, caller ->
            bodies += "${request.method} ${request.body?.contentLength()} ${caller.subject} ${caller.clientId} ${caller.scopes}"
            TestResponse("made", 201, "text/plain")
        }
        val client = client(issuer)
        val session = issuer.login(client, scope = "write")
        val post = Request.Builder().url("https://api.example.com/items").post("tea".toRequestBody()).build()
        client.call(session, post).use { assertEquals(listOf("201", "made"), listOf("${it.code}", it.body!!.string())) }
        issuer.http.newCall(post).execute().use { assertEquals(401, it.code) }
        assertEquals(listOf("POST 3 bob test-client [write]"), bodies.toList())
    }

    @Test
    fun `revoked tokens and faults reach the client`() = runBlocking<Unit> {
        val issuer = TestIssuer("https://api.example.com")
        val client = client(issuer)
        val session = issuer.login(client)
        val token = session.dangerAccessToken()
        issuer.revokeAccessTokens()
        client.call(session, get("https://api.example.com/")).use { assertEquals(200, it.code) }
        assertNotEquals(token, session.dangerAccessToken(), "renewed after the refusal")
        issuer.misbehave("store-failing")
        client.call(session, get("https://api.example.com/")).use { assertEquals(503, it.code) }
        issuer.misbehave()
        client.call(session, get("https://api.example.com/")).use { assertEquals(200, it.code) }
        client.end(session)
        assertThrows(KeyboundException.LoginRequired::class.java) {
            runBlocking { client.call(session, get("https://api.example.com/")) }
        }
        assertThrows(IllegalArgumentException::class.java) { issuer.misbehave("other") }
    }

    @Test
    fun `other clients and other servers are not known`() = runBlocking<Unit> {
        val issuer = TestIssuer("https://api.example.com", redirectUri = "com.example.app:/callback")
        issuer.http.newCall(get("https://other.example.com/")).execute().use { assertEquals(404, it.code) }
        val other = ClientOptions(
            SecurityLevel.ENHANCED, redirectUri = issuer.redirectUri, credentials = listOf(Credentials(issuer.issuer, "other")),
        )
        val client = KeyboundClient(other, http = issuer.http, clock = issuer.clock)
        assertThrows(KeyboundException::class.java) { runBlocking { issuer.login(client) } }
        assertTrue(issuer.login(client(issuer)).info().bound)
        assertThrows(IllegalArgumentException::class.java) { TestIssuer("api.example.com") }
    }

    @Test
    fun `the highest level works`() = runBlocking<Unit> {
        val issuer = TestIssuer("https://api.example.com", level = SecurityLevel.MAXIMUM)
        val client = KeyboundClient(issuer.options(), http = issuer.http, clock = issuer.clock)
        client.call(issuer.login(client), get("https://api.example.com/")).use { assertEquals(200, it.code) }
    }
}
