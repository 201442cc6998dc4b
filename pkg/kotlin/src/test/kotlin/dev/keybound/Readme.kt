@file:Suppress("unused", "UnusedVariable", "NAME_SHADOWING")

package dev.keybound

import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import java.net.ConnectException
import java.nio.file.Path

/** The README's examples, compiled. `ReadmeTest` looks for each of them here. */
object Readme {
    fun firstProof() {
        val key = Key.generate() // ES256
        val options = VerifierOptions(nonces = NonceOptions())
        val store = MemoryReplayStore(options)
        val verifier = Verifier(options, store)

        val url = "https://api.example.com/items"
        val nonce = verifier.freshNonce(ServerRole.RESOURCE)
        val made = proof("GET", url, key, accessToken = "the-token", nonce = nonce) // the value of the DPoP field

        val presented = PresentedProof.atResource("GET", url, listOf(made), accessToken = "the-token", boundTo = key.thumbprint())
        val verified = verifier.verify(presented, store)
        println(verified.algorithm) // ES256
    }

    suspend fun login(openBrowser: (String) -> Unit, waitForCallback: () -> String) {
        val store = FileStore.open(Path.of("sessions"))
        val options = ClientOptions(
            SecurityLevel.ENHANCED,
            redirectUri = "http://127.0.0.1:7391/callback",
            credentials = listOf(Credentials("https://login.example.com", "my-client")),
        )
        val client = KeyboundClient(options, store, store)

        val start = SessionStart.New("work", client.discover("https://api.example.com/items"))
        val authorization = client.authorize(SessionRequest(start, scope = "read"))
        openBrowser(authorization.url)
        val session = client.exchange(waitForCallback())

        val request = Request.Builder().url("https://api.example.com/items").build()
        client.call(session, request).use { println(it.body?.string()) }
    }

    suspend fun reopen(client: KeyboundClient, logIn: suspend () -> Session): Session {
        val session = try {
            client.open("work")
        } catch (_: KeyboundException.LoginRequired) {
            logIn() // none is stored, or it has ended
        }
        return session
    }

    fun okHttp(client: KeyboundClient, session: Session, request: Request) {
        val http = client.install(OkHttpClient.Builder(), session)
        http.newCall(request).execute().use { println(it.code) }
    }

    class Tunnel(private val isUp: () -> Boolean) : Interceptor {
        override fun intercept(chain: Interceptor.Chain): Response {
            if (!isUp()) throw ConnectException("the tunnel is down") // nothing was sent
            return chain.proceed(chain.request())
        }
    }

    suspend fun demands(client: KeyboundClient, session: Session, request: Request, openBrowser: (String) -> Unit) {
        client.call(session, request).use { response ->
            when (val demand = response.demand) {
                is Demand.StepUp -> openBrowser(client.stepUp(session, demand.scope).url)
                is Demand.Login -> openBrowser(client.authorize(SessionRequest(SessionStart.Again(session))).url)
                else -> println(response.code)
            }
        }
    }

    suspend fun errors(client: KeyboundClient, session: Session, request: Request) {
        try {
            client.call(session, request).close()
        } catch (error: KeyboundException) {
            when (error) {
                is KeyboundException.LoginRequired -> println("log in again: ${error.reason}")
                is KeyboundException.Rejected, is KeyboundException.Flow -> println("refused: ${error.message}")
                is KeyboundException.Host -> println("try again later: ${error.message}")
                is KeyboundException.Misuse -> throw error
            }
        }
    }

    fun server(verifier: Verifier, presented: PresentedProof, store: MemoryReplayStore) {
        try {
            val verified = verifier.verify(presented, store)
            println("by ${verified.thumbprint}")
        } catch (refused: KeyboundException.Rejected) {
            val answer = refused.fault.refusal!!
            println(answer.status)
            for (header in answer.headers) println("${header.name}: ${header.value}")
        }
        println(verifier.explain(presented, store).checks.filter { it.outcome == CheckOutcome.FAILED })
    }

    class TestServers(program: String = "keybound") : AutoCloseable {
        private val process = ProcessBuilder(program, "serve", "--listen", "127.0.0.1:0", "--format", "json").start()
        private val told = process.inputStream.bufferedReader().readLine()
        val issuer = member("issuer")
        val resource = member("resource")

        private fun member(name: String) = Regex("\"$name\":\"(.*?)\"").find(told)!!.groupValues[1]

        override fun close() = process.destroy()
    }

    suspend fun login(client: KeyboundClient, resource: String): Session {
        val start = SessionStart.New("work", client.discover(resource))
        val page = client.authorize(SessionRequest(start, scope = "read")).url
        val browser = OkHttpClient.Builder().followRedirects(false).build()
        val callback = browser.newCall(Request.Builder().url(page).build()).execute().use { it.header("Location")!! }
        return client.exchange(callback)
    }

    suspend fun test(servers: TestServers) {
        var now = System.currentTimeMillis() / 1000
        val options = ClientOptions(
            SecurityLevel.ENHANCED,
            redirectUri = "http://127.0.0.1/callback",
            credentials = listOf(Credentials(servers.issuer, "keybound-demo")),
            allowLoopback = true,
        )
        val client = KeyboundClient(options, clock = { now })
        val session = login(client, servers.resource)

        val token = session.dangerAccessToken()
        now += 3600 // the app was closed for an hour
        val items = Request.Builder().url("${servers.resource}/items").build()
        client.call(session, items).use { check(it.code == 200) }
        check(session.dangerAccessToken() != token) // renewed before the call
    }
}
