package dev.keybound.testing

import dev.keybound.ClientOptions
import dev.keybound.Credentials
import dev.keybound.Key
import dev.keybound.KeyboundClient
import dev.keybound.KeyboundFutures
import dev.keybound.SecurityLevel
import dev.keybound.Session
import dev.keybound.SessionRequest
import dev.keybound.SessionStart
import dev.keybound.proof
import dev.keybound.testing.servers.ScopeAt
import dev.keybound.testing.servers.Servers
import dev.keybound.testing.servers.ServersException
import dev.keybound.testing.servers.ServersOptions
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import java.util.concurrent.CompletableFuture

/**
 * An authorization server, and the API that it issues tokens for, inside of a test: they answer an [OkHttpClient] in place of the network.
 *
 * They demand proofs and nonces, bind tokens and refuse as servers do: the code that decides is Keybound's own. Logins are approved at
 * once. Every request has an answer; one to other servers is answered with 404.
 *
 * @property resource the API's URL, below which it takes every path
 * @property issuer the authorization server's identifier
 * @property clientId the app's client identifier
 * @property redirectUri where its logins come back to
 * @param subject the user who logs in
 * @param scopes what can be granted, the scope that is granted unasked first
 * @param scopesAt paths below the API's, for example `/items`, and the scope that each requires
 * @param tokenLifetime for how many seconds access tokens are valid
 * @param level what is demanded of clients
 * @param nonces whether proofs must carry nonces
 * @property clock the time that servers and client read
 * @throws IllegalArgumentException if an option cannot be used
 */
public class TestIssuer(
    public val resource: String,
    public val issuer: String = "https://login.example.com",
    public val clientId: String = "test-client",
    public val redirectUri: String = "https://app.example.com/callback",
    subject: String = "alice",
    scopes: List<String> = emptyList(),
    scopesAt: Map<String, String> = emptyMap(),
    tokenLifetime: Long = 300,
    level: SecurityLevel = SecurityLevel.ENHANCED,
    nonces: Boolean = true,
    public val clock: TestClock = TestClock(),
) : AutoCloseable {
    private val servers = checked {
        val at = scopesAt.map { (path, scope) -> ScopeAt(path, scope) }
        Servers(
            ServersOptions(
                issuer, resource, clientId, redirectUri, subject, scopes, at, tokenLifetime, level.name.lowercase(), nonces, clock.now(),
            ),
        )
    }

    /** What the API answers to requests that it admits: by itself it says who called, with what. */
    @Volatile
    public var api: TestApi? = null

    /** Answers in place of the network: for the `OkHttpClient.Builder` that the app makes its client of, as the last of its interceptors. */
    public val interceptor: Interceptor = Answers(servers, this)

    /** A client of OkHttp that reaches these servers and nothing else. */
    public val http: OkHttpClient = OkHttpClient.Builder().addInterceptor(interceptor).build()

    /** Options of a client that these servers know. */
    @JvmOverloads
    public fun options(level: SecurityLevel = SecurityLevel.ENHANCED): ClientOptions =
        ClientOptions(level, redirectUri = redirectUri, credentials = listOf(Credentials(issuer, clientId)))

    /** What a browser does with the URL of a login, which is approved at once: the URL that it comes back to. */
    public fun browse(url: String): String {
        val browser = http.newBuilder().followRedirects(false).build()
        return browser.newCall(Request.Builder().url(url).build()).execute().use {
            it.header("Location") ?: error("the login was not approved: ${it.code} ${it.body?.string()}")
        }
    }

    /** Logs in, and does what the browser would. */
    public suspend fun login(client: KeyboundClient, name: String = "test", scope: String? = null): Session {
        val start = SessionStart.New(name, client.discover(resource))
        return client.exchange(browse(client.authorize(SessionRequest(start, scope)).url))
    }

    /** As [login], for Java. */
    @JvmOverloads
    public fun login(client: KeyboundFutures, name: String = "test", scope: String? = null): CompletableFuture<Session> =
        client.discover(resource)
            .thenCompose { client.authorize(SessionRequest(SessionStart.New(name, it), scope)) }
            .thenCompose { client.exchange(browse(it.url)) }

    /**
     * Sends a request as a thief would: with the session's token, and a proof by a key of the thief's.
     *
     * @return the answer; close it
     */
    public fun sendAsThief(session: Session, request: Request): Response {
        val token = checkNotNull(session.dangerAccessToken()) { "the session has no access token" }
        val url = request.url.toString().substringBefore('#')
        val proof = proof(request.method, url, Key.generate(), accessToken = token, now = clock.now())
        val signed = request.newBuilder().header("Authorization", "DPoP $token").header("DPoP", proof).build()
        return http.newCall(signed).execute()
    }

    /** Revokes every access token that was issued so far, as an operator would after a breach. */
    public fun revokeAccessTokens(): Unit = servers.revokeAccessTokens()

    /**
     * Changes what the servers do wrong, from the next request on; without names, nothing. The names are those of `keybound serve --fault`: for example
     * `store-failing`, `metadata-failing`, `new-nonce-each-call`, `clock-skew=-90`. Only `slow` has no effect.
     *
     * @throws IllegalArgumentException if a name is not known
     */
    public fun misbehave(vararg faults: String): Unit = checked { servers.misbehave(faults.toList()) }

    /** Gives back what the servers hold. */
    override fun close(): Unit = servers.close()

    /** Builds a [TestIssuer] from what differs from the default, for Java. */
    public class Builder internal constructor(private val resource: String) {
        private var issuer = "https://login.example.com"
        private var clientId = "test-client"
        private var redirectUri = "https://app.example.com/callback"
        private var subject = "alice"
        private var scopes = emptyList<String>()
        private var scopesAt = emptyMap<String, String>()
        private var tokenLifetime = 300L
        private var level = SecurityLevel.ENHANCED
        private var nonces = true
        private var clock = TestClock()

        /** The authorization server's identifier. */
        public fun issuer(issuer: String): Builder = apply { this.issuer = issuer }

        /** The app's client identifier. */
        public fun clientId(id: String): Builder = apply { clientId = id }

        /** Where its logins come back to. */
        public fun redirectUri(uri: String): Builder = apply { redirectUri = uri }

        /** The user who logs in. */
        public fun subject(subject: String): Builder = apply { this.subject = subject }

        /** What can be granted, the scope that is granted unasked first. */
        public fun scopes(scopes: List<String>): Builder = apply { this.scopes = scopes }

        /** Paths below the API's, and the scope that each requires. */
        public fun scopesAt(scopes: Map<String, String>): Builder = apply { scopesAt = scopes }

        /** For how many seconds access tokens are valid. */
        public fun tokenLifetime(seconds: Long): Builder = apply { tokenLifetime = seconds }

        /** What is demanded of clients. */
        public fun level(level: SecurityLevel): Builder = apply { this.level = level }

        /** Whether proofs must carry nonces. */
        public fun nonces(nonces: Boolean): Builder = apply { this.nonces = nonces }

        /** The time that servers and client read. */
        public fun clock(clock: TestClock): Builder = apply { this.clock = clock }

        /**
         * Makes it.
         *
         * @throws IllegalArgumentException if an option cannot be used
         */
        public fun build(): TestIssuer =
            TestIssuer(resource, issuer, clientId, redirectUri, subject, scopes, scopesAt, tokenLifetime, level, nonces, clock)
    }

    public companion object {
        /** A builder for the issuer of an API, whose URL this is. */
        @JvmStatic
        public fun builder(resource: String): Builder = Builder(resource)

        private fun <T> checked(work: () -> T): T = try {
            work()
        } catch (failure: ServersException) {
            throw IllegalArgumentException(failure.message, failure)
        }
    }
}
