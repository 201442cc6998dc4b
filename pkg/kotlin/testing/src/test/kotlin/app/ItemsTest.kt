package app

import dev.keybound.KeyboundClient
import dev.keybound.testing.TestApi
import dev.keybound.testing.TestIssuer
import dev.keybound.testing.TestResponse
import kotlinx.coroutines.runBlocking
import okhttp3.Request
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Test

/** The guide's example: `ReadmeTest` looks for it here. */
class ItemsTest {
    private val issuer = TestIssuer("https://api.example.com", clientId = "my-client")
    private val client = KeyboundClient(issuer.options(), http = issuer.http, clock = issuer.clock)
    private val items = Request.Builder().url("https://api.example.com/items").build()

    @Test
    fun `items are those of the user`() = runBlocking<Unit> {
        issuer.api = TestApi { _, caller -> TestResponse("""{"of":"${caller.subject}"}""") }
        val session = issuer.login(client)
        client.call(session, items).use { assertEquals("""{"of":"alice"}""", it.body!!.string()) }
    }

    @Test
    fun `a stolen token is refused`() = runBlocking<Unit> {
        val session = issuer.login(client)
        issuer.sendAsThief(session, items).use { assertEquals(401, it.code) }
    }

    @Test
    fun `an hour later the token is renewed`() = runBlocking<Unit> {
        val session = issuer.login(client)
        val token = session.dangerAccessToken()
        issuer.clock.advance(3600)
        client.call(session, items).use { assertEquals(200, it.code) }
        assertNotEquals(token, session.dangerAccessToken())
    }
}
