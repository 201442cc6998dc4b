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

        val presented = PresentedProof("GET", url, listOf(made), accessToken = "the-token", boundTo = key.thumbprint())
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

    suspend fun reopen(client: KeyboundClient): Session {
        val session = client.open("work")
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
            println("${answer.status} ${answer.headers}")
        }
        println(verifier.explain(presented, store).checks.filter { it.outcome == CheckOutcome.FAILED })
    }
}
